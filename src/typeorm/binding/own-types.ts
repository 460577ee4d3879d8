import type { EntityMetadata } from 'typeorm'

/** True where the table of an entity has a column whose type (an enum) each shard declares for itself. */
export function hasOwnTypes(metadata: EntityMetadata): boolean {
  // The root of a single table inheritance has the columns of all its children.
  const { columns } = metadata.tableType === 'entity-child' ? metadata.parentEntityMetadata : metadata
  return columns.some(({ type }) => type === 'enum' || type === 'simple-enum')
}
