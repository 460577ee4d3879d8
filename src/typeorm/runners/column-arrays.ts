import type { EntityMetadata, ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { maxParameters } from '../../sql/max-parameters'
import { storedValueOf } from '../binding/stored-value'

/** Fewer rows go as fast by the VALUES that TypeORM makes, which are left as they are. */
const minArrayRows = 3

/** Characters of values that one statement carries in arrays: PostgreSQL takes a message of 1 GB, Node a string of half that. */
export const maxArrayCharacters = 64 * 1024 * 1024

/** The values of one column of the rows to be inserted: an array parameter. */
export interface ColumnArray {
  readonly column: ColumnMetadata
  readonly list: readonly unknown[]
}

/**
 * The rows of an insert as one list a column; undefined where VALUES say what arrays cannot: an expression, a column that
 * some rows set and others leave to its default, a value or a type that has another form inside an array.
 */
export function columnArrays(
  rows: readonly ObjectLiteral[],
  columns: readonly ColumnMetadata[],
  metadata: EntityMetadata,
): readonly ColumnArray[] | undefined {
  if (rows.length < minArrayRows) return undefined
  const arrays: ColumnArray[] = []
  let characters = 0
  for (const column of columns) {
    const list: unknown[] = []
    const boundOf = storedValueOf(column, metadata)
    let unset = 0
    for (const row of rows) {
      const value: unknown = boundOf(row)
      if (value === undefined) unset += 1
      const length = lengthOf(column, value)
      if (length === undefined) return undefined
      characters += length
      list.push(value)
    }
    // Left out, a column gets its default: that is what DEFAULT says in VALUES.
    if (unset === rows.length) continue
    if (unset > 0 || hasOwnForm(column) || characters > maxArrayCharacters) return undefined
    arrays.push({ column, list })
  }
  return arrays.length > 0 ? arrays : undefined
}

/**
 * Arrays cannot be elements: as texts they would have to be cast to a type, and the declared one may be narrower than the table's.
 * PostGIS has functions for its types, and boxes a semicolon.
 */
const hasOwnForm = ({ isArray, type }: ColumnMetadata): boolean =>
  isArray || type === 'geometry' || type === 'geography' || type === 'box'

/** Undefined for a value that is not the same in an array as alone. */
function lengthOf({ type }: ColumnMetadata, value: unknown): number | undefined {
  switch (typeof value) {
    case 'string':
      return value.length
    case 'number':
    case 'bigint':
    case 'boolean':
    case 'undefined':
      return 8
    case 'object':
      if (value === null) return 4
      if (value instanceof Date) return 32
      // Alone, bytes are sent as they are whatever the column's type; in an array as the text of a bytea.
      return Buffer.isBuffer(value) && type === 'bytea' ? 2 * value.length : undefined
    default:
      return undefined
  }
}

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
