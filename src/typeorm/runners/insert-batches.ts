import type { ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { maxParameters } from '../../sql/max-parameters'
import { maxArrayCharacters } from './column-arrays'

/** Rows of one statement of arrays: no fewer than a statement of parameters can have. */
const maxArrayRows = maxParameters

/** Divides the rows of an insert that is too large for one statement, in their order; any other is one batch. */
export function insertBatches(
  rows: readonly ObjectLiteral[],
  columns: readonly ColumnMetadata[],
): readonly (readonly ObjectLiteral[])[] {
  // One statement, as it is TypeORM's.
  if (rows.length * columns.length <= maxParameters) return [rows]
  const batches: ObjectLiteral[][] = []
  let batch: ObjectLiteral[] = []
  let characters = 0
  for (const row of rows) {
    const size = roughSize(row, columns)
    if (batch.length === maxArrayRows || (batch.length > 0 && characters + size > maxArrayCharacters / 2)) {
      batches.push(batch)
      batch = []
      characters = 0
    }
    batch.push(row)
    characters += size
  }
  batches.push(batch)
  return batches
}

/** Of half the bound only: objects become texts, and bytes twice as many characters, on their way to the statement. */
function roughSize(row: ObjectLiteral, columns: readonly ColumnMetadata[]): number {
  let size = 0
  for (const column of columns) {
    const value: unknown = column.getEntityValue(row)
    size += typeof value === 'string' || Buffer.isBuffer(value) ? value.length : 16
  }
  return size
}
