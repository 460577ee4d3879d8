import type { RowComparator } from './comparator'
import type { Row } from './row'
import { outOfOrder, Tournament } from './tournament'

/** What one statement gave: its rows, sorted by the database. */
export interface SortedSource {
  readonly rows: readonly Row[]
}

export interface MergeSortedOptions {
  readonly sources: readonly SortedSource[]
  readonly compare: RowComparator
  /** How many of the least rows to leave out; default 0. */
  readonly offset?: number | undefined
  /** How many rows to return at most; default all. */
  readonly limit?: number | undefined
  /**
   * Which rows must be seen to be sorted: those that the merge takes and the one that follows each (`visited`, the
   * default), or all (`all`). A row that is out of place beyond the visited ones could belong on the page.
   */
  readonly verify?: 'visited' | 'all' | undefined
}

const checkCount = (name: string, count: number): void => {
  if (count !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(count) && count >= 0)) {
    throw new RangeError(`The ${name} of a merge must be a whole number, not ${count}.`)
  }
}

/** @throws ShardedError MERGE_ORDER where the rows of the source are not sorted; `index` is the source's, for the message */
export const checkSorted = (source: SortedSource, index: number, compare: RowComparator): void => {
  let previous: Row | undefined
  for (const [position, row] of source.rows.entries()) {
    if (previous !== undefined && compare(previous, row) > 0) throw outOfOrder(index, position)
    previous = row
  }
}

/**
 * Merges sorted sources into one sorted page. Stable: equal rows keep the order of their sources and, in one source,
 * their own. Takes `offset + limit` rows and leaves the rest unread, unless all are to be verified.
 *
 * @throws ShardedError MERGE_ORDER where a source is not sorted under `compare`; RangeError where `offset` or `limit` is
 * negative or no whole number
 * @example mergeSorted({ sources, compare: compareRows(terms), offset: 40, limit: 20 })
 */
export const mergeSorted = (options: MergeSortedOptions): Row[] => {
  const { sources, compare, offset = 0, limit = Number.POSITIVE_INFINITY, verify = 'visited' } = options
  checkCount('offset', offset)
  checkCount('limit', limit)
  if (verify === 'all') {
    for (const [index, source] of sources.entries()) checkSorted(source, index, compare)
  }
  const end = offset + limit
  const page: Row[] = []
  if (limit === 0) return page
  const tournament = new Tournament(
    compare,
    sources.map((source) => source.rows[0]),
  )
  let taken = 0
  for (let row = tournament.row; row !== undefined; row = tournament.row) {
    if (taken >= offset) page.push(row)
    taken++
    if (taken >= end) break
    tournament.advance(sources[tournament.source]?.rows[tournament.position + 1])
  }
  return page
}
