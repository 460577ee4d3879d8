import type { EntityMetadata } from 'typeorm'
import { type ShardedModel, shardedEntity } from '../../model/sharded-entity'

/**
 * The colocation group of a table: its entity's, or for junction and closure tables that of the entity that owns them;
 * undefined where that is not sharded.
 */
export function colocationGroup(
  metadata: EntityMetadata,
  ofEntity: (target: unknown) => string | undefined,
): string | undefined {
  const own = ofEntity(metadata.target)
  if (own !== undefined || !metadata.isJunction) return own
  const owner = metadata.parentClosureEntityMetadata ?? metadata.foreignKeys[0]?.referencedEntityMetadata
  return owner && ofEntity(owner.target)
}

/** The colocation group of any table of a model. */
export type GroupOf = (metadata: EntityMetadata) => string | undefined

export const groupsOf =
  (model: ShardedModel): GroupOf =>
  (metadata) =>
    colocationGroup(metadata, (target) => shardedEntity(model, target)?.group)
