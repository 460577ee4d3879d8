import { type CanonicalKey, canonicalTuple } from '../values/canonical-key'
import type { KeyType } from '../values/key-type'
import { checkLabels, functionInvalid, SLOTS } from './declaration'
import { type BoundFunction, keyCombinations, type ShardingFunction } from './sharding-function'

const SEED = 0

type Hash = (text: string, seed: number) => number

let h32: Hash | undefined
let loading: Promise<void> | undefined

/** The package has a build for each module system, and types for ES modules only. */
type XxHash = typeof import('xxhash-wasm', { with: { 'resolution-mode': 'import' }})['default']

const load = async (): Promise<void> => {
  // `import()` of a CommonJS build fails in Jest, which runs it in a context of its own.
  const xxhash: XxHash = require('xxhash-wasm')
  h32 = (await xxhash()).h32
}

/** Compiles the hash function, once per process. Await it before the first `slotOfKey`. */
export const loadHash = (): Promise<void> => {
  loading ??= load()
  return loading
}

/** The slot of a key: xxHash32 with seed 0 of the canonical texts in UTF-8, NUL between them, modulo 16,384. */
export const slotOfKey = (key: readonly CanonicalKey[]): number => {
  if (h32 === undefined) throw new Error('loadHash() has to be awaited before the first key is hashed.')
  // The remainder, as SLOTS is a power of two: `%` of an unsigned number is a division of floating point.
  return h32(canonicalTuple(key), SEED) & (SLOTS - 1)
}

/** The options of `hash`. */
export interface HashOptions {
  /** How many shards own equal parts of the slots: 1 to 16,384. */
  readonly shards: number
}

const labelsOf = (shards: number): readonly string[] => {
  const digits = Math.max(2, String(shards - 1).length)
  return Array.from({ length: shards }, (_, index) => String(index).padStart(digits, '0'))
}

const bindHash = (shards: number, types: readonly KeyType[]): BoundFunction => {
  if (types.length === 0) throw functionInvalid('hash', 'it takes at least one shard key column.')
  return Object.freeze<BoundFunction>({
    spaces: Object.freeze([Object.freeze({ kind: 'slots', size: SLOTS, shards })] as const),
    unitOf: slotOfKey,
    slotOf: slotOfKey,
    prune: (constraints) => [keyCombinations(constraints)?.map(slotOfKey) ?? 'all'],
    print: Object.freeze({ rule: `hash of ${shards} shards`, owns: Object.freeze(Array<string>(shards).fill('')) }),
  })
}

/**
 * Spreads keys evenly by their hash: keys of any types, and of any number of columns. Each shard owns a contiguous range of
 * slots, so splitting every shard in two halves its slots in place.
 *
 * Equality on all key columns finds the shard; ranges reach all shards.
 *
 * @throws ShardedError FUNCTION_INVALID
 * @example
 * \@Sharded(hash({ shards: 16 })) // user_00 … user_15
 */
export const hash = ({ shards }: HashOptions): ShardingFunction => {
  if (!Number.isInteger(shards) || shards < 1 || shards > SLOTS) {
    throw functionInvalid('hash', `shards must be a whole number from 1 to ${SLOTS}, not ${String(shards)}.`)
  }
  return Object.freeze<ShardingFunction>({
    kind: 'hash',
    labels: checkLabels('hash', labelsOf(shards)),
    arity: 'any',
    bind: (types) => bindHash(shards, types),
  })
}
