import { createHash } from 'node:crypto'
import { hash, loadHash } from '../src/functions/hash'
import { evenOwners } from '../src/topology/unit-owners'
import { canonicalKey } from '../src/values/canonical-key'
import type { KeyType } from '../src/values/key-type'
import type { Bench, Measure } from './support/bench'
import { microseconds } from './support/interleave'

const sizes = {
  full: { operations: 1_000_000, rounds: 11, warmups: 3 },
  quick: { operations: 200_000, rounds: 7, warmups: 2 },
  tiny: { operations: 100, rounds: 1, warmups: 0 },
}

const uuidOf = (number: number): string => {
  const hex = createHash('md5').update(String(number)).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`
}

const keys: readonly (readonly [string, KeyType, (number: number) => unknown])[] = [
  ['bigint as a string', 'integer', (number) => String(1_000_000_007 * (number + 1))],
  ['number', 'integer', (number) => number * 7919],
  ['uuid', 'uuid', uuidOf],
]

/** From a value as a user passes it to the index of its shard: canonical text, hash, slot, shard. */
export const keyToShard: Bench = {
  name: 'key-to-shard',
  async run({ scale }) {
    const { operations, ...rounds } = sizes[scale]
    await loadHash()
    return keys.map(([name, type, keyOf]): Measure => {
      const fn = hash({ shards: 16 }).bind([type])
      const owners = evenOwners(fn.spaces)
      // More keys than any cache of texts would hold, so that each is hashed for itself.
      const values = Array.from({ length: 8192 }, (_, index) => keyOf(index))
      const shardOf = (index: number): number | undefined => {
        const key = canonicalKey(values[index & 8191], type)
        return key === undefined ? undefined : owners.shardOf(fn.unitOf([key]))
      }
      return microseconds({ name: `key → shard, ${name}`, operations, target: { atMost: 0.5 } }, shardOf, rounds)
    })
  },
}
