import { ShardedError } from '../errors/sharded-error'
import type { ReshardedShard } from '../rebalancing/resharding'
import type { ReshardingMove } from './resharding-move'

const detailsOf = ({ id, shard }: ReshardingMove) => ({ id, shard })

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
