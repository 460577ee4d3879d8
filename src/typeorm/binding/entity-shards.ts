import type { ObjectLiteral } from 'typeorm'
import { PrivateField } from '../../collections/private-field'
import type { Shard } from '../../topology/shard'
import type { EntityBinding } from './entity-binding'
import { loadedRelation } from './loaded-relation'

/** Where an entity was loaded from or saved to, and the raw shard key values that it had then. */
export interface LoadedFrom {
  readonly shard: Shard
  readonly key: readonly unknown[]
}

/** Remembers the shard that each live entity came from; forgets with the entity. */
export class EntityShards {
  private readonly entityShards = new PrivateField<LoadedFrom>()

  constructor(private readonly bindingOf: (target: unknown) => EntityBinding | undefined) {}

  of(entity: object): LoadedFrom | undefined {
    return this.entityShards.get(entity)
  }

  set(entity: object, origin: LoadedFrom): void {
    this.entityShards.set(entity, Object.freeze({ ...origin }))
  }

  forget(entity: object): void {
    this.entityShards.delete(entity)
  }

  /** Remembers an entity and the loaded, colocated entities that hang on it. */
  remember(binding: EntityBinding, entity: ObjectLiteral, shard: Shard): void {
    this.note(binding, entity, shard)
    if (binding.metadata.relations.length > 0) this.follow(binding, entity, { shard, seen: new Set() })
  }

  private note(binding: EntityBinding, entity: ObjectLiteral, shard: Shard): void {
    const key = binding.keyColumns.map((column): unknown => column.getEntityValue(entity))
    this.entityShards.set(entity, { shard, key })
  }

  private follow(
    binding: EntityBinding,
    entity: ObjectLiteral,
    from: { readonly shard: Shard; readonly seen: Set<object> },
  ): void {
    from.seen.add(entity)
    for (const relation of binding.metadata.relations) {
      const related = loadedRelation(relation, entity)
      if (related.length === 0) continue
      const inverse = this.bindingOf(relation.inverseEntityMetadata.target)
      if (!inverse || inverse.entity.group !== binding.entity.group) continue
      for (const one of related) {
        if (from.seen.has(one)) continue
        this.note(inverse, one, from.shard)
        this.follow(inverse, one, from)
      }
    }
  }
}
