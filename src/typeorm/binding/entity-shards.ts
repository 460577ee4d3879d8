import type { ObjectLiteral } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { ShardedError } from '../../errors/sharded-error'
import { ownerOf } from '../../routing/route'
import type { Shard } from '../../topology/shard'
import { canonicalValue, type EntityBinding } from './entity-binding'
import { hiddenKeySource } from './hidden-key-source'
import { PrivateField } from './private-field'
import { leadsApart } from './relation-apart'

/** The related objects that are there, as a list. A lazy relation that was not loaded gives none, and is not touched. */
export function loadedRelation(relation: RelationMetadata, entity: ObjectLiteral): readonly ObjectLiteral[] {
  const value: unknown = relation.getEntityValue(entity)
  if (Array.isArray(value)) return value.filter(isObject)
  return isObject(value) ? [value] : []
}

const isObject = (value: unknown): value is ObjectLiteral =>
  value !== null &&
  typeof value === 'object' &&
  !(value instanceof Promise) &&
  !(value instanceof Date) &&
  !(value instanceof Uint8Array)

/** Where an entity was loaded from or saved to, and the raw shard key values that it had then. */
export interface LoadedFrom {
  readonly shard: Shard
  readonly key: readonly unknown[]
  /** The entity whose values those are. */
  readonly target: unknown
  /** The values of the join columns by which its hidden shard key was found then. */
  readonly source?: readonly unknown[]
}

/** What an object has in the join columns of a relation. */
export const sourceValues = ({ joinColumns }: RelationMetadata, entity: ObjectLiteral): readonly unknown[] =>
  joinColumns.map((column): unknown => column.getEntityValue(entity))

/** Remembers the shard that each live entity came from, wherever that lies by now; forgets with the entity. */
export class EntityShards {
  private readonly entityShards: PrivateField<LoadedFrom>

  /**
   * @param shardNamed a shard of the present map
   * @param before those of the map before it: what they remember is remembered
   */
  constructor(
    private readonly bindingOf: (target: unknown) => EntityBinding | undefined,
    private readonly shardNamed: (name: string) => Shard | undefined,
    before?: EntityShards,
  ) {
    this.entityShards = before?.entityShards ?? new PrivateField<LoadedFrom>()
  }

  of(entity: object): LoadedFrom | undefined {
    const found = this.entityShards.get(entity)
    if (!found) return undefined
    const shard = this.shardNamed(found.shard.name) ?? this.successorOf(found)
    return shard === found.shard ? found : shard && { ...found, shard }
  }

  /** The shard that a row is on whose shard was split or merged: by its key. Undefined where not all of that was read. */
  private successorOf({ target, key }: LoadedFrom): Shard | undefined {
    const binding = this.bindingOf(target)
    if (!binding || key.some((value) => value === undefined || value === null)) return undefined
    return shardOfKey(
      binding,
      key.map((value, index) => canonicalValue(binding, index, value)),
    )
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
    const source = hiddenKeySource(binding.metadata)
    const { target } = binding.entity
    this.entityShards.set(entity, { shard, key, target, ...(source && { source: sourceValues(source, entity) }) })
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
      if (!inverse || leadsApart(relation)) continue
      for (const one of related) {
        if (from.seen.has(one)) continue
        this.note(inverse, one, from.shard)
        this.follow(inverse, one, from)
      }
    }
  }
}

/** The shard that owns a key. @throws ShardedError KEY_NOT_OWNED */
export function shardOfKey(binding: EntityBinding, key: readonly string[]): Shard {
  return shardAt(binding, ownerOf(binding, key))
}

export function shardAt(binding: EntityBinding, index: number): Shard {
  const shard = binding.shards[index]
  if (!shard)
    throw new ShardedError('SHARD_UNKNOWN', `${binding.entity.name} has no shard number ${index}.`, {
      details: { index },
    })
  return shard
}
