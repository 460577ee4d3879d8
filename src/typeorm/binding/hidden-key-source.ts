import type { EntityMetadata } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { rootEntity } from './root-entity'

const sources = new WeakMap<EntityMetadata, RelationMetadata>()
const hidden = new WeakSet<ColumnMetadata>()
const repeated = new WeakSet<EntityMetadata>()

/** The relation whose rows hold the shard key of an entity, where the entity has no property for the key. */
export const hiddenKeySource = (metadata: EntityMetadata): RelationMetadata | undefined => sources.get(metadata)

/** True for a column that `@ShardKey({ from })` has added. No find selects it, and no object shows its value. */
export const isHidden = (column: ColumnMetadata): boolean => hidden.has(column)

/** True for an entity whose shard key is repeated in hidden columns of others: it never changes beside them. */
export const isKeySource = (metadata: EntityMetadata): boolean => repeated.has(metadata)

export function noteSource(metadata: EntityMetadata, relation: RelationMetadata): void {
  sources.set(metadata, relation)
  const root = rootEntity(relation.inverseEntityMetadata)
  for (const one of [root, ...root.childEntityMetadatas]) repeated.add(one)
}

export function noteHidden(column: ColumnMetadata): void {
  hidden.add(column)
}
