import type { EntityMetadata } from 'typeorm'

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
