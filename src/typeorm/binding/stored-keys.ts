import type { EntityManager, EntityMetadata, ObjectLiteral } from 'typeorm'
import { primaryKeyText } from './primary-key-text'

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
