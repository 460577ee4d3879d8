import type { CanonicalKey } from '../values/canonical-key'
import type { KeyType } from '../values/key-type'

/** A bound of an interval over one key column. */
export interface KeyBound {
  readonly key: CanonicalKey
  readonly inclusive: boolean
}

/** What is known of one column of the shard key. `undefined` in a list of these: nothing is known. */
export type KeyConstraint =
  | { readonly kind: 'values'; readonly keys: readonly CanonicalKey[] }
  | { readonly kind: 'range'; readonly from?: KeyBound; readonly to?: KeyBound }

/** Sorted, distinct indexes of shards. */
export type ShardIndexes = readonly number[]

/**
 * A declaration, as a user writes it: frozen data that does not know its columns yet.
 * Made by `hash`, `range`, `list`, `time`, `custom` and `composite`.
 */
export interface ShardingFunction {
  readonly kind: 'hash' | 'range' | 'list' | 'time' | 'custom' | 'composite'
  /** Labels of the shards in their order (`00`, `eu`, `2024_03`): a shard's name is `<group>_<label>`. */
  readonly labels: readonly string[]
  /** How many key columns it takes; `'any'` for `hash` and `custom`. */
  readonly arity: number | 'any'
  /**
   * Binds the function to the types of its key columns.
   * @throws ShardedError FUNCTION_INVALID, KEY_TYPE_UNSUPPORTED
   */
  bind(types: readonly KeyType[]): BoundFunction
}

/**
 * What a sharding function says of its keys, as texts that are equal where it is the same function of the same keys. Processes
 * compare them, so a text never depends on the order in which an option was written.
 */
export interface FunctionPrint {
  /** What decides for all shards together: another rule may send any key to another shard. */
  readonly rule: string
  /** By shard, what it alone owns: a shard that is added takes nothing from the others. Empty where the rule says all. */
  readonly owns: readonly string[]
}

/**
 * A sharding function that knows the types of its key columns. It names slots, and shards by their index among the labels; it
 * knows no node: the shard map says which node holds a shard. Pure; call `loadHash()` once before using one of `hash`.
 */
export interface BoundFunction {
  /** The shard that owns the key, `undefined` where none does. `key` has one text per key column. */
  owner(key: readonly CanonicalKey[]): number | undefined
  /** The slot of the key (0 … 16383); `undefined` for functions without slots. */
  slotOf(key: readonly CanonicalKey[]): number | undefined
  /** The shards that own keys of a slot; absent for functions without slots. */
  readonly shardsOfSlot?: (slot: number) => ShardIndexes
  /**
   * The shards that can hold a row that meets every constraint; `'all'` where nothing can be pruned.
   * May be too wide, never too narrow. Values without owner add nothing.
   */
  prune(constraints: readonly (KeyConstraint | undefined)[]): ShardIndexes | 'all'
  /**
   * The shards by ascending keys, where each owns one interval of the key's order: all keys of one sort before all keys of
   * the next. Absent for functions that scatter keys. Texts are in the order of their code points.
   */
  readonly shardsInKeyOrder?: ShardIndexes
  readonly print: FunctionPrint
  /** The unit that placement spreads over nodes: the shard's index, or for `composite` the index of its first function. */
  placementUnit(shard: number): number
}

/** Sorted, distinct, frozen; what is `undefined` has no shard and adds nothing. */
export const shardIndexes = (indexes: Iterable<number | undefined>): ShardIndexes => {
  const distinct = new Set<number>()
  for (const index of indexes) if (index !== undefined) distinct.add(index)
  return Object.freeze([...distinct].sort((a, b) => a - b))
}

/** IN lists of a composite key multiply; beyond this many keys asking all shards is cheaper than looking. */
const MAX_COMBINATIONS = 10_000

/** Every key that equality constraints on all columns leave; `undefined` where they do not, or leave too many. */
export const keyCombinations = (
  constraints: readonly (KeyConstraint | undefined)[],
): readonly (readonly CanonicalKey[])[] | undefined => {
  let count = 1
  const lists: (readonly CanonicalKey[])[] = []
  for (const constraint of constraints) {
    if (constraint?.kind !== 'values') return undefined
    lists.push(constraint.keys)
    count *= constraint.keys.length
  }
  if (lists.length === 0 || count > MAX_COMBINATIONS) return undefined
  return lists.reduce<readonly (readonly CanonicalKey[])[]>(
    (keys, list) => keys.flatMap((key) => list.map((next) => [...key, next])),
    [[]],
  )
}
