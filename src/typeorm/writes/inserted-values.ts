import type { Node } from '@pgsql/types'
import { ShardedError } from '../../errors/sharded-error'
import { nextId } from '../../ids/id-maker'
import { orderOfRows, type WriteOrder } from '../../lookups/write-order'
import type { InsertedRows } from '../../query/write-query'
import { knownValue } from '../../routing/known-value'
import type { ShardedTable } from '../../routing/table-catalog'
import type { EntityBinding } from '../binding/entity-binding'
import { checkSlot, slotToCarry } from '../binding/entity-ids'
import { primaryKeyTextOf } from '../binding/primary-key-text'

/** The table that rows of VALUES are for. */
interface IdTable {
  readonly table: ShardedTable
  readonly binding: EntityBinding | undefined
  /** The canonical shard key of a row; it is asked when an id that is a part of it is there. */
  readonly keyOf: (row: number, inserted: InsertedRows) => readonly string[]
}

/**
 * Gives the rows of VALUES ids where they have none, and checks that those which they have lead to them.
 *
 * @throws ShardedError ID_OF_ANOTHER_SLOT, STATEMENT_UNSUPPORTED, and what making ids throws
 */
export async function withIds(
  { columns: named, rows, values: given }: InsertedRows,
  { table: { idColumn, slotColumns, name }, binding, keyOf }: IdTable,
): Promise<InsertedRows> {
  const id = binding?.id
  if (idColumn === undefined || !id) return { columns: named, rows, values: given }
  const columns = named.includes(idColumn) ? named : [...named, idColumn]
  const position = columns.indexOf(idColumn)
  const values = [...given]
  const complete: (readonly Node[])[] = []
  for (const [index, row] of rows.entries()) {
    const node = row[position]
    const isMissing = node === undefined || 'SetToDefault' in node
    const key = id.isKey || (!isMissing && !id.carriesSlot) ? undefined : keyOf(index, { columns, rows, values })
    if (isMissing) {
      const made = await nextId(id.maker, key && slotToCarry(binding, key), rows.length)
      const parameter: Node = { ParamRef: { number: values.push(made) } }
      complete.push([...row.slice(0, position), parameter, ...row.slice(position + 1)])
      continue
    }
    complete.push(row)
    if (!id.carriesSlot || !key) continue
    const value = knownValue(node, { parameter: (number) => values[number - 1] })
    if (!value)
      throw new ShardedError(
        'STATEMENT_UNSUPPORTED',
        `An INSERT whose id ${idColumn} is an expression cannot be checked.`,
        {
          details: { table: name, column: idColumn },
        },
      )
    const slot = slotColumns.get(idColumn)?.(value.value)
    if (slot !== undefined) checkSlot(binding, slot, key)
  }
  return { columns, rows: complete, values }
}

/** The order of the rows of VALUES, as far as those tell their primary keys. */
export function valuesOrder(
  binding: EntityBinding | undefined,
  { columns, rows, values }: InsertedRows,
): WriteOrder | undefined {
  if (!binding || rows.length < 2) return undefined
  const { metadata } = binding
  return orderOfRows(false, () =>
    rows.map((row) => ({
      table: metadata.tableName,
      primaryKey: primaryKeyTextOf(metadata, ({ databaseName }) => {
        const node = row[columns.indexOf(databaseName)]
        return node && knownValue(node, { parameter: (number) => values[number - 1] })?.value
      }),
    })),
  )
}
