import { ShardedError } from '../../errors/sharded-error'
import type { ShardedEntity, ShardedModel } from '../../model/sharded-entity'
import { type BalanceMeasure, type MovePlan, planMoves } from '../../rebalancing/plan-moves'
import type { ShardReport, TopologyReport } from '../../rebalancing/topology-report'
import { placementUnitOf } from '../../topology/place-shards'
import type { ShardRuntime } from '../runners/shard-runtime'
import { hindranceOf } from './fixed-shards'
import type { ShardedDataSourceOptions } from './sharded-data-source-options'

export interface PlanOptions {
  /** What is to be even: bytes unless said. `'load'` is the time of this process' statements, and needs the option `loadStatistics`. */
  readonly by?: BalanceMeasure
  /** A node may have so much more than its due before anything moves: 0.1, a tenth, unless said. */
  readonly threshold?: number
  /** The plan empties this node, and moves nothing else. */
  readonly drain?: string
  /** A plan has no more moves than this: 1,000 unless said. */
  readonly maxMoves?: number
}

const measures: ReadonlySet<string> = new Set<BalanceMeasure>(['rows', 'bytes', 'load', 'count'])

const defaultThreshold = 0.1
const defaultMaxMoves = 1_000

interface PlanParts {
  readonly options: () => ShardedDataSourceOptions
  readonly runtime: () => ShardRuntime
  readonly model: () => ShardedModel
  /** The names of shards whose moves are not over. */
  readonly moving: ReadonlySet<string>
}

/** @throws ShardedError OPTIONS_INVALID */
export function checkPlanOptions(
  { by = 'bytes', threshold = 0, drain, maxMoves = 1 }: PlanOptions,
  runtime: ShardRuntime,
): void {
  if (!measures.has(by)) throw invalid(`by is "${by}"; it takes ${[...measures].join(', ')}`)
  if (!Number.isFinite(threshold) || threshold < 0)
    throw invalid(`threshold is ${threshold}; it takes a number from 0 on`)
  if (!Number.isInteger(maxMoves) || maxMoves < 1)
    throw invalid(`maxMoves is ${maxMoves}; it takes a whole number from 1 on`)
  if (drain !== undefined && !runtime.nodes.includes(drain))
    throw invalid(`drain names the node '${drain}', which does not exist`)
}

/** Plans moves by what a report says. @throws ShardedError OPTIONS_INVALID where it does not say what is to be even */
export function planTopology(report: TopologyReport, given: PlanOptions, parts: PlanParts): MovePlan {
  const { by = 'bytes', threshold = defaultThreshold, drain, maxMoves = defaultMaxMoves } = given
  if (by === 'load' && report.countedSince === undefined)
    throw invalid("by is 'load', which nobody counts: set the option loadStatistics of the data source")
  const nodes = parts.options().nodes
  return planMoves({
    by,
    threshold,
    maxMoves,
    epoch: report.epoch,
    nodes: report.nodes.map(({ name, weight }) => ({
      name,
      weight,
      capacity: nodes[name]?.capacity,
      isDrained: name === drain,
    })),
    shards: report.shards.map((shard) => ({
      ...shard,
      unit: unitOf(shard, parts),
      load: shard.load?.milliseconds ?? 0,
      fixed: fixedBy(shard, parts),
    })),
  })
}

/** Shards of one value of a composite function's first part are one unit, as they were when they were first placed. */
function unitOf({ name, group }: ShardReport, { runtime, model }: PlanParts): string {
  const shard = runtime().map.shards.get(name)
  const entity = [...model().entities.values()].find(
    (one): one is ShardedEntity => one.kind === 'sharded' && one.group === group,
  )
  if (!shard || !entity) return name
  return `${group}/${placementUnitOf(entity.fn.spaces, shard.index)}`
}

function fixedBy({ name }: ShardReport, { options, runtime, moving }: PlanParts): string | undefined {
  if (moving.has(name)) return 'it has a move that is not over'
  const shard = runtime().map.shards.get(name)
  return shard && hindranceOf(shard, undefined, { options: options(), runtime: runtime() })?.why
}

const invalid = (text: string): ShardedError => new ShardedError('OPTIONS_INVALID', `plan: ${text}.`, { details: {} })
