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

/** The units of a function, 0 … size - 1: slots, or what each of its labels stands for. */
export interface UnitSpace {
  readonly kind: 'slots' | 'labels'
  readonly size: number
  /** How many shards are declared for them: as many as labels, and any number for slots. */
  readonly shards: number
}

/** What a condition leaves of each space of units, in any order; `'all'` where it says nothing. */
export type UnitsLeft = readonly (readonly number[] | 'all')[]

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
  /** Of a function whose shards come and go with time. Its labels are then those that are due when it is declared. */
  readonly rolling?: RollingFunction
  /**
   * Binds the function to the types of its key columns.
   * @throws ShardedError FUNCTION_INVALID, KEY_TYPE_UNSUPPORTED
   */
  bind(types: readonly KeyType[]): BoundFunction
}

/** Labels that are due at a moment and are not there, and labels that are there and no longer needed. */
export interface DueLabels {
  readonly added: readonly string[]
  readonly expired: readonly string[]
}

/** What a function whose shards come and go with time says of them. The databases store which there are. */
export interface RollingFunction {
  /** What is done with shards that are no longer needed; undefined: all are needed for ever. */
  readonly expiry: 'drop' | 'detach' | undefined
  /** Whether a text is a label of this function, of whatever time. */
  isLabel(text: string): boolean
  /**
   * The function with these labels, and with all that lie between them.
   * @throws ShardedError FUNCTION_INVALID for what is no label of this function
   */
  over(labels: readonly string[]): ShardingFunction
  /** What is due at a moment, beside the labels that are stored. Labels are added at the end only. */
  due(now: Date, labels: readonly string[]): DueLabels
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

/** The keys of one unit, in the words of a partition of PostgreSQL: `null` is an open end. */
export type UnitKeys =
  | { readonly kind: 'interval'; readonly from: CanonicalKey | null; readonly to: CanonicalKey | null }
  | { readonly kind: 'values'; readonly keys: readonly CanonicalKey[] }
  | { readonly kind: 'rest' }

/**
 * A sharding function that knows the types of its key columns. It names units; the shard map says which shard owns a unit, and
 * which node holds a shard. Pure; call `loadHash()` once before using one of `hash`.
 */
export interface BoundFunction {
  /** Its units, or those of the two parts of a `composite`. */
  readonly spaces: readonly [UnitSpace, ...UnitSpace[]]
  /**
   * The unit of the key, `undefined` where none has it. `key` has one text per key column. Of a `composite` the unit of its
   * first part, times the size of the second space, plus the unit of its second part.
   */
  unitOf(key: readonly CanonicalKey[]): number | undefined
  /** The slot of the key (0 … 16383); `undefined` for functions without slots. */
  slotOf(key: readonly CanonicalKey[]): number | undefined
  /**
   * By space, the units of the rows that can meet every constraint. May be too wide, never too narrow. Values without unit add
   * nothing.
   */
  prune(constraints: readonly (KeyConstraint | undefined)[]): UnitsLeft
  /**
   * The units by ascending keys, where each is one interval of the key's order: all keys of one sort before all keys of
   * the next. Absent for functions that scatter keys. Texts are in the order of their code points.
   */
  readonly unitsInKeyOrder?: readonly number[]
  /** By unit, its keys, where PostgreSQL finds the unit of a key by them as this function does. Absent where it does not. */
  readonly unitKeys?: readonly UnitKeys[]
  readonly print: FunctionPrint
}

/** What functions whose units are their labels have in common. */
export const labelUnits = (labels: number): Pick<BoundFunction, 'spaces' | 'slotOf'> => ({
  spaces: Object.freeze([Object.freeze({ kind: 'labels', size: labels, shards: labels })] as const),
  slotOf: () => undefined,
})

/** The units of some keys; a key without unit adds nothing. */
export const unitsOf = (units: readonly (number | undefined)[]): UnitsLeft => [
  units.filter((unit) => unit !== undefined),
]

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
