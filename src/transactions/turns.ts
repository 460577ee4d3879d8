import { AsyncLocalStorage } from 'node:async_hooks'
import { atMost } from '../endpoints/at-most'

/**
 * A wait goes on after so many milliseconds, though what it waits for has not ended: a call may wait for itself, and a subscriber
 * for the end of the transaction that it is in.
 */
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

  /** Runs work, which is pending until it has ended. */
  during<T>(work: () => Promise<T>): Promise<T> {
    const end = this.begin()
    const working = work()
    working.then(end, end)
    return working
  }

  /** Resolves when nothing is pending. */
  async atRest(boundMs = longestWaitMs): Promise<void> {
    if (this.count === 0) return
    await atMost(boundMs, new Promise<void>((resolve) => this.waiting.push(resolve)))
  }
}

/** The turns of pieces of work that stand beside each other, in the same savepoint or in none. */
interface Level {
  readonly owner: SavepointTurns
  /** The piece of work around it, maybe of another transaction. */
  readonly around: Level | undefined
  last: Promise<unknown>
}

const current = new AsyncLocalStorage<Level>()
let running = 0

/** In Node 20 the storage is made of promise hooks, which slow every promise of the process by a fifth: only as long as work runs. */
async function runWithin<T>(level: Level, work: () => Promise<T>): Promise<T> {
  running += 1
  try {
    return await current.run(level, work)
  } finally {
    running -= 1
    if (running === 0) current.disable()
  }
}

/**
 * Savepoints of a transaction are a stack: of two pieces of work at once, the end of the first would end the second's savepoint
 * too. Such pieces take turns here. What a piece asks for itself, and a subscriber that it tells, is within it and does not wait
 * for it.
 */
export class SavepointTurns {
  private readonly outer: Level = { owner: this, around: undefined, last: Promise.resolve() }

  run<T>(work: () => Promise<T>): Promise<T> {
    const around = current.getStore()
    const beside = this.levelIn(around)
    const within: Level = { owner: this, around, last: Promise.resolve() }
    const turn = beside.last.then(() => runWithin(within, work))
    beside.last = turn.catch(() => undefined)
    return turn
  }

  private levelIn(around: Level | undefined): Level {
    for (let level = around; level; level = level.around) if (level.owner === this) return level
    return this.outer
  }
}
