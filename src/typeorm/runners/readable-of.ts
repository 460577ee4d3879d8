import { Readable } from 'node:stream'

/** Streams that nobody has any more, and nobody has closed: their connections go back when they are collected. */
const dropped = new FinalizationRegistry<AsyncGenerator<unknown>>((rows) => {
  rows.return(undefined).catch(() => undefined)
})

/** A readable of rows, closed by leaving its loop, by an error, by `destroy()`, and by dropping it. */
export function readableOf(rows: AsyncGenerator<unknown>): Readable {
  const readable = Readable.from(rows)
  dropped.register(readable, rows)
  return readable
}
