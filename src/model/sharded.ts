import type { ShardingFunction } from '../functions/sharding-function'
import type { ShardedIdKind } from '../ids/sharded-id-kind'
import { declareLookup } from './lookup'
import { type EntityTarget, type ShardedOptions, shardArgsStorage } from './sharded-options'

/**
 * Marks a column (or a many-to-one relation, for its join column) as the shard key. On several columns the key is
 * composite, in the order of their declaration. Works in embedded and in base classes.
 *
 * With `from`, on a class or on a relation, the entity needs no column for the key: it is that of the row to which the relation of this
 * name refers. The tables get a column for it that no object shows.
 *
 * @example
 * class Order { @ShardKey() @Column('bigint') userId!: string }
 *
 * @ShardKey({ from: 'order' })
 * class Line { @ManyToOne(() => Order) order!: Order }
 */
export function ShardKey(): PropertyDecorator
export function ShardKey(hidden: HiddenKey): ClassDecorator & PropertyDecorator
export function ShardKey(hidden?: HiddenKey): (target: object, propertyName?: string | symbol) => void {
  return (target, propertyName) => {
    const owner = typeof target === 'function' ? target : target.constructor
    if (hidden) declareHiddenKey(owner, hidden)
    else shardArgsStorage().shardKeys.push(Object.freeze({ target: owner, propertyName: String(propertyName) }))
  }
}

/** A shard key without a property: it is that of the row that a relation refers to. */
export interface HiddenKey {
  /** The property of a many-to-one or owning one-to-one relation inside the colocation group. */
  readonly from: string
  /** The name of the column that the tables get. Default: that of the key's column in the table that the relation leads to. */
  readonly name?: string
}

/** Leaves a declaration for `target`; what the decorator and the helper for `EntitySchema` share. */
function declareHiddenKey(target: EntityTarget, { from, name }: HiddenKey): void {
  const storage = shardArgsStorage()
  storage.hiddenKeys ??= []
  storage.hiddenKeys.push(Object.freeze({ target, from, name }))
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
 * @param declaration `shardKey`: property names of the shard key, in order, or as in `@ShardKey({ from })`; `id`: as `@ShardedId(kind)` on the property;
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
    shardKey: readonly string[] | HiddenKey
    id?: { readonly property: string; readonly kind?: ShardedIdKind }
    options?: ShardedOptions
    lookups?: readonly { readonly properties: readonly string[]; readonly unique?: boolean; readonly name?: string }[]
  },
): Schema {
  const target = schema.options.target ?? schema.options.name
  declareSharded(target, declaration.by, declaration.options ?? {})
  if ('from' in declaration.shardKey) declareHiddenKey(target, declaration.shardKey)
  else
    for (const propertyName of declaration.shardKey)
      shardArgsStorage().shardKeys.push(Object.freeze({ target, propertyName }))
  if (declaration.id) declareShardedId(target, declaration.id.property, declaration.id.kind ?? '64-bit')
  for (const { properties, unique = false, name } of declaration.lookups ?? []) {
    declareLookup({ target, properties, isMark: false, isUnique: unique, name })
  }
  return schema
}
