import type { ShardingFunction } from '../functions/sharding-function'
import type { ShardedIdKind } from '../ids/sharded-id-kind'

/** What happens to an operation that names no shard key and so reaches every shard. */
export type ScatterPolicy = 'allow' | 'warn' | 'forbid'

/** What operations that reach several shards may do: whether they run at all, and how far they go. */
export interface ScatterOptions {
  /** Reads without a shard key. Default `'allow'`. */
  readonly reads?: ScatterPolicy
  /** Writes without a shard key. Default `'allow'`. */
  readonly writes?: ScatterPolicy
  /** The most shards that one operation may reach. Default: no limit but the number of shards. */
  readonly maxShards?: number
  /** The most rows, of all shards together, that one answer may have. Default 1,000,000. `Infinity`: no bound. */
  readonly rowBudget?: number
  /** Milliseconds that an operation over several shards may take. Default 60,000. `Infinity`: no deadline. */
  readonly deadlineMs?: number
}

/** How the shards of a group stand in a node: a schema each, or a table suffix each in the schema `public`. */
export type Layout = 'schema' | 'table'

/** The second argument of `@Sharded`. */
export interface ShardedOptions {
  /** Name of the colocation group; a shard's name is `<group>_<label>`. Default: the entity's name in snake case. */
  readonly group?: string
  readonly layout?: Layout
  readonly scatter?: ScatterOptions
  /** Says that unique constraints without the shard key are meant to hold inside each shard only. Default false. */
  readonly perShardUnique?: boolean
  /**
   * Whether `save`, `remove`, `softRemove` and `recover` of an object that was never loaded ask all shards for its primary key,
   * where the primary key does not contain the shard key. Default true: one more statement a node. With false, saving an object
   * with another shard key than its row's makes a second row, and removing it finds none.
   */
  readonly primaryKeyCheck?: boolean
  /**
   * What `save` and `update` do where they change the shard key of a row: refuse, or move the row to the shard of its new key,
   * in one transaction. Default `'refuse'`. `repository.move` moves in either case.
   */
  readonly onKeyChange?: KeyChangePolicy
}

/** What happens to a write that changes a row's shard key. */
export type KeyChangePolicy = 'move' | 'refuse'

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

/** A shard key without a property: it is that of the row that a relation refers to. */
export interface HiddenKeyArgs {
  readonly target: EntityTarget
  /** The property path of the relation. */
  readonly from: string
  /** The name of the column. */
  readonly name: string | undefined
}

export interface ShardedIdArgs extends ShardKeyArgs {
  readonly kind: ShardedIdKind
}

/** Rows that a reference table has from its beginning: themselves, what gives them, or a file with a JSON list of them. */
export type ReferenceSeed = readonly object[] | URL | (() => readonly object[] | Promise<readonly object[]>)

export interface ReferenceArgs {
  readonly target: EntityTarget
  readonly seed: ReferenceSeed | undefined
}

export interface ShardArgsStorage {
  readonly sharded: ShardedArgs[]
  readonly shardKeys: ShardKeyArgs[]
  /** Absent where none is declared. */
  hiddenKeys?: HiddenKeyArgs[]
  /** Absent where no id is declared. */
  ids?: ShardedIdArgs[]
  /** The entities with a full copy on every node; absent where there is none. */
  references?: ReferenceArgs[]
}

/**
 * Where decorators leave what they were told, as TypeORM's own storage does. It hangs on `globalThis` under a registered
 * symbol, so that two copies of this package in one process still see the same declarations.
 */
export function declarations<Storage>(name: 'args' | 'lookups', empty: () => Storage): Storage {
  const key = Symbol.for(`typeorm-sharded.${name}`)
  if (!Reflect.has(globalThis, key)) Reflect.set(globalThis, key, empty())
  return Reflect.get(globalThis, key)
}

export const shardArgsStorage = (): ShardArgsStorage => declarations('args', () => ({ sharded: [], shardKeys: [] }))
