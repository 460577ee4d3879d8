import { ShardedError } from '../errors/sharded-error'
import type { Row } from './row'
import type { SortTerm } from './sort-term'
import { type ValueComparator, valueComparator } from './value-comparator'

/** Compares two rows: negative, zero or positive. */
export type RowComparator = (a: Row, b: Row) => number

/** The distinct values of a `ranked` column → their rank in the database's order; values it holds equal share a rank. */
export type Ranks = ReadonlyMap<string, number>

const rankOf = (ranks: ReadonlyMap<unknown, number>, value: unknown, column: string): number => {
  const rank = ranks.get(value)
  if (rank === undefined) {
    throw new ShardedError('MERGE_ORDER', `The database gave no rank to a value of the sort column ${column}.`, {
      details: { column, value },
    })
  }
  return rank
}

const rankedComparator = (column: string, ranks: Ranks | undefined): ValueComparator => {
  if (ranks === undefined) {
    throw new ShardedError('MERGE_ORDER', `The sort column ${column} has no ranks of its values.`, {
      details: { column },
    })
  }
  return (a, b) => rankOf(ranks, a, column) - rankOf(ranks, b, column)
}

const missingColumn = (column: string): ShardedError =>
  new ShardedError('MERGE_ORDER', `A row does not carry the sort column ${column}.`, { details: { column } })

const termComparator = (term: SortTerm, ranks: Ranks | undefined): RowComparator => {
  const { column, nullsFirst } = term
  const compare = term.kind === 'ranked' ? rankedComparator(column, ranks) : valueComparator(term.kind)
  const nullSide = nullsFirst ? -1 : 1

  const compareNulls = (x: unknown, y: unknown): number => {
    if (x === undefined || y === undefined) throw missingColumn(column)
    if (x === y) return 0
    return x === null ? nullSide : -nullSide
  }
  if (term.descending) {
    return (a, b) => {
      const x = a[column]
      const y = b[column]
      return x === null || y === null ? compareNulls(x, y) : compare(y, x)
    }
  }
  return (a, b) => {
    const x = a[column]
    const y = b[column]
    return x === null || y === null ? compareNulls(x, y) : compare(x, y)
  }
}

const rowsAreEqual: RowComparator = () => 0

/**
 * Builds the order of an ORDER BY as one function; build it once per merge. It is a total order, exactly PostgreSQL's.
 * Rows that the terms do not tell apart are equal; without terms all rows are.
 *
 * @param ranks for each term of kind `ranked`, at the term's index, the ranks of its values; undefined for the others
 * @throws ShardedError MERGE_ORDER where a `ranked` term has no ranks; and, while comparing, for a value without a rank,
 * in another form than its kind's, or missing from its row; TypeError, while comparing, for malformed numeric text
 * @example
 * const compare = compareRows([{ column: '__k0', kind: 'integer', descending: false, nullsFirst: false }])
 * compare({ __k0: 9 }, { __k0: 10 }) // negative
 */
export const compareRows = (terms: readonly SortTerm[], ranks: readonly (Ranks | undefined)[] = []): RowComparator => {
  const comparators = terms.map((term, index) => termComparator(term, ranks[index]))
  if (comparators.length === 0) return rowsAreEqual
  return comparators.reduceRight((rest, first) => (a, b) => first(a, b) || rest(a, b))
}
