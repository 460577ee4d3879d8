import type { EntityMetadata } from 'typeorm'
import type { KeyPrint, TableKeys } from '../../catalog/group-print'
import type { ShardedEntity, ShardedModel } from '../../model/sharded-entity'

/** The shard keys of each group's tables, as the databases name their columns. */
export function tableKeys(
  { entities }: ShardedModel,
  metadatas: readonly EntityMetadata[],
): ReadonlyMap<string, TableKeys> {
  const groups = new Map<string, Record<string, readonly KeyPrint[]>>()
  for (const metadata of metadatas) {
    const entity = entities.get(metadata.target)
    // Children of single-table inheritance stand in their parent's table.
    if (!entity || metadata.tableType === 'entity-child') continue
    const tables = groups.get(entity.group) ?? {}
    groups.set(entity.group, tables)
    tables[metadata.tableName] = keyOf(metadata, entity)
  }
  return groups
}

/** The shard key of an entity's table. */
export function keyOf(
  metadata: EntityMetadata,
  { keyColumns }: Pick<ShardedEntity, 'keyColumns'>,
): readonly KeyPrint[] {
  return Object.freeze(
    keyColumns.map(({ propertyPath, type: _, ...modifiers }) =>
      Object.freeze({
        name: metadata.findColumnWithPropertyPath(propertyPath)?.databaseName ?? propertyPath,
        ...modifiers,
      }),
    ),
  )
}
