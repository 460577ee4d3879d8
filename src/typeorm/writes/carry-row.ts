import type { ObjectLiteral } from 'typeorm'
import { placeholderSchema } from '../../planning/bind-shard-names'
import type { Shard } from '../../topology/shard'
import { quoted } from '../../values/quoted'
import type { EntityBinding } from '../binding/entity-binding'
import type { RowMoves } from '../runners/row-moves'
import type { ShardTransaction } from '../runners/shard-transaction'

/** One entity's row that is to get another shard key. */
export interface RowMove {
  readonly binding: EntityBinding
  readonly entity: ObjectLiteral
  readonly from: Shard
  /** The shard key as the entity has it now in the database, where it is known; its columns' own values, in order. */
  readonly before: readonly unknown[]
  readonly after: readonly unknown[]
}

/** How often a row is followed that others move while we look for it. */
export const maxRounds = 3

/** Moves a row by its primary key, as it is but for the shard key. @returns false where it is not on that shard */
export async function carryRow(
  transaction: ShardTransaction,
  { binding, entity, from, before, after }: RowMove,
  moves: RowMoves,
): Promise<boolean> {
  const { metadata, keyColumns } = binding
  const { driver } = metadata.dataSource
  const parameters: unknown[] = []
  const equal = (name: string, value: unknown): string => `${quoted(name)} = $${parameters.push(value)}`
  const sets = keyColumns.map((column, index) =>
    equal(column.databaseName, driver.preparePersistentValue(after[index], column)),
  )
  const where = metadata.primaryColumns.map((column) => {
    const index = keyColumns.indexOf(column)
    const value: unknown = (index >= 0 ? before[index] : undefined) ?? column.getEntityValue(entity)
    return equal(column.databaseName, driver.preparePersistentValue(value, column))
  })
  const table = `"${placeholderSchema}".${quoted(metadata.tableName)}`
  const text = `UPDATE ${table} SET ${sets.join(', ')} WHERE ${where.join(' AND ')}`
  return (await transaction.moveRows({ from, text, parameters }, moves)) > 0
}
