import type { ShardingFunction } from '../functions/sharding-function'
import { type EntityTarget, shardArgsStorage } from './shard-args-storage'
import type { ShardedOptions } from './sharded-options'

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
export function declareSharded(target: EntityTarget, by: ShardingFunction | Colocation, options: ShardedOptions): void {
  const declared = 'colocatedWith' in by ? { colocatedWith: by.colocatedWith } : { fn: by }
  shardArgsStorage().sharded.push(Object.freeze({ target, ...declared, options: Object.freeze({ ...options }) }))
}
