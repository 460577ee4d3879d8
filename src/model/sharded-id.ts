import type { ShardedIdKind } from '../ids/sharded-id-kind'
import { type EntityTarget, shardArgsStorage } from './shard-args-storage'

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
export function declareShardedId(target: EntityTarget, propertyName: string, kind: ShardedIdKind): void {
  const storage = shardArgsStorage()
  storage.ids ??= []
  storage.ids.push(Object.freeze({ target, propertyName, kind }))
}
