import type { Cancellation } from '../../endpoints/cancellation'

/**
 * The items of an input until a cancellation, also while the next one is waited for. Leaving the loop closes the input; one
 * that still waits for its next item is not waited for.
 *
 * @throws OperationEnded
 */
export async function* readUntil<T>(
  items: AsyncIterable<T>,
  cancellation: Cancellation,
): AsyncGenerator<T, void, undefined> {
  const iterator = items[Symbol.asyncIterator]()
  let stop: (error: unknown) => void = () => undefined
  const off = cancellation.onCancel(() => stop(cancellation.ended))
  try {
    for (;;) {
      cancellation.throwIfCancelled()
      const next = await new Promise<IteratorResult<T>>((resolve, reject) => {
        stop = reject
        iterator.next().then(resolve, reject)
      })
      if (next.done) return
      yield next.value
    }
  } finally {
    off()
    void iterator.return?.().catch(() => undefined)
  }
}
