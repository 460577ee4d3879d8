import { ShardedError } from '../errors/sharded-error'
import type { ReshardedShard } from '../rebalancing/resharding'
import type { ReshardingMove } from './resharding-move'

const detailsOf = ({ id, shard }: ReshardingMove) => ({ id, shard })

export const stalled = (move: ReshardingMove, what: string): ShardedError =>
  new ShardedError('SHARD_MOVE_STALLED', `The resharding of ${move.shard} stands still: ${what}.`, {
    details: detailsOf(move),
  })

export const tablesGone = (move: ReshardingMove): ShardedError =>
  new ShardedError('SHARD_MOVE_DIFFERS', `Tables of ${move.shard} are gone from its node.`, {
    details: detailsOf(move),
  })

export const structureDiffers = (
  move: ReshardingMove,
  { name }: ReshardedShard,
  differences: readonly string[],
): ShardedError =>
  new ShardedError(
    'SHARD_MOVE_DIFFERS',
    `The structure of ${name} is not what it was when its resharding began: ${differences.join('; ')}.`,
    { details: { ...detailsOf(move), differences } },
  )

export const inTheWay = (move: ReshardingMove, { name }: ReshardedShard): ShardedError =>
  new ShardedError('SHARD_MOVE_REFUSED', `In the place of the new shard ${name} are tables already.`, {
    details: { ...detailsOf(move), missing: [] },
    fix: 'Cancel the resharding, and drop them or move them away.',
  })
