import type { EntityManager, QueryRunner } from 'typeorm'
import type { Fuse } from '../execution/fuse'
import type { NodeConnection } from '../execution/node-connection'
import type { Shard } from '../topology/shard'

/** A transaction over shards: a query runner that opens nodes as they are touched. */
export interface ShardTransaction extends QueryRunner {
  /** The entity manager of a shard inside this transaction; with a fuse, one of the caller's own. */
  participant(shard: Shard, fuse?: Fuse): Promise<EntityManager>
  /** The connection of a shard's node inside this transaction. */
  connectionFor(shard: Shard): Promise<NodeConnection>
  /** Opens nodes one after the other, in the given order. */
  openNodes(nodes: readonly string[]): Promise<void>
  /** What its operations are narrowed to. */
  readonly narrowing?: { readonly cacheScope: string | undefined } | undefined
}

/** True for the query runner of a sharded data source, false for those of single shards. */
export const isShardTransaction = (runner: QueryRunner | undefined): runner is ShardTransaction =>
  runner !== undefined && 'participant' in runner
