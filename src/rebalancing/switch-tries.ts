import { sqlState } from '../endpoints/sql-state'
import { ShardedError } from '../errors/sharded-error'
import { stalled } from './move-errors'
import type { MoveSession } from './move-session'
import { inTransaction, lockStates, pause, type Send } from './on-node'
import { readStructureIn } from './read-structure'
import { flushedLsn } from './replication'
import type { MovedTable, ShardMove } from './shard-move'
import { writingOrder } from './switch-shard'
import { awaitLsn, type Sides } from './verify-rows'

/** The tries of one driver to switch a shard from one place to the other. */
export class SwitchTries {
  private tries = 0

  constructor(private readonly session: MoveSession) {}

  /**
   * Tries once, and waits where that was given up.
   *
   * @param attempt resolves to false where a lock was not to be had, or the last rows did not arrive in time: writers go on meanwhile
   * @returns what the attempt did
   * @throws ShardedError SHARD_MOVE_STALLED after the last try
   */
  async next(attempt: () => Promise<boolean>): Promise<boolean> {
    const { session } = this
    const { switchTries, switchEveryMs } = session.bounds
    if (this.tries >= switchTries) throw stalled(session.move, `the switch was given up ${this.tries} times`)
    if (await attempt()) return true
    this.tries += 1
    await session.note({ progress: { switchTries: this.tries } })
    await pause(switchEveryMs, session.signal)
    return false
  }

  /**
   * Waits for what can be waited for without locks.
   *
   * @param asked the connections that will be asked for structures under the locks: their catalog caches are filled now
   * @returns the tables in the order in which they are to be locked
   */
  async prepare(sides: Sides, way: ShardMove, asked: readonly Send[]): Promise<readonly MovedTable[]> {
    const { bounds, signal } = this.session
    await Promise.all(asked.map((send) => inTransaction(send, () => readStructureIn(send, way))))
    const lsn = await flushedLsn(sides.source)
    await awaitLsn(sides, way, { lsn, stallMs: bounds.stallMs, lookEveryMs: 20, signal })
    return this.lockOrder(sides.source, way)
  }

  /** Every other try the other way round: some applications write children first. */
  async lockOrder(send: Send, way: ShardMove): Promise<readonly MovedTable[]> {
    const order = await writingOrder(send, way)
    return this.tries % 2 === 0 ? order : [...order].reverse()
  }
}

/** Undefined, and all rolled back, where the last rows were not there in time, or what the switch changes was locked. */
export async function settled<T>(work: Promise<T>, transactions: readonly Send[]): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    const isLate = error instanceof ShardedError && error.code === 'SHARD_MOVE_STALLED'
    if (!isLate && !lockStates.has(sqlState(error) ?? '')) throw error
    await Promise.all(transactions.map((send) => send('ROLLBACK')))
    return undefined
  }
}
