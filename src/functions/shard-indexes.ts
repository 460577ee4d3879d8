import type { ShardIndexes } from './sharding-function'

/** Sorted, distinct, frozen; what is `undefined` has no shard and adds nothing. */
export const shardIndexes = (indexes: Iterable<number | undefined>): ShardIndexes => {
  const distinct = new Set<number>()
  for (const index of indexes) if (index !== undefined) distinct.add(index)
  return Object.freeze([...distinct].sort((a, b) => a - b))
}
