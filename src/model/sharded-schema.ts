import type { ShardingFunction } from '../functions/sharding-function'
import type { ShardedIdKind } from '../ids/sharded-id-kind'
import { declareLookup } from './declare-lookup'
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
