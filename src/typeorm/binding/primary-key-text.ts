import type { EntityManager, EntityMetadata, ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { canonicalKey, canonicalTuple } from '../../values/canonical-key'
import { keyTypeOf } from './describe-entities'

/** A text that is the same for the same primary key, whatever form its values have in the object. */
export const primaryKeyText = (metadata: EntityMetadata, object: ObjectLiteral): string =>
  columnsText(metadata.primaryColumns, object)

/** The same of other columns than the primary key. */
export const columnsText = (columns: readonly ColumnMetadata[], object: ObjectLiteral): string =>
  keyTextOf(columns, (column) => {
    const raw: unknown = column.getEntityValue(object)
    const { driver } = column.entityMetadata.dataSource
    return raw === undefined || raw === null ? raw : driver.preparePersistentValue(raw, column)
  })

/** A text that is the same for objects of one row, and for no others. Entities of an inheritance share a table. */
export const rowText = (metadata: EntityMetadata, object: ObjectLiteral): string =>
  `${metadata.tableName} ${primaryKeyText(metadata, object)}`

/** As `primaryKeyText`, of values as the database takes them. */
export const primaryKeyTextOf = (
  { primaryColumns }: EntityMetadata,
  databaseValue: (column: ColumnMetadata) => unknown,
): string => keyTextOf(primaryColumns, databaseValue)

/** A text that is the same for equal values of columns, as the database takes them. */
function keyTextOf(columns: readonly ColumnMetadata[], databaseValue: (column: ColumnMetadata) => unknown): string {
  const parts = columns.map((column) => {
    const value = databaseValue(column)
    if (value === undefined || value === null) return ''
    const type = keyTypeOf(column)
    try {
      return (type && canonicalKey(value, type)) ?? String(value)
    } catch {
      return String(value)
    }
  })
  return canonicalTuple(parts)
}

/** The texts of those primary keys that a shard has rows of, soft-deleted ones too. */
export async function storedKeys(
  manager: EntityManager,
  metadata: EntityMetadata,
  rows: readonly ObjectLiteral[],
): Promise<ReadonlySet<string>> {
  const found = await manager
    .createQueryBuilder(metadata.target, metadata.name)
    .select(metadata.primaryColumns.map(({ propertyPath }) => `${metadata.name}.${propertyPath}`))
    .withDeleted()
    .whereInIds(rows.map((row) => metadata.getEntityIdMap(row)))
    .getMany()
  return new Set(found.map((entity) => primaryKeyText(metadata, entity)))
}
