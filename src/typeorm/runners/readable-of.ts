import { Readable } from 'node:stream'
import type { Cancellation } from '../../endpoints/cancellation'
import { isLimited, type Operation, shardCancellation } from '../../execution/operation'

/** Streams that nobody has any more, and nobody has closed: their connections go back when they are collected. */
const dropped = new FinalizationRegistry<AsyncGenerator<unknown>>((rows) => {
  rows.return(undefined).catch(() => undefined)
})

/**
 * A readable of rows, closed by leaving its loop, by an error, by `destroy()`, and by dropping it.
 *
 * @param operation of its reading, which begins when the first row is asked for. When the limits of the caller are reached, the
 *   readable fails, also where all rows are in hand: what a reader gets afterwards would seem to be all in time
 */
export function readableOf(rows: AsyncGenerator<unknown>, operation: Operation | undefined): Readable {
  const limited = async function* () {
    watch(readable, operation && shardCancellation(operation))
    yield* rows
  }
  // A generator around another one costs each row a turn.
  const readable: Readable = Readable.from(operation && isLimited(operation) ? limited() : rows)
  dropped.register(readable, rows)
  return readable
}

function watch(readable: Readable, cancellation: Cancellation | undefined): void {
  if (!cancellation) return
  // A signal may live for ever: it is not to keep what nobody reads any more.
  const watched = new WeakRef(readable)
  // A signal may be aborted for any reason, and a stream passes on whatever it is destroyed with.
  const off = cancellation.onCancel(() => watched.deref()?.destroy(cancellation.ended.reason as Error))
  readable.once('close', () => {
    off()
    cancellation.close()
  })
}
