import type { GroupOwners } from '../topology/group-owners'
import type { PlacedTables } from '../topology/shard'

/** A shard that a resharding ends, or makes. */
export interface ReshardedShard extends PlacedTables {
  /** The identity of its database. */
  readonly database: string
}

/**
 * Shards that take the place of others: parts of one (`split`), one and a shard for single keys (`isolate`), or one of several (`merge`). New
 * shards have new names, so that nobody who knows the former ones finds a part of their rows.
 */
export interface Resharding {
  readonly kind: 'split' | 'isolate' | 'merge'
  readonly sources: readonly ReshardedShard[]
  readonly targets: readonly ReshardedShard[]
  /** The tables of each shard, without the suffix of one. */
  readonly tables: readonly string[]
  /** Of the whole group: what the shards own now, and then. */
  readonly before: GroupOwners
  readonly owners: GroupOwners
}
