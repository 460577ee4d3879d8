import { ShardedError } from '../errors/sharded-error'
import type { ShardMove } from './shard-move'

const detailsOf = ({ id, shard }: ShardMove) => ({ id, shard })

export const stalled = (move: ShardMove, what: string): ShardedError =>
  new ShardedError('SHARD_MOVE_STALLED', `The move of ${move.shard} stands still: ${what}.`, {
    details: detailsOf(move),
  })

export const slotLost = (move: ShardMove): ShardedError =>
  new ShardedError(
    'SHARD_MOVE_DIFFERS',
    `The slot or the subscription of the move of ${move.shard} is gone, or WAL that it needs was removed (max_slot_wal_keep_size).`,
    {
      details: detailsOf(move),
    },
  )

export const tablesGone = (move: ShardMove): ShardedError =>
  new ShardedError('SHARD_MOVE_DIFFERS', `Tables of ${move.shard} are gone from its source.`, {
    details: detailsOf(move),
  })

export const inTheWay = (move: ShardMove): ShardedError =>
  new ShardedError(
    'SHARD_MOVE_REFUSED',
    `The target of ${move.shard} has tables in its place that the move has not made.`,
    {
      details: { ...detailsOf(move), missing: [] },
      fix: 'Cancel the move, and drop them or move them away.',
    },
  )
