import type { Shard } from '../../topology/shard'

/** A statement that TypeORM made for one shard. */
export interface ShardStatement {
  readonly shard: Shard
  readonly text: string
  readonly parameters: readonly unknown[]
}
