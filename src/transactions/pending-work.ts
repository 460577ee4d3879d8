import { atMost } from '../endpoints/at-most'

/** What waits for pending work goes on after so many milliseconds: a subscriber may wait for the end of the transaction that it is in. */
const longestWaitMs = 30_000

/**
 * Work that was begun in a transaction and has not ended. On one database it stands before the COMMIT or ROLLBACK in the queue of
 * the one connection; so the end of a transaction over nodes waits for it, or it would be written outside of the transaction.
 *
 * @example
 * const end = pending.begin()
 * write().finally(end)
 * await pending.atRest()
 */
export class PendingWork {
  private count = 0
  private waiting: (() => void)[] = []

  /** @returns what is called when the work has ended */
  begin(): () => void {
    this.count += 1
    let isOpen = true
    return () => {
      if (!isOpen) return
      isOpen = false
      this.count -= 1
      if (this.count === 0) for (const go of this.waiting.splice(0)) go()
    }
  }

  /** Resolves when nothing is pending. */
  async atRest(boundMs = longestWaitMs): Promise<void> {
    if (this.count === 0) return
    await atMost(boundMs, new Promise<void>((resolve) => this.waiting.push(resolve)))
  }
}
