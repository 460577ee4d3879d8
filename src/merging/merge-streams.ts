import type { RowComparator } from './comparator'
import type { Row } from './row'
import { Tournament } from './tournament'

const closeAll = async (iterators: Iterable<AsyncIterator<Row>>): Promise<void> => {
  const closing = Array.from(iterators, async (iterator) => iterator.return?.())
  const failed = (await Promise.allSettled(closing)).find((outcome) => outcome.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

/**
 * Merges sorted streams into one, stable as `mergeSorted` is, holding one row of each source.
 *
 * The sources are opened at the first `next()`, all at once, and read as their rows are needed. Every source that has not
 * ended is closed (`return()`) when the consumer stops, when a source fails and when a row is out of order. A source that
 * never answers delays the closing: deadlines and cancellation belong to whoever made it.
 *
 * @throws ShardedError MERGE_ORDER where a source is not sorted under `compare`; whatever a source throws. A failure to
 * close is thrown only where nothing failed before.
 * @example
 * for await (const row of mergeStreams(streams, compareRows(terms))) …
 */
export async function* mergeStreams(
  sources: readonly AsyncIterable<Row>[],
  compare: RowComparator,
): AsyncGenerator<Row, void, undefined> {
  const iterators: AsyncIterator<Row>[] = []
  const open = new Set<AsyncIterator<Row>>()
  const pull = async (iterator: AsyncIterator<Row>): Promise<Row | undefined> => {
    const result = await iterator.next()
    if (result.done !== true) return result.value
    open.delete(iterator)
    return undefined
  }
  let failed = false
  try {
    for (const source of sources) {
      const iterator = source[Symbol.asyncIterator]()
      iterators.push(iterator)
      open.add(iterator)
    }
    const tournament = new Tournament(compare, await Promise.all(iterators.map(pull)))
    for (let row = tournament.row; row !== undefined; row = tournament.row) {
      yield row
      const iterator = iterators[tournament.source]
      tournament.advance(iterator === undefined ? undefined : await pull(iterator))
    }
  } catch (error) {
    failed = true
    throw error
  } finally {
    const closing = closeAll(open)
    await (failed ? closing.catch(() => undefined) : closing)
  }
}
