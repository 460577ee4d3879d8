import { ShardedError } from '../errors/sharded-error'
import type { MovePlan, PlannedMove } from './plan-moves'
import type { MoveState } from './shard-move-state'

/** Moves that a plan runs at once, at the most: each holds connections of both of its nodes. */
export const maxParallelMoves = 4

/** A move that is not over, or has just come to its end. */
export interface RanMove {
  readonly id: string
  readonly shard: string
  /** The name of a node. */
  readonly to: string
  readonly state: MoveState
}

/** What runs the moves of a plan. */
export interface PlanHost<Move extends RanMove> {
  /** The node of a shard by the map that is stored now; undefined: there is no such shard. */
  placeOf(shard: string): string | undefined
  /** Takes over the map that is stored. */
  follow(): Promise<void>
  /** Moves that are not over. */
  open(): Promise<readonly Move[]>
  move(shard: string, to: string, signal: AbortSignal | undefined): Promise<Move>
  resume(id: string, signal: AbortSignal | undefined): Promise<Move>
  finish(id: string): Promise<Move>
}

export interface ExecuteOptions {
  /** Ends the work of this process. The moves that it was at stay as they are: the same call goes on with them. */
  readonly signal?: AbortSignal
  /** Moves that run at once: 1 to 4. Default 1. */
  readonly parallel?: number
  /** Drops what a move leaves at the former place of its shard, as `finishMove` does. Default false. */
  readonly finish?: boolean
}

/** What a plan's execution has done. */
export interface PlanResult<Move extends RanMove> {
  /** Moves that this call has brought to their end, in the order of their ends. */
  readonly moves: readonly Move[]
  /** Shards that were at the plan's place already. */
  readonly skipped: readonly string[]
}

/**
 * Runs the moves of a plan, in its order. Shards that are where the plan wants them are skipped, and moves that another call has begun are
 * gone on with. When a move fails, no other one is begun, and those that run come to their ends.
 *
 * @throws ShardedError OPTIONS_INVALID; PLAN_OUTDATED before anything is moved; PLAN_INCOMPLETE; the signal's reason
 */
export async function runPlan<Move extends RanMove>(
  plan: Pick<MovePlan, 'moves'>,
  host: PlanHost<Move>,
  { signal, parallel = 1, finish = false }: ExecuteOptions = {},
): Promise<PlanResult<Move>> {
  if (!Number.isInteger(parallel) || parallel < 1 || parallel > maxParallelMoves)
    throw new ShardedError('OPTIONS_INVALID', `parallel is ${parallel}; it takes 1 to ${maxParallelMoves}.`, {
      details: { parallel },
    })
  signal?.throwIfAborted()
  await host.follow()
  const left = plan.moves.filter((move) => isAhead(move, host))
  const open = await host.open()
  const done = plan.moves.filter((move) => !left.includes(move))
  const run = new PlanRun(left, { host, signal, finish, open })
  if (finish) for (const move of open) if (done.some((one) => isOf(one, move))) await host.finish(move.id)
  await Promise.all(Array.from({ length: parallel }, () => run.work()))
  signal?.throwIfAborted()
  const moves = run.result()
  return Object.freeze({ moves, skipped: Object.freeze([...done.map(({ shard }) => shard), ...run.found]) })
}

/** Whether a move of a plan is still to be done. @throws ShardedError PLAN_OUTDATED */
function isAhead<Move extends RanMove>({ shard, from, to }: PlannedMove, host: PlanHost<Move>): boolean {
  const node = host.placeOf(shard)
  if (node === from) return true
  if (node === to) return false
  const place = node === undefined ? 'there is no such shard by now' : `it lies on node ${node} by now`
  throw new ShardedError('PLAN_OUTDATED', `The plan moves shard ${shard} from ${from} to ${to}, and ${place}.`, {
    details: { shard, from, to, node },
  })
}

const isOf = ({ shard, to }: PlannedMove, move: RanMove): boolean =>
  move.shard === shard && move.to === to && move.state === 'switched'

interface RunSettings<Move extends RanMove> {
  readonly host: PlanHost<Move>
  readonly signal: AbortSignal | undefined
  readonly finish: boolean
  readonly open: readonly Move[]
}

class PlanRun<Move extends RanMove> {
  private readonly ran: Move[] = []
  /** Shards that others have moved to their place meanwhile. */
  readonly found: string[] = []
  private readonly left: PlannedMove[]
  private failure: { readonly move: PlannedMove; readonly cause: unknown } | undefined

  constructor(
    moves: readonly PlannedMove[],
    private readonly settings: RunSettings<Move>,
  ) {
    this.left = [...moves]
  }

  /** Takes moves until there is none, one has failed, or the signal says so. Several may do this at once. */
  async work(): Promise<void> {
    while (!this.failure && !this.settings.signal?.aborted) {
      const next = this.left.shift()
      if (!next) return
      try {
        await this.run(next)
      } catch (cause) {
        this.failure ??= { move: next, cause }
      }
    }
  }

  /** @throws ShardedError PLAN_INCOMPLETE */
  result(): readonly Move[] {
    const { failure, ran, left } = this
    if (!failure) return Object.freeze([...ran])
    const { move, cause } = failure
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new ShardedError(
      'PLAN_INCOMPLETE',
      `Shard ${move.shard} was not moved to ${move.to}: ${reason} ${ran.length} moves of the plan were done before, ${left.length} were not begun.`,
      { details: { shard: move.shard, moves: Object.freeze([...ran]), left: left.map(({ shard }) => shard) }, cause },
    )
  }

  private async run(next: PlannedMove): Promise<void> {
    const { host, signal, finish, open } = this.settings
    const { shard, to } = next
    // It may have been moved since the plan was looked at.
    if (!isAhead(next, host)) {
      this.found.push(shard)
      return
    }
    const begun = open.find((move) => move.shard === shard && move.to === to && move.state !== 'switched')
    const moved = await (begun ? host.resume(begun.id, signal) : host.move(shard, to, signal))
    this.ran.push(finish ? await host.finish(moved.id) : moved)
  }
}
