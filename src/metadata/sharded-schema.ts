import type { ShardingFunction } from '../functions/sharding-function'
import type { ShardedIdKind } from '../ids/sharded-id-kind'
import { shardArgsStorage } from './shard-args-storage'
import { type Colocation, declareSharded } from './sharded'
import { declareShardedId } from './sharded-id'
import type { ShardedOptions } from './sharded-options'

/** The part of TypeORM's `EntitySchema` that is needed here. */
interface EntitySchemaLike {
  readonly options: { readonly name: string; readonly target?: unknown }
}

/**
 * Shards an entity that is declared by TypeORM's `EntitySchema`; returns the same schema.
 *
 * @param declaration `shardKey`: property names of the shard key, in order; `id`: as `@ShardedId(kind)` on the property
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
  },
): Schema {
  const target = schema.options.target ?? schema.options.name
  declareSharded(target, declaration.by, declaration.options ?? {})
  for (const propertyName of declaration.shardKey) {
    shardArgsStorage().shardKeys.push(Object.freeze({ target, propertyName }))
  }
  if (declaration.id) declareShardedId(target, declaration.id.property, declaration.id.kind ?? '64-bit')
  return schema
}
