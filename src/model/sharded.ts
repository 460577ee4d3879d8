import type { ShardingFunction } from '../functions/sharding-function'
import type { ShardedIdKind } from '../ids/sharded-id-kind'
import { declareLookup } from './lookup'
import { type EntityTarget, type ShardedOptions, shardArgsStorage } from './sharded-options'

/**
 * Marks a column (or a many-to-one relation, for its join column) as the shard key. On several columns the key is
 * composite, in the order of their declaration. Works in embedded and in base classes.
 *
 * @example
 * class Order { @ShardKey() @Column('bigint') userId!: string }
 */
export function ShardKey(): PropertyDecorator {
  return (target, propertyName) => {
    shardArgsStorage().shardKeys.push(Object.freeze({ target: target.constructor, propertyName: String(propertyName) }))
  }
}

/**
 * Has the ids of a sharded entity made by this package: unique over all processes and shards, ordered by time, and carrying
 * the slot of the row's shard key, so that an operation that names ids alone goes to the shards that hold them. Goes with
 * `@PrimaryColumn()`; a row is given an id on every way of writing it where it has none.
 *
 * @param kind of what it is made; default `'64-bit'`. What it says is checked when the data source initialises.
 * @example
 * class Order {
 *   @PrimaryColumn('bigint') @ShardedId() id!: string
 *   @ShardKey() @Column('bigint') userId!: string
 * }
 */
export function ShardedId(kind: ShardedIdKind = '64-bit'): PropertyDecorator {
  return (target, propertyName) => declareShardedId(target.constructor, String(propertyName), kind)
}

/** Leaves a declaration for `target`; what the decorator and the helper for `EntitySchema` share. */
function declareShardedId(target: EntityTarget, propertyName: string, kind: ShardedIdKind): void {
  const storage = shardArgsStorage()
  storage.ids ??= []
  storage.ids.push(Object.freeze({ target, propertyName, kind }))
}

/** Points at the entity whose shards and shard key values this one shares. */
export interface Colocation {
  readonly colocatedWith: () => EntityTarget
}

/**
 * Shards an entity: by a sharding function of its own, or together with another entity of its colocation group.
 * What it says is checked when the data source initialises.
 *
 * @example
 * @Entity() @Sharded(hash({ shards: 16 }))
 * class User { @ShardKey() @PrimaryColumn('bigint') id!: string }
 *
 * @Entity() @Sharded({ colocatedWith: () => User })
 * class Order { @PrimaryColumn('uuid') id!: string; @ShardKey() @Column('bigint') userId!: string }
 */
export function Sharded(by: ShardingFunction | Colocation, options: ShardedOptions = {}): ClassDecorator {
  return (target) => declareSharded(target, by, options)
}

/** Leaves a declaration for `target`; what the decorator and the helper for `EntitySchema` share. */
function declareSharded(target: EntityTarget, by: ShardingFunction | Colocation, options: ShardedOptions): void {
  const declared = 'colocatedWith' in by ? { colocatedWith: by.colocatedWith } : { fn: by }
  shardArgsStorage().sharded.push(Object.freeze({ target, ...declared, options: Object.freeze({ ...options }) }))
}

/** The part of TypeORM's `EntitySchema` that is needed here. */
interface EntitySchemaLike {
  readonly options: { readonly name: string; readonly target?: unknown }
}

/**
 * Shards an entity that is declared by TypeORM's `EntitySchema`; returns the same schema.
 *
 * @param declaration `shardKey`: property names of the shard key, in order; `id`: as `@ShardedId(kind)` on the property;
 *   `lookups`: what `@GlobalUnique` and `@LookupIndex` say on a class: paths of properties, and whether they are unique
 * @example
 * export const UserSchema = shardedSchema(new EntitySchema<User>({ name: 'User', columns: { … } }), {
 *   by: hash({ shards: 16 }), shardKey: ['id'],
 * })
 */
export function shardedSchema<Schema extends EntitySchemaLike>(
  schema: Schema,
  declaration: {
    by: ShardingFunction | Colocation
    shardKey: readonly string[]
    id?: { readonly property: string; readonly kind?: ShardedIdKind }
    options?: ShardedOptions
    lookups?: readonly { readonly properties: readonly string[]; readonly unique?: boolean; readonly name?: string }[]
  },
): Schema {
  const target = schema.options.target ?? schema.options.name
  declareSharded(target, declaration.by, declaration.options ?? {})
  for (const propertyName of declaration.shardKey) {
    shardArgsStorage().shardKeys.push(Object.freeze({ target, propertyName }))
  }
  if (declaration.id) declareShardedId(target, declaration.id.property, declaration.id.kind ?? '64-bit')
  for (const { properties, unique = false, name } of declaration.lookups ?? []) {
    declareLookup({ target, properties, isMark: false, isUnique: unique, name })
  }
  return schema
}
