import { atMost } from '../endpoints/at-most'

/** A call goes on after so many milliseconds, though the one before it has not ended: a wait for itself that nobody foresaw ends. */
const longestWaitMs = 30_000

interface Call {
  /** Undefined where it began at once. */
  readonly started: Promise<void> | undefined
  readonly ended: Promise<void>
}

/**
 * The order of calls that are made at once on one query runner: each begins when the one before it has ended, as in the queue of
 * the one connection that it would have on one database. Work that may run code of the application must not come here: what that
 * code asks for and awaits would wait for it.
 */
export class CallTurns {
  private last: Call | undefined

  async run<T>(work: () => Promise<T>): Promise<T> {
    const before = this.last
    const started = before && afterCall(before)
    let end = (): void => undefined
    const call: Call = { started, ended: new Promise<void>((resolve) => (end = resolve)) }
    this.last = call
    try {
      if (started) await started
      return await work()
    } finally {
      if (this.last === call) this.last = undefined
      end()
    }
  }
}

/** Its time counts from when it began. */
async function afterCall({ started, ended }: Call): Promise<void> {
  await started
  await atMost(longestWaitMs, ended)
}
