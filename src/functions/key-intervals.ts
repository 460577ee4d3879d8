import type { CanonicalKey } from '../values/canonical-key'
import { dayOfCivil } from '../values/civil-day'
import { type KeyOrder, keyOrder, ordersAsDatabase } from '../values/compare-keys'
import type { KeyType } from '../values/key-type'
import { dateText, parseTime, timestampText, timestamptzText } from '../values/time-text'
import { type BoundFunction, type KeyConstraint, labelUnits, type UnitKeys, unitsOf } from './sharding-function'

/** The keys from `from` to before `to`; `null` is an open end. */
export interface KeyInterval {
  readonly unit: number
  readonly from: CanonicalKey | null
  readonly to: CanonicalKey | null
  /** The greatest key before `to`, for types that have one: makes pruning exact at this end. */
  readonly last?: CanonicalKey | undefined
}

type RangeConstraint = Extract<KeyConstraint, { kind: 'range' }>

/** Disjoint intervals in the order of their keys. All look-ups are binary searches. */
interface KeyIntervals {
  /** The unit whose interval holds the key. */
  readonly find: (key: CanonicalKey) => number | undefined
  /** The units whose intervals can hold a key of the range. */
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
const createKeyIntervals = (sorted: readonly KeyInterval[], order: KeyOrder): KeyIntervals =>
  Object.freeze({
    find: (key: CanonicalKey) => {
      const candidate = sorted[countWhile(sorted, ({ from }) => from === null || order(from, key) <= 0) - 1]
      if (candidate === undefined) return undefined
      return candidate.to === null || order(key, candidate.to) < 0 ? candidate.unit : undefined
    },
    overlapping: (range: RangeConstraint) => {
      const first = countWhile(sorted, (interval) => isBefore(interval, range, order))
      const end = countWhile(sorted, (interval) => startsWithin(interval, range, order))
      return sorted.slice(first, Math.max(first, end)).map(({ unit }) => unit)
    },
  })

/** The rule of functions of which every unit is an interval. */
export const intervalsRule = 'intervals'

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
  return Object.freeze<BoundFunction>({
    ...labelUnits(sorted.length),
    unitOf: ([key]) => (key === undefined ? undefined : intervals.find(key)),
    prune: ([constraint]) => {
      if (constraint?.kind === 'values') return unitsOf(constraint.keys.map(intervals.find))
      return prunesRanges && constraint ? [intervals.overlapping(constraint)] : ['all']
    },
    print: Object.freeze({ rule: intervalsRule, owns: Object.freeze(ownsOf(sorted)) }),
    unitsInKeyOrder: Object.freeze(sorted.map(({ unit }) => unit)),
    ...(prunesRanges && { unitKeys: keysOf(sorted) }),
  })
}

/** By unit, its interval; an open end is null. */
function ownsOf(sorted: readonly KeyInterval[]): readonly string[] {
  const owns: string[] = []
  for (const { unit, from, to } of sorted) owns[unit] = JSON.stringify([from, to])
  return owns
}

function keysOf(sorted: readonly KeyInterval[]): readonly UnitKeys[] {
  const keys: UnitKeys[] = []
  for (const { unit, from, to } of sorted) keys[unit] = Object.freeze({ kind: 'interval', from, to })
  return Object.freeze(keys)
}

const FIRST_DAY = dayOfCivil(1, 1, 2)

const earlier = (key: CanonicalKey, type: KeyType): CanonicalKey | undefined => {
  const time = parseTime(key)
  if (time.kind !== 'time' || time.day < FIRST_DAY) return undefined
  if (type === 'date') return dateText(time.day - 1)
  return type === 'timestamp' ? timestampText(time.day, time.micros - 1) : timestamptzText(time.day, time.micros - 1)
}

/**
 * The greatest key below a key of a type that has one (`9` of `10`, the last microsecond of a day);
 * else `undefined`.
 */
const predecessorKey = (key: CanonicalKey, type: KeyType): CanonicalKey | undefined => {
  if (type === 'integer') return String(BigInt(key) - 1n)
  return type === 'date' || type === 'timestamp' || type === 'timestamptz' ? earlier(key, type) : undefined
}
