import type { ObjectLiteral } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { ShardedError } from '../../errors/sharded-error'
import { ownerOf } from '../../routing/route'
import type { Shard } from '../../topology/shard'
import type { EntityBinding } from './entity-binding'
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
      if (!inverse || leadsApart(relation)) continue
      for (const one of related) {
        if (from.seen.has(one)) continue
        this.note(inverse, one, from.shard)
        this.follow(inverse, one, from)
      }
    }
  }
}

/** Gives back the object it is given: a subclass then defines its private fields on that one. */
class Given {
  constructor(object: object) {
    // biome-ignore lint/correctness/noConstructorReturn: that is what it is for
    return object
  }
}

/**
 * Something known of objects that others made, and that nobody sees on them: a private field, which no reflection finds,
 * no copy takes along and no comparison reads. A WeakMap says the same, at 1.1 µs an object against 0.05 µs, and the
 * garbage collector goes through it each time; it serves for objects that take no more properties.
 *
 * @example const seen = new PrivateField<Date>(); seen.set(entity, new Date()); seen.get(entity)
 */
export class PrivateField<Value> {
  private readonly sealed = new WeakMap<object, Value>()
  private readonly read: (object: object) => Value | undefined
  /** False where the object does not take it. */
  private readonly write: (object: object, value: Value | undefined) => boolean

  constructor() {
    // A class for each stamp, so that its field is another one than any other stamp's.
    class WithField extends Given {
      #value: Value | undefined = undefined
      static read(object: object): Value | undefined {
        return #value in object ? object.#value : undefined
      }
      static write(object: object, value: Value | undefined): boolean {
        if (#value in object) object.#value = value
        else if (Object.isExtensible(object)) new WithField(object).#value = value
        else return false
        return true
      }
    }
    this.read = WithField.read
    this.write = WithField.write
  }

  get(object: object): Value | undefined {
    return this.read(object) ?? this.sealed.get(object)
  }

  set(object: object, value: Value): void {
    if (!this.write(object, value)) this.sealed.set(object, value)
  }

  delete(object: object): void {
    if (this.read(object) === undefined) this.sealed.delete(object)
    else this.write(object, undefined)
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
