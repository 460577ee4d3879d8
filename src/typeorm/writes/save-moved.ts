import { ShardedError } from '../../errors/sharded-error'
import { primaryKeyText } from '../binding/primary-key-text'
import { locateRow } from '../reads/locate-rows'
import type { LoadOverride } from '../runners/load-override'
import type { ShardAccess } from '../runners/shard-access'
import type { ShardTransaction } from '../runners/shard-transaction'
import { carryRow, maxRounds, type RowMove } from './carry-row'

/**
 * Moves the rows of entities that are about to be saved with another shard key. A row that is gone is left to TypeORM,
 * which inserts it; one that somebody else has moved is taken from where it is now.
 *
 * @throws ShardedError ROW_MOVED where it moves again and again, and what a move throws
 */
export async function carryChanged(
  access: ShardAccess,
  transaction: ShardTransaction,
  moves: readonly RowMove[],
): Promise<void> {
  const { entityShards } = access.runtime
  for (const move of moves) {
    const origin = entityShards.of(move.entity)
    transaction.onRollback(() => {
      if (origin) entityShards.set(move.entity, origin)
    })
    await follow(access, transaction, move, maxRounds)
  }
}

async function follow(
  access: ShardAccess,
  transaction: ShardTransaction,
  move: RowMove,
  rounds: number,
): Promise<void> {
  if (await carryRow(transaction, move, { children: false })) return
  const { binding, entity } = move
  const located = await locateRow(access, binding, entity)
  if (!located) return
  if (rounds > 1) return follow(access, transaction, { ...move, from: located.shard }, rounds - 1)
  throw new ShardedError('ROW_MOVED', `A row of ${binding.entity.name} was moved while it was saved.`, {
    details: { entity: binding.entity.name, shard: located.shard.name },
  })
}

/** Rows that have moved, to be shown with the keys that they had: TypeORM loads them to compare, and to it the save changes the keys. */
export const shownBefore = (moves: readonly RowMove[]): readonly LoadOverride[] => moves.map(beforeOf)

const beforeOf = ({ binding, entity, before }: RowMove): LoadOverride => ({
  target: binding.metadata.target,
  primaryKey: primaryKeyText(binding.metadata, entity),
  show: (row) => {
    for (const [index, column] of binding.keyColumns.entries()) column.setEntityValue(row, before[index])
  },
})
