import { physicalName } from '../planning/bind-shard-names'
import type { ReshardedShard, Resharding } from '../rebalancing/resharding'
import type { MovedTable, ShardMove } from '../rebalancing/shard-move'

/** A move whose shard does not go elsewhere, but ends. */
export interface ReshardingMove extends ShardMove {
  readonly resharding: Resharding
}

/** A move as a resharding. @throws RangeError where it is none */
export function asResharding(move: ShardMove): ReshardingMove {
  const { resharding } = move
  if (resharding) return { ...move, resharding }
  throw new RangeError(`The move ${move.id} is no resharding.`)
}

/** A table of a shard, as it stands in its database. */
export const tableAt = (table: string, shard: ReshardedShard): MovedTable => physicalName(table, shard)

export const tablesAt = ({ tables }: Pick<Resharding, 'tables'>, shard: ReshardedShard): readonly MovedTable[] =>
  tables.map((table) => tableAt(table, shard))

/** Where a shard is, as the queries of its structure take it. */
export const placed = (resharding: Resharding, shard: ReshardedShard): Pick<ShardMove, 'layout' | 'tables'> => ({
  layout: shard.layout,
  tables: tablesAt(resharding, shard),
})

/** What the objects are called that a resharding has at a source: a schema, and triggers. */
export const captureName = ({ id }: Pick<ShardMove, 'id'>): string => `sharding_split_${id}`

/** The schema of what a resharding has at one of its sources. */
export const captureSchema = ({ id, resharding }: ReshardingMove, source: ReshardedShard): string =>
  `${captureName({ id })}_${resharding.sources.findIndex(({ name }) => name === source.name)}`
