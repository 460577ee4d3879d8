import type { NodePool } from '../endpoints/node-pool'
import { refusesCreation } from '../endpoints/sql-state'
import { ShardedError } from '../errors/sharded-error'
import type { CommitContext } from './commit-two-phase'
import type { ControlPoint, ControlPoints } from './control-point'
import { DecisionLog } from './decision-log'
import { type RecoveryReport, recoverTransactions } from './recover-transactions'

/** How often what others left prepared is looked for, in milliseconds. */
const recoverEveryMs = 3_000

interface TwoPhaseParts extends Pick<TwoPhase, 'warn'> {
  readonly points: ControlPoints
  /** The identity of each node that does not answer, by its name. */
  readonly absent: ReadonlyMap<string, string>
}

/** What two-phase commits of one data source share: the logs of its nodes, and the recovery on a timer. */
export class TwoPhase implements CommitContext {
  private timer: NodeJS.Timeout | undefined
  private reported: ReadonlySet<string> = new Set()
  private running: Promise<RecoveryReport> | undefined

  private constructor(
    private readonly logs: Map<string, DecisionLog>,
    private readonly points: ControlPoints,
    readonly warn: (text: string) => void,
  ) {}

  /**
   * Prepares every node: its decision log is created where it is not there.
   * @throws ShardedError TWO_PHASE_UNAVAILABLE naming the node that does not allow it
   */
  static async open(pools: readonly NodePool[], { points, warn, absent }: TwoPhaseParts): Promise<TwoPhase> {
    const logs = await Promise.all(
      pools.map((pool) => {
        const identity = absent.get(pool.name)
        return identity === undefined ? openLog(pool) : DecisionLog.ofAbsent(pool, identity)
      }),
    )
    for (const log of logs) {
      const twin = logs.find((one) => one !== log && one.identity === log.identity)
      if (twin)
        throw unavailable(log.node, `it has the identity of node ${twin.node}, being the same database or a copy of it`)
    }
    return new TwoPhase(new Map(logs.map((log) => [log.node, log])), points, warn)
  }

  /**
   * Prepares a node that did not answer before; the returned function goes on with it.
   *
   * @throws ShardedError TWO_PHASE_UNAVAILABLE where it does not allow it
   */
  async prepare(pool: NodePool): Promise<() => void> {
    const log = await openLog(pool)
    return () => void this.logs.set(pool.name, log)
  }

  log(node: string): DecisionLog {
    const log = this.logs.get(node)
    if (!log) throw new RangeError(`There is no node ${node}.`)
    return log
  }

  reach(point: ControlPoint, node?: string): Promise<void> {
    return this.points.reach(point, node)
  }

  /** Ends what commits left behind; asked for while it runs, it runs once. */
  recover(): Promise<RecoveryReport> {
    this.running ??= recoverTransactions([...this.logs.values()], this).finally(() => {
      this.running = undefined
    })
    return this.running
  }

  /** Recovers now, and from now on every few seconds. A failure is logged: the next time may succeed. */
  start(): void {
    const once = async (): Promise<void> => {
      try {
        const { committed, rolledBack, pending } = await this.recover()
        this.report(pending)
        if (committed + rolledBack > 0) {
          this.warn(`Prepared transactions were found: ${committed} were committed, ${rolledBack} rolled back.`)
        }
      } catch (error) {
        this.warn(`Prepared transactions could not be looked for. ${String(error)}`)
      }
    }
    void once()
    this.timer = setInterval(() => void once(), recoverEveryMs).unref()
  }

  /** Locks are held as long as these are; each is said once. */
  private report(pending: RecoveryReport['pending']): void {
    const reasons = pending.map(({ node, id, reason }) => `Node ${node}: ${id ?? 'not asked'}. ${reason}`)
    for (const reason of reasons) if (!this.reported.has(reason)) this.warn(`Recovery is not done. ${reason}`)
    this.reported = new Set(reasons)
  }

  /** Ends the timer, what it has started, and what the logs had to do. */
  async stop(): Promise<void> {
    clearInterval(this.timer)
    await this.running?.catch(() => undefined)
    await Promise.allSettled([...this.logs.values()].map((log) => log.flush()))
  }
}

async function openLog(pool: NodePool): Promise<DecisionLog> {
  if (pool.facts.maxPreparedTransactions === 0) throw unavailable(pool.name, 'its max_prepared_transactions is 0')
  const log = await openTables(pool)
  if (log.lacking.length === 0) return log
  throw unavailable(pool.name, `its role lacks ${log.lacking.join(', ')} on sharding.decisions`)
}

async function openTables(pool: NodePool): Promise<DecisionLog> {
  try {
    return await DecisionLog.open(pool)
  } catch (cause) {
    // What passes must not make a process best-effort for as long as it lives.
    if (!refusesCreation(cause)) throw cause
    throw unavailable(
      pool.name,
      `its decision log cannot be created: ${cause instanceof Error ? cause.message : cause}`,
      cause,
    )
  }
}

function unavailable(node: string, why: string, cause?: unknown): ShardedError {
  return new ShardedError('TWO_PHASE_UNAVAILABLE', `Node ${node} does not take part in two-phase commits: ${why}.`, {
    details: { node },
    cause,
  })
}
