import type { NodePool } from '../../endpoints/node-pool'
import type { ShardedModel } from '../../model/sharded-entity'
import type { LoadStatistics } from '../../rebalancing/load-statistics'
import { readSizes, type ShardSize } from '../../rebalancing/read-sizes'
import { type HotKey, type TopologyReport, topologyReport } from '../../rebalancing/topology-report'
import { ownersOf, type ShardMap } from '../../topology/shard-map'
import { lacksName } from '../runners/following-map'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { ShardSchemas } from './shard-schemas'
import type { ShardedDataSourceOptions } from './sharded-data-source-options'

export interface ReportOptions {
  /** Counts the rows of every table, which reads all of them. Default: what the servers' statistics say. */
  readonly exact?: boolean
}

interface ReportParts {
  readonly options: () => ShardedDataSourceOptions
  readonly runtime: () => ShardRuntime
  readonly model: () => ShardedModel
  readonly schemas: () => ShardSchemas
  readonly loads: () => LoadStatistics | undefined
  readonly follow: () => Promise<void>
  /** The nodes by their names, without a bound for a statement: rows are counted there. */
  readonly pools: () => Promise<ReadonlyMap<string, NodePool>>
}

/** Times that a report is taken, where shards move meanwhile. */
const maxTries = 4

/** Takes a report of one shard map: where that changes meanwhile, a shard might be counted twice, or not at all. */
export async function takeReport(parts: ReportParts, { exact = false }: ReportOptions): Promise<TopologyReport> {
  for (let round = 1; ; round++) {
    const { map } = parts.runtime()
    try {
      const sizes = await sizesOf(parts, map, exact)
      await parts.follow()
      if (parts.runtime().map === map || round === maxTries) return reportOf(parts, { map, sizes, isExact: exact })
    } catch (error) {
      if (!lacksName(error) || round === maxTries) throw error
      await parts.follow()
    }
  }
}

async function sizesOf(
  { runtime, schemas, pools }: ReportParts,
  map: ShardMap,
  isExact: boolean,
): Promise<ReadonlyMap<string, ShardSize>> {
  const tables = new Map([...map.groups.keys()].map((group) => [group, schemas().tablesOf(group)] as const))
  const counting = isExact ? await pools() : undefined
  const sizes = await Promise.all(
    map.nodes.map(async (node) => {
      const own = [...map.shards.values()].filter((shard) => shard.node === node)
      const pool = counting?.get(node) ?? runtime().pool(node).background
      const given = own.map((shard) => ({ shard, tables: tables.get(shard.group) ?? [] }))
      const read = given.length > 0 ? await readSizes((text, values) => pool.query(text, values), given, isExact) : []
      return read.map((size, place) => [own[place]?.name ?? '', size] as const)
    }),
  )
  return new Map(sizes.flat())
}

interface Placed {
  readonly map: ShardMap
  readonly model: ShardedModel
}

function reportOf(
  { options, model, loads }: ReportParts,
  read: { readonly map: ShardMap; readonly sizes: ReadonlyMap<string, ShardSize>; readonly isExact: boolean },
): TopologyReport {
  const counted = loads()
  const weights = Object.fromEntries(Object.entries(options().nodes).map(([name, { weight = 1 }]) => [name, weight]))
  const hotKeys = counted
    ? [...read.map.groups.keys()].flatMap((group) => hottestOf(group, counted, { map: read.map, model: model() }))
    : []
  return topologyReport({ ...read, takenAt: new Date(), weights, load: counted?.statements, hotKeys })
}

/** Keys that several entities of a group have are one key: their rows lie together. */
function hottestOf(group: string, loads: LoadStatistics, { map, model }: Placed): readonly HotKey[] {
  const entity = [...model.entities.values()].find((one) => one.kind === 'sharded' && one.group === group)
  if (entity?.kind !== 'sharded') return []
  const owners = ownersOf(map, group)
  return loads.hottest(group).map(({ key: text, ...counts }) => {
    const key = Object.freeze(entity.keyColumns.length === 1 ? [text] : text.split('\0'))
    const shard = map.groups.get(group)?.[owners.shardOf(entity.fn.unitOf(key)) ?? -1]
    return Object.freeze({ group, key, shard: shard?.name, ...counts })
  })
}
