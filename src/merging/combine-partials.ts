import { type DirectSortKind, valueComparator } from './comparator'

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
  const present = partials.filter((value) => value !== null)
  if (present.length === 0) return null
  return present.reduce((best, value) => (keeps(compare(best, value)) ? best : value))
}

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
