import type { ShardingFunction } from '../functions/sharding-function'
import type { ShardedIdKind } from '../ids/sharded-id-kind'
import type { ShardedOptions } from './sharded-options'

/** A class, or the name of an `EntitySchema`. */
export type EntityTarget = unknown

export interface ShardedArgs {
  readonly target: EntityTarget
  readonly fn?: ShardingFunction
  readonly colocatedWith?: () => EntityTarget
  readonly options: ShardedOptions
}

export interface ShardKeyArgs {
  readonly target: EntityTarget
  readonly propertyName: string
}

export interface ShardedIdArgs extends ShardKeyArgs {
  readonly kind: ShardedIdKind
}

export interface ShardArgsStorage {
  readonly sharded: ShardedArgs[]
  readonly shardKeys: ShardKeyArgs[]
  /** Absent where no id is declared. */
  ids?: ShardedIdArgs[]
}

const storageKey = Symbol.for('typeorm-sharded.args')

/**
 * Where decorators leave what they were told, as TypeORM's own storage does. It hangs on `globalThis` under a registered
 * symbol, so that two copies of this package in one process still see the same declarations.
 */
export function shardArgsStorage(): ShardArgsStorage {
  const holder = globalThis as { [storageKey]?: ShardArgsStorage }
  holder[storageKey] ??= { sharded: [], shardKeys: [] }
  return holder[storageKey]
}
