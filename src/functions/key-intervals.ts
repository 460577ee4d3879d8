import type { CanonicalKey } from '../values/canonical-key'
import type { KeyOrder } from '../values/compare-keys'
import type { KeyConstraint } from './sharding-function'

/** The keys from `from` to before `to`; `null` is an open end. */
export interface KeyInterval {
  readonly shard: number
  readonly from: CanonicalKey | null
  readonly to: CanonicalKey | null
  /** The greatest key before `to`, for types that have one: makes pruning exact at this end. */
  readonly last?: CanonicalKey | undefined
}

type RangeConstraint = Extract<KeyConstraint, { kind: 'range' }>

/** Disjoint intervals in the order of their keys. All look-ups are binary searches. */
export interface KeyIntervals {
  /** The shard whose interval holds the key. */
  find(key: CanonicalKey): number | undefined
  /** The shards whose intervals can hold a key of the range. */
  overlapping(range: RangeConstraint): readonly number[]
}

/** How many of the first items pass a test that no later item passes once one has failed. */
const countWhile = <T>(items: readonly T[], test: (item: T) => boolean): number => {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const item = items[middle]
    if (item !== undefined && test(item)) low = middle + 1
    else high = middle
  }
  return low
}

/** True when every key of the interval lies before the range starts. */
const isBefore = (interval: KeyInterval, { from }: RangeConstraint, order: KeyOrder): boolean => {
  if (from === undefined || interval.to === null) return false
  if (order(interval.to, from.key) <= 0) return true
  if (interval.last === undefined) return false
  const byLast = order(interval.last, from.key)
  return from.inclusive ? byLast < 0 : byLast <= 0
}

/** True when some key of the interval can lie before the range ends. */
const startsWithin = (interval: KeyInterval, { to }: RangeConstraint, order: KeyOrder): boolean => {
  if (to === undefined || interval.from === null) return true
  const byFrom = order(interval.from, to.key)
  return to.inclusive ? byFrom <= 0 : byFrom < 0
}

/** The intervals must be sorted and must not overlap: the caller has checked. */
export const createKeyIntervals = (sorted: readonly KeyInterval[], order: KeyOrder): KeyIntervals =>
  Object.freeze({
    find: (key: CanonicalKey) => {
      const candidate = sorted[countWhile(sorted, ({ from }) => from === null || order(from, key) <= 0) - 1]
      if (candidate === undefined) return undefined
      return candidate.to === null || order(key, candidate.to) < 0 ? candidate.shard : undefined
    },
    overlapping: (range: RangeConstraint) => {
      const first = countWhile(sorted, (interval) => isBefore(interval, range, order))
      const end = countWhile(sorted, (interval) => startsWithin(interval, range, order))
      return sorted.slice(first, Math.max(first, end)).map(({ shard }) => shard)
    },
  })
