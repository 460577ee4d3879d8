import type { EntityMetadata, ObjectLiteral } from 'typeorm'
import { loadedRelation } from '../binding/entity-shards'
import { cascadesOf, reachesApart } from '../binding/relation-apart'
import { refuseLeaving } from '../find/check-relations'
import { cascadesIn, type PersistMode } from './entity-graph'

/**
 * Refuses a write of unsharded entities that reaches sharded ones by cascades, and from these goes on to rows elsewhere: TypeORM, which does
 * the whole write, is not told of such cascades.
 *
 * @throws ShardedError CROSS_SHARD_RELATION
 */
export function refuseLostCascades(
  mode: PersistMode,
  { target, given }: { readonly target: unknown; readonly given: unknown },
  metadataOf: (target: unknown) => EntityMetadata | undefined,
): void {
  const seen = new Set<ObjectLiteral>()
  const visit = (metadata: EntityMetadata, entity: ObjectLiteral): void => {
    if (seen.has(entity)) return
    seen.add(entity)
    for (const relation of metadata.relations) {
      if (!cascadesIn(cascadesOf(relation), mode)) continue
      const related = loadedRelation(relation, entity)
      if (related.length > 0 && !cascadesIn(relation, mode)) refuseLeaving(metadata, relation)
      for (const one of related) visit(relation.inverseEntityMetadata, one)
    }
  }
  const entities: readonly unknown[] = Array.isArray(given) ? given : [given]
  for (const entity of entities) {
    if (typeof entity !== 'object' || entity === null) continue
    const metadata = metadataOf(target ?? entity.constructor)
    if (metadata && reachesApart(metadata)) visit(metadata, entity)
  }
}
