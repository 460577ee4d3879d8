import { ShardedError } from '../errors/sharded-error'
import type { SortedSource } from './merge-sorted'

/** How many distinct values of a column are sent to the database for ranking at most. */
export const defaultMaxDistinctValues = 1_000_000

/**
 * Collects the distinct non-null texts of a `ranked` column over all sources, for the database to rank them, in the
 * order of their first appearance.
 *
 * @throws ShardedError SCATTER_UNSUPPORTED where there are more than `maxDistinctValues`; MERGE_ORDER where a value is no
 * text, or the column is missing
 * @example distinctValues(sources, '__k0') // ['Zürich', 'Aarau']
 */
export const distinctValues = (
  sources: readonly SortedSource[],
  column: string,
  maxDistinctValues: number = defaultMaxDistinctValues,
): string[] => {
  const values = new Set<string>()
  for (const { rows } of sources) {
    for (const row of rows) {
      const value = row[column]
      if (value === null) continue
      if (typeof value !== 'string') {
        throw new ShardedError(
          'MERGE_ORDER',
          `The sort column ${column} holds a ${typeof value} where text was expected.`,
          { details: { column } },
        )
      }
      values.add(value)
      if (values.size > maxDistinctValues) {
        throw new ShardedError(
          'SCATTER_UNSUPPORTED',
          `The sort column ${column} has more than ${maxDistinctValues} distinct values, too many for the database to rank.`,
          { details: { column, maxDistinctValues } },
        )
      }
    }
  }
  return [...values]
}
