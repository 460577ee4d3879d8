import { AsyncLocalStorage } from 'node:async_hooks'

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
