import type { ColumnType, EntityMetadata, ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { isHidden } from './hidden-key-source'

/** What TypeORM's driver binds as it was given, after it has looked for the type among all those that it converts. */
const boundAsGiven: ReadonlySet<ColumnType> = new Set<ColumnType>([
  String,
  Number,
  ...(['smallint', 'int2', 'int', 'integer', 'int4', 'bigint', 'int8'] as const),
  ...(['numeric', 'decimal', 'real', 'float', 'float4', 'float8', 'double precision'] as const),
  ...(['text', 'varchar', 'character varying', 'char', 'character', 'citext'] as const),
  ...(['boolean', 'bool', 'uuid', 'bytea'] as const),
])

/**
 * What reads the value that TypeORM would bind for a column from a row; undefined: the column's default.
 * For many rows: what does not depend on the row is decided once.
 */
export function storedValueOf(
  column: ColumnMetadata,
  { dataSource: { driver }, discriminatorValue }: EntityMetadata,
): (row: ObjectLiteral) => unknown {
  const { propertyName } = column
  const isPlain = !column.embeddedMetadata && !column.relationMetadata && !column.referencedColumn && !isHidden(column)
  const given = isPlain
    ? (row: ObjectLiteral): unknown => row[propertyName]
    : (row: ObjectLiteral): unknown => column.getEntityValue(row)
  if (column.isDiscriminator) return () => discriminatorValue
  if (!column.transformer && !column.isVersion && boundAsGiven.has(column.type)) return given
  return (row) => {
    const value = given(row)
    const prepared: unknown = typeof value === 'function' ? value : driver.preparePersistentValue(value, column)
    return column.isVersion && prepared === undefined ? 1 : prepared
  }
}
