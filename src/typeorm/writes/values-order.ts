import { orderOfRows, type WriteOrder } from '../../lookups/write-order'
import type { InsertedRows } from '../../query/write-query'
import { knownValue } from '../../routing/known-value'
import type { EntityBinding } from '../binding/entity-binding'
import { primaryKeyTextOf } from '../binding/primary-key-text'

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
