import type { ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { ShardedError } from '../../errors/sharded-error'
import { copyField, copyNull } from '../../values/copy-field'
import { parameterText } from '../../values/parameter-text'
import { typeName } from '../binding/describe-entities'
import type { EntityBinding } from '../binding/entity-binding'
import { storedValueOf } from '../binding/stored-value'

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
 * @param values what some of these are for all rows of the load
 */
export function rowEncoder(
  { metadata, entity }: EntityBinding,
  defaults: { has(name: string): boolean },
  values: ReadonlyMap<string, string> = new Map(),
): RowEncoder {
  const inserted = metadata.columns.filter(
    ({ isInsert, isGenerated, generationStrategy, databaseName }) =>
      (isInsert || values.has(databaseName)) && !(isGenerated && generationStrategy === 'increment'),
  )
  const columns = inserted.filter(({ generatedType }) => !generatedType)
  const computed = inserted.filter(({ generatedType }) => generatedType)
  const fields = columns.map((column) => ({
    column,
    valueOf: column.isInsert ? storedValueOf(column, metadata) : () => undefined,
    textOf: fieldOf(column, entity.name),
    hasDefault: defaults.has(column.databaseName) && !values.has(column.databaseName),
    absent: values.has(column.databaseName) ? copyField(values.get(column.databaseName) ?? '') : copyNull,
  }))
  // TypeORM reads the columns of an embedded from its object: from any other value it would read none.
  const embedded = metadata.allEmbeddeds.map(({ propertyPath }) => ({ propertyPath, names: propertyPath.split('.') }))
  return (row) => {
    for (const { propertyPath, names } of embedded) {
      const value = names.reduce<unknown>((object, name) => (isObject(object) ? object[name] : undefined), row)
      if (value != null && typeof value !== 'object') throw unfit(entity.name, { propertyPath }, value)
    }
    for (const column of computed) {
      const value: unknown = column.getEntityValue(row)
      if (value !== undefined) throw unfit(entity.name, column, value)
    }
    // Joined at once: text that is put together piece by piece is kept in pieces, of which there would be millions.
    const texts: string[] = []
    const left: ColumnMetadata[] = []
    for (const field of fields) {
      const value = field.valueOf(row)
      if (value === undefined && field.hasDefault) left.push(field.column)
      else if (value === undefined) texts.push(field.absent)
      else texts.push(value === null ? copyNull : field.textOf(value))
    }
    // The same list for all rows that leave nothing out, so that it need not be compared.
    const own = left.length === 0 ? columns : columns.filter((column) => !left.includes(column))
    return { columns: own, line: texts.join('\t') }
  }
}

const isObject = (value: unknown): value is ObjectLiteral => typeof value === 'object' && value !== null

/** The text of a value that is not null. */
function fieldOf(column: ColumnMetadata, entity: string): (value: unknown) => string {
  const isInstant = typeName(column) === 'timestamp with time zone'
  return (value) => {
    if (typeof value === 'string') return copyField(value)
    if (typeof value === 'number' || typeof value === 'boolean') return String(value)
    if (isInstant && value instanceof Date && isModern(value)) return value.toISOString()
    const text = isSpatial(column) || typeof value === 'function' ? undefined : parameterText(value)
    if (text === undefined || (Buffer.isBuffer(text) && column.type !== 'bytea')) throw unfit(entity, column, value)
    return copyField(text)
  }
}

/**
 * Since then no zone has had an offset with seconds, which pg leaves out: the instant that it sends in local time is the one of
 * `toISOString`, which takes a fifth of the time.
 */
const modernFrom = Date.UTC(1973, 0)
const modernTo = Date.UTC(10_000, 0)
const isModern = (date: Date): boolean => date.getTime() >= modernFrom && date.getTime() < modernTo

/** PostGIS has functions for what TypeORM stores, which COPY does not call. */
const isSpatial = ({ type }: ColumnMetadata): boolean => type === 'geometry' || type === 'geography'

function unfit(entity: string, column: Pick<ColumnMetadata, 'propertyPath'>, value: unknown): ShardedError {
  const type = value instanceof Object ? value.constructor.name : typeof value
  const what = typeof value === 'function' ? 'an expression' : `this ${type}`
  return new ShardedError('LOAD_ROW_INVALID', `${entity}.load: ${column.propertyPath} cannot be ${what}.`, {
    details: { entity, column: column.propertyPath, type },
  })
}
