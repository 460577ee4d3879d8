import type { EntityManager, QueryRunner } from 'typeorm'
import type { Shard } from '../topology/shard'

/** A transaction over shards: a query runner that opens nodes as they are touched. */
export interface ShardTransaction extends QueryRunner {
  /** The entity manager of a shard inside this transaction. */
  participant(shard: Shard): Promise<EntityManager>
  /** Opens nodes one after the other, in the given order. */
  openNodes(nodes: readonly string[]): Promise<void>
}
