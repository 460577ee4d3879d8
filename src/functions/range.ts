import { type KeyOrder, keyOrder } from '../values/compare-keys'
import type { KeyType } from '../values/key-type'
import { checkLabels, declaredKey, functionInvalid, singleKeyType } from './declaration'
import type { KeyInterval } from './key-intervals'
import { bindIntervals } from './key-intervals'
import type { BoundFunction, ShardingFunction } from './sharding-function'

/** An end of an interval; `null` is open. */
export type RangeBound = number | bigint | string | Date | null

/** The options of `range`. */
export interface RangeOptions {
  /** Each shard's interval: from the first bound, to before the second. */
  readonly shards: Readonly<Record<string, readonly [from: RangeBound, to: RangeBound]>>
}

type Declared = readonly [label: string, from: RangeBound, to: RangeBound]

const copyBound = (bound: RangeBound): RangeBound => (bound instanceof Date ? new Date(bound) : bound)

const copyShards = (shards: RangeOptions['shards']): readonly Declared[] =>
  Object.entries(shards).map(([label, interval]) => {
    const [from, to, ...rest]: readonly (RangeBound | undefined)[] = Array.isArray(interval) ? interval : []
    if (from === undefined || to === undefined || rest.length > 0) {
      throw functionInvalid('range', `the shard '${label}' needs two bounds, [from, to]; null leaves an end open.`)
    }
    return [label, copyBound(from), copyBound(to)]
  })

const compareStarts =
  (order: KeyOrder) =>
  (a: KeyInterval, b: KeyInterval): number =>
    a.from === null ? (b.from === null ? 0 : -1) : b.from === null ? 1 : order(a.from, b.from)

const bindRange = (declared: readonly Declared[], types: readonly KeyType[]): BoundFunction => {
  const type = singleKeyType('range', types, (candidate) => keyOrder(candidate) !== undefined)
  const order = keyOrder(type) ?? (() => 0)
  const keyOf = (bound: RangeBound) => (bound === null ? null : declaredKey('range', bound, type))
  const intervals = declared.map(([label, from, to], unit): KeyInterval => {
    const interval = { unit, from: keyOf(from), to: keyOf(to) }
    if (interval.from !== null && interval.to !== null && order(interval.from, interval.to) >= 0) {
      throw functionInvalid(
        'range',
        `the shard '${label}' ends at ${interval.to}, not after its start ${interval.from}.`,
      )
    }
    return interval
  })
  const sorted = [...intervals].sort(compareStarts(order))
  sorted.reduce((before, next) => {
    if (before.to !== null && next.from !== null && order(before.to, next.from) <= 0) return next
    throw functionInvalid(
      'range',
      `the shards '${declared[before.unit]?.[0]}' and '${declared[next.unit]?.[0]}' overlap.`,
    )
  })
  return bindIntervals(sorted, type)
}

/**
 * Places keys by intervals of one column: numbers, texts, dates and times. A key in no interval has no owner.
 *
 * Equality, `<`, `>` and BETWEEN find the shards. Texts are placed by their code points, and only equality prunes them:
 * what `<` means for texts is up to the collation of the database.
 *
 * @throws ShardedError FUNCTION_INVALID
 * @example
 * range({ shards: { old: [null, 1_000_000], new: [1_000_000, null] } })
 */
export const range = ({ shards }: RangeOptions): ShardingFunction => {
  const declared = copyShards(shards)
  return Object.freeze<ShardingFunction>({
    kind: 'range',
    labels: checkLabels(
      'range',
      declared.map(([label]) => label),
    ),
    arity: 1,
    bind: (types) => bindRange(declared, types),
  })
}
