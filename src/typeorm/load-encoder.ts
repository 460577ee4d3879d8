import type { ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { ShardedError } from '../errors/sharded-error'
import { copyField, copyNull } from '../execution/copy-field'
import { parameterText } from '../execution/parameter-text'
import { storedValue } from './column-arrays'
import type { EntityBinding } from './entity-binding'

/** A row as COPY takes it. */
export interface EncodedRow {
  readonly columns: readonly ColumnMetadata[]
  readonly line: string
}

export type RowEncoder = (row: ObjectLiteral) => EncodedRow

/**
 * Makes lines of COPY's text format of rows, each value as `insert` would store it. A column that a row leaves out is NULL, or
 * where it has a default is not among the row's columns.
 *
 * @param defaults the columns that have one in the database, by name
 */
export function rowEncoder({ metadata, entity }: EntityBinding, defaults: ReadonlySet<string>): RowEncoder {
  const inserted = metadata.columns.filter(
    ({ isInsert, isGenerated, generationStrategy }) => isInsert && !(isGenerated && generationStrategy === 'increment'),
  )
  const columns = inserted.filter(({ generatedType }) => !generatedType)
  const computed = inserted.filter(({ generatedType }) => generatedType)
  const fieldOf = (column: ColumnMetadata, value: unknown): string => {
    if (value === null || value === undefined) return copyNull
    if (typeof value === 'string') return copyField(value)
    if (typeof value === 'number') return String(value)
    const text = isSpatial(column) || typeof value === 'function' ? undefined : parameterText(value)
    if (text === undefined || (Buffer.isBuffer(text) && column.type !== 'bytea'))
      throw unfit(entity.name, column, value)
    return copyField(text)
  }
  return (row) => {
    const filled = computed.find((column) => column.getEntityValue(row) !== undefined)
    if (filled) throw unfit(entity.name, filled, filled.getEntityValue(row))
    // Joined at once: text that is put together piece by piece is kept in pieces, of which there would be millions.
    const fields: string[] = []
    // The same list for all rows that leave nothing out, so that it need not be compared.
    let own = columns
    for (const column of columns) {
      const value = storedValue(column, row, metadata)
      if (value === undefined && defaults.has(column.databaseName)) own = own.filter((one) => one !== column)
      else fields.push(fieldOf(column, value))
    }
    return { columns: own, line: fields.join('\t') }
  }
}

/** PostGIS has functions for what TypeORM stores, which COPY does not call. */
const isSpatial = ({ type }: ColumnMetadata): boolean => type === 'geometry' || type === 'geography'

function unfit(entity: string, column: ColumnMetadata, value: unknown): ShardedError {
  const type = value instanceof Object ? value.constructor.name : typeof value
  const what = typeof value === 'function' ? 'an expression' : `this ${type}`
  return new ShardedError('LOAD_ROW_INVALID', `${entity}.load: ${column.propertyPath} cannot be ${what}.`, {
    details: { entity, column: column.propertyPath, type },
  })
}
