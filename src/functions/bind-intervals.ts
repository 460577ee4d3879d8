import { keyOrder, ordersAsDatabase } from '../values/compare-keys'
import type { KeyType } from '../values/key-type'
import { predecessorKey } from '../values/predecessor-key'
import { createKeyIntervals, type KeyInterval } from './key-intervals'
import { shardIndexes } from './shard-indexes'
import type { BoundFunction } from './sharding-function'

/** The bound function of sorted, disjoint intervals over one column: what `range` and `time` have in common. */
export const bindIntervals = (sorted: readonly KeyInterval[], type: KeyType): BoundFunction => {
  const order = keyOrder(type)
  if (order === undefined) throw new Error(`Keys of type ${type} have no order: the function has to refuse them.`)
  const intervals = createKeyIntervals(
    sorted.map((interval) => ({
      ...interval,
      last: interval.to === null ? undefined : predecessorKey(interval.to, type),
    })),
    order,
  )
  const prunesRanges = ordersAsDatabase(type)
  const owner: BoundFunction['owner'] = ([key]) => (key === undefined ? undefined : intervals.find(key))
  return Object.freeze<BoundFunction>({
    owner,
    slotOf: () => undefined,
    prune: ([constraint]) => {
      if (constraint === undefined) return 'all'
      if (constraint.kind === 'values') return shardIndexes(constraint.keys.map((key) => owner([key])))
      return prunesRanges ? shardIndexes(intervals.overlapping(constraint)) : 'all'
    },
    print: Object.freeze({ rule: 'intervals', owns: Object.freeze(ownsOf(sorted)) }),
    shardsInKeyOrder: Object.freeze(sorted.map(({ shard }) => shard)),
    placementUnit: (shard) => shard,
  })
}

/** By shard, its interval; an open end is null. */
function ownsOf(sorted: readonly KeyInterval[]): readonly string[] {
  const owns: string[] = []
  for (const { shard, from, to } of sorted) owns[shard] = JSON.stringify([from, to])
  return owns
}
