import type { MoveHost } from '../rebalancing/move-host'
import type { ReshardedShard } from '../rebalancing/resharding'
import type { ReshardingMove } from './resharding-move'
import type { ShardKeySql } from './shard-table'

/** Where rows go: what their tables have for a shard key, and who owns it. */
export interface RowRouter {
  /** An array of the texts of a row's shard key, of the row as `row` of `rebalancing/compared-table.ts` calls it. */
  shardKeySql(table: string, shard: ReshardedShard): ShardKeySql
  /** The label of the shard that a row will be on. @throws ShardedError KEY_INVALID */
  labelOf(table: string, shardKey: readonly (string | null)[]): string
}

/** What the machine needs of its caller. */
export interface ReshardingHost extends MoveHost {
  router(move: ReshardingMove): RowRouter
}
