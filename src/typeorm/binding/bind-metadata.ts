import type { EntityMetadata } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'

/** Where a table stands. */
export interface TableName {
  readonly schema: string
  readonly name: string
}

/**
 * Moves entity metadata to other tables. TypeORM reads `schema`, `tableName` and `tablePath` wherever it makes SQL; the
 * names of constraints and indexes are made from the table's name and so are built anew where that changes.
 */
export function bindMetadata(
  metadatas: readonly EntityMetadata[],
  nameOf: (metadata: EntityMetadata) => TableName,
): void {
  for (const metadata of metadatas) {
    const { schema, name } = nameOf(metadata)
    metadata.schema = schema
    metadata.tableName = name
    metadata.tablePath = metadata.dataSource.driver.buildTableName(name, schema, metadata.database)
  }
}

/**
 * Has TypeORM take an id for one that the database makes: it returns it from every INSERT, fills it in, and lists it among
 * the generated values. Only the metadata that statements are made of says so; the tables have no default.
 */
export function markGenerated(column: ColumnMetadata): void {
  column.isGenerated = true
}

/**
 * Builds the names of constraints and indexes anew, after `bindMetadata` gave tables other names. Names that the user
 * gave get the suffix: in the layout `table`, indexes of all shards stand in one schema.
 */
export function renameConstraints(metadatas: readonly EntityMetadata[], suffix: string): void {
  for (const metadata of metadatas) {
    const { namingStrategy } = metadata.dataSource
    const named = [
      ...metadata.indices,
      ...metadata.ownIndices,
      ...metadata.uniques,
      ...metadata.ownUniques,
      ...metadata.checks,
      ...metadata.exclusions,
    ]
    for (const constraint of new Set(named)) {
      if (constraint.givenName) constraint.givenName = `${constraint.givenName}${suffix}`
      constraint.build(namingStrategy)
    }
    for (const column of metadata.columns) {
      if (column.primaryKeyConstraintName)
        column.primaryKeyConstraintName = `${column.primaryKeyConstraintName}${suffix}`
    }
  }
}

/** Makes foreign keys point at the tables' present places; a foreign key's name is local to its table. */
export function rebindForeignKeys(metadatas: readonly EntityMetadata[]): void {
  for (const metadata of metadatas) {
    for (const foreignKey of metadata.foreignKeys) foreignKey.build(metadata.dataSource.namingStrategy)
  }
}
