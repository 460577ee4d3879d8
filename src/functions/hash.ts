import type { KeyType } from '../values/key-type'
import { checkLabels, MAX_SHARDS } from './check-labels'
import { functionInvalid } from './function-invalid'
import { SLOTS, slotOfKey } from './hash-slot'
import { keyCombinations } from './key-combinations'
import { shardIndexes } from './shard-indexes'
import type { BoundFunction, ShardingFunction } from './sharding-function'

export interface HashOptions {
  /** 1 to 16,384. */
  readonly shards: number
}

const labelsOf = (shards: number): readonly string[] => {
  const digits = Math.max(2, String(shards - 1).length)
  return Array.from({ length: shards }, (_, index) => String(index).padStart(digits, '0'))
}

const bindHash = (shards: number, types: readonly KeyType[]): BoundFunction => {
  if (types.length === 0) throw functionInvalid('hash', 'it takes at least one shard key column.')
  const shardOfSlot = (slot: number): number => Math.floor((slot * shards) / SLOTS)
  const owner: BoundFunction['owner'] = (key) => shardOfSlot(slotOfKey(key))
  return Object.freeze<BoundFunction>({
    owner,
    slotOf: slotOfKey,
    shardsOfSlot: (slot) => [shardOfSlot(slot)],
    prune: (constraints) => {
      const keys = keyCombinations(constraints)
      return keys === undefined ? 'all' : shardIndexes(keys.map(owner))
    },
    print: Object.freeze({ rule: `hash of ${shards} shards`, owns: Object.freeze(Array<string>(shards).fill('')) }),
    placementUnit: (shard) => shard,
  })
}

/**
 * Spreads keys evenly by their hash: keys of any types, and of any number of columns. Of n shards, shard i owns
 * the slots from ⌈i · 16384 / n⌉ to before ⌈(i + 1) · 16384 / n⌉, so splitting every shard in two halves its
 * slots in place.
 *
 * Equality on all key columns finds the shard; ranges reach all shards.
 *
 * @throws ShardedError FUNCTION_INVALID
 * @example
 * \@Sharded(hash({ shards: 16 })) // user_00 … user_15
 */
export const hash = ({ shards }: HashOptions): ShardingFunction => {
  if (!Number.isInteger(shards) || shards < 1 || shards > MAX_SHARDS) {
    throw functionInvalid('hash', `shards must be a whole number from 1 to ${MAX_SHARDS}, not ${String(shards)}.`)
  }
  return Object.freeze<ShardingFunction>({
    kind: 'hash',
    labels: checkLabels('hash', labelsOf(shards)),
    arity: 'any',
    bind: (types) => bindHash(shards, types),
  })
}
