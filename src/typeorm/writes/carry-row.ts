import type { ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { placeholderSchema } from '../../planning/bind-shard-names'
import type { Shard } from '../../topology/shard'
import { quoted } from '../../values/quoted'
import type { EntityBinding } from '../binding/entity-binding'
import type { RowMoves, ShardTransaction } from '../runners/shard-transaction'

/** One entity's row that is to get another shard key. */
export interface RowMove {
  readonly binding: EntityBinding
  readonly entity: ObjectLiteral
  readonly from: Shard
  /** The shard key as the entity has it now in the database, where it is known; its columns' own values, in order. */
  readonly before: readonly unknown[]
  /** The columns that the move sets, and their values: the shard key, and what refers to rows of the new shard. */
  readonly sets: ReadonlyMap<ColumnMetadata, unknown>
}

/** How often a row is followed that others move while we look for it. */
export const maxRounds = 3

/** The columns of the shard key, with these values. */
export const setsOfKey = ({ keyColumns }: EntityBinding, key: readonly unknown[]): RowMove['sets'] =>
  new Map(keyColumns.map((column, index) => [column, key[index]]))

/** Moves a row by its primary key, as it is but for what the move sets. @returns false where it is not on that shard */
export async function carryRow(
  transaction: ShardTransaction,
  { binding, entity, from, before, sets }: RowMove,
  moves: RowMoves,
): Promise<boolean> {
  const { metadata, keyColumns } = binding
  const { driver } = metadata.dataSource
  const parameters: unknown[] = []
  const equal = (column: ColumnMetadata, value: unknown): string =>
    `${quoted(column.databaseName)} = $${parameters.push(driver.preparePersistentValue(value, column))}`
  const assignments = [...sets].map(([column, value]) => equal(column, value))
  const where = metadata.primaryColumns.map((column) => {
    const index = keyColumns.indexOf(column)
    return equal(column, (index >= 0 ? before[index] : undefined) ?? column.getEntityValue(entity))
  })
  const table = `"${placeholderSchema}".${quoted(metadata.tableName)}`
  const text = `UPDATE ${table} SET ${assignments.join(', ')} WHERE ${where.join(' AND ')}`
  return (await transaction.moveRows({ shard: from, text, parameters }, moves)) > 0
}
