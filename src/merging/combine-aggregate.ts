import { ShardedError } from '../errors/sharded-error'
import { addDecimals } from '../values/decimal'
import { type DirectSortKind, valueComparator } from './value-comparator'

/** A shard's share of a SUM: null where the shard had no rows, or only NULLs. */
export type PartialSum = string | number | null

const isPresent = <T>(value: T | null): value is T => value !== null

/**
 * Adds the COUNTs of the shards, which `pg` gives as decimal text.
 *
 * @throws TypeError where a value is no count: a bug of the caller
 * @example combineCounts(['2', '40']) // 42n
 */
export const combineCounts = (values: readonly string[]): bigint =>
  values.reduce((total, value) => {
    if (!/^\d+$/.test(value)) throw new TypeError(`${JSON.stringify(value)} is not a count.`)
    return total + BigInt(value)
  }, 0n)

const exactText = (value: string | number): string => {
  if (typeof value === 'string') return value
  if (Number.isSafeInteger(value)) return String(value)
  throw new TypeError(`${value} is not exact: an exact sum takes decimal text.`)
}

const floatOf = (value: string | number): number => {
  if (typeof value === 'number') return value
  throw new TypeError(`${JSON.stringify(value)} is text: a float sum takes numbers.`)
}

/** As PostgreSQL's `float8pl`, which refuses a sum of finite numbers that is infinite. */
const addFloats = (a: number, b: number): number => {
  const sum = a + b
  if (Math.abs(sum) === Number.POSITIVE_INFINITY && Number.isFinite(a) && Number.isFinite(b)) {
    throw new ShardedError(
      'SCATTER_UNSUPPORTED',
      'The sum of the shards’ sums is out of the range of double precision.',
    )
  }
  return sum
}

/**
 * Adds the SUMs of the shards; null where all are null, as PostgreSQL has it for no rows.
 * `exact` is for sums of integers and numerics, and is exact, with PostgreSQL's scale. `float` is for double precision:
 * as in PostgreSQL, the last digits depend on the order of adding. A sum of `real` is not for here: PostgreSQL adds it in
 * single precision.
 *
 * @throws ShardedError SCATTER_UNSUPPORTED where finite floats add up to an infinity (PostgreSQL: out of range);
 * TypeError where a partial is not in the form of its kind: a bug of the caller
 * @example combineSum(['0.10', null, '2'], 'exact') // '2.10'
 */
export function combineSum(partials: readonly PartialSum[], kind: 'exact'): string | null
export function combineSum(partials: readonly PartialSum[], kind: 'float'): number | null
export function combineSum(partials: readonly PartialSum[], kind: 'exact' | 'float'): string | number | null
export function combineSum(partials: readonly PartialSum[], kind: 'exact' | 'float'): string | number | null {
  const present = partials.filter(isPresent)
  if (present.length === 0) return null
  return kind === 'exact'
    ? present.map(exactText).reduce((total, value) => addDecimals(total, value), '0')
    : present.map(floatOf).reduce(addFloats)
}

/**
 * The least or greatest of the shards' MINs or MAXs; null where all are null. Of values that compare equal but differ
 * in form (`1.0`, `1`) it keeps the last, as PostgreSQL's `numeric_smaller` and `numeric_larger` do.
 * Text whose order only the database knows has to be finished by PostgreSQL.
 *
 * @throws ShardedError MERGE_ORDER where a value is not in the form of its kind
 * @example combineExtreme(['9', null, '10'], 'MAX', 'numeric') // '10'
 */
export const combineExtreme = <T>(
  partials: readonly (T | null)[],
  fn: 'MIN' | 'MAX',
  kind: DirectSortKind,
): T | null => {
  const compare = valueComparator(kind)
  const keeps = fn === 'MIN' ? (order: number) => order < 0 : (order: number) => order > 0
  const present = partials.filter(isPresent)
  if (present.length === 0) return null
  return present.reduce((best, value) => (keeps(compare(best, value)) ? best : value))
}

/** A shard's share of an AVG of double precision. */
export interface PartialAverage {
  readonly sum: number | null
  /** How many non-null values were added, as `pg` gives a COUNT. */
  readonly count: string
}

/**
 * The AVG of double precision over all shards: sum divided by count, as PostgreSQL's `float8_avg`; null for no values.
 * For floats only. PostgreSQL's exact averages have a scale of their own: let it finish them, as
 * `sum::numeric / count::numeric`.
 *
 * @throws as `combineSum` and `combineCounts`
 * @example combineAverage([{ sum: 3, count: '2' }, { sum: null, count: '0' }]) // 1.5
 */
export const combineAverage = (partials: readonly PartialAverage[]): number | null => {
  const sum = combineSum(
    partials.map((partial) => partial.sum),
    'float',
  )
  return sum === null ? null : sum / Number(combineCounts(partials.map((partial) => partial.count)))
}
