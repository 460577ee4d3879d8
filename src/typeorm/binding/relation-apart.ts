import type { EntityMetadata } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import type { ShardedModel } from '../../model/sharded-entity'

const apart = new WeakSet<RelationMetadata>()

/**
 * True for a relation whose other row may lie elsewhere than the row that has it, as the model has decided it
 * (`model/relations-apart.ts`).
 */
export const leadsApart = (relation: RelationMetadata): boolean => apart.has(relation)

/**
 * Marks the relations that lead apart, and takes away their foreign keys: no database has the rows of both tables.
 *
 * @param metadatas all of a data source; those of its shards are the same objects
 */
export function markRelationsApart(metadatas: readonly EntityMetadata[], { entities }: ShardedModel): void {
  const marked = metadatas.flatMap(({ target, relations }) => {
    const paths = entities.get(target)?.relationsApart
    return relations.filter(({ propertyPath }) => paths?.has(propertyPath))
  })
  for (const relation of marked) apart.add(relation)
  const dropped = new Set(marked.filter(({ isManyToMany }) => !isManyToMany).flatMap(({ foreignKeys }) => foreignKeys))
  if (dropped.size === 0) return
  // A child of single-table inheritance and its parent both list the keys of their table.
  for (const owner of [...metadatas, ...marked])
    owner.foreignKeys = owner.foreignKeys.filter((key) => !dropped.has(key))
}
