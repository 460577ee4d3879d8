import type { ObjectLiteral } from 'typeorm'
import type { Shard } from '../topology/shard'
import type { EntityBinding } from './entity-binding'

/** Where an entity was loaded from or saved to, and the raw shard key values that it had then. */
export interface Origin {
  readonly shard: Shard
  readonly key: readonly unknown[]
}

/** Remembers the shard that each live entity came from; forgets with the entity. */
export class Origins {
  private readonly origins = new WeakMap<object, Origin>()

  constructor(private readonly bindingOf: (target: unknown) => EntityBinding | undefined) {}

  of(entity: object): Origin | undefined {
    return this.origins.get(entity)
  }

  forget(entity: object): void {
    this.origins.delete(entity)
  }

  /** Remembers an entity and the loaded, colocated entities that hang on it. */
  remember(binding: EntityBinding, entity: ObjectLiteral, shard: Shard): void {
    const known = this.origins.get(entity)
    const key = binding.keyColumns.map((column): unknown => column.getEntityValue(entity))
    if (known && known.shard === shard && known.key.every((value, index) => value === key[index])) return
    this.origins.set(entity, { shard, key })
    for (const relation of binding.metadata.relations) {
      if (relation.isLazy && !Object.hasOwn(entity, `__${relation.propertyName}__`)) continue
      const related: unknown = relation.isLazy ? entity[`__${relation.propertyName}__`] : relation.getEntityValue(entity)
      if (related === null || typeof related !== 'object') continue
      const inverse = this.bindingOf(relation.inverseEntityMetadata.target)
      if (!inverse || inverse.entity.group !== binding.entity.group) continue
      for (const one of Array.isArray(related) ? related : [related]) {
        if (one !== null && typeof one === 'object') this.remember(inverse, one, shard)
      }
    }
  }
}
