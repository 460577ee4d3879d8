import { ShardedError } from '../errors/sharded-error'
import { compareCodePoints } from '../values/compare-keys'
import { compareDecimals } from '../values/decimal'
import type { Row } from './row'
import type { SortKind, SortTerm } from './sort-term'

/** Compares two values of one column, neither of them null: negative, zero or positive. */
export type ValueComparator = (a: unknown, b: unknown) => number

/** The kinds whose order is known here, without the database's ranks. */
export type DirectSortKind = Exclude<SortKind, 'ranked'>

const refuse = (kind: SortKind, a: unknown, b: unknown): ShardedError =>
  new ShardedError(
    'MERGE_ORDER',
    `Values of the types ${typeof a} and ${typeof b} cannot be compared as ${kind}: a parser that the application gave to pg (pg.types.setTypeParser) makes something else of them. Sort by the column cast to another type, as numeric.`,
    { details: { kind } },
  )

/** Texts of int8 as PostgreSQL writes them, without leading zeros: sign, length, digits. */
const compareIntegerTexts = (a: string, b: string): number => {
  if (a === b) return 0
  const aNegative = a.startsWith('-')
  if (aNegative !== b.startsWith('-')) return aNegative ? -1 : 1
  if (a.length === b.length) return a < b !== aNegative ? -1 : 1
  return a.length < b.length !== aNegative ? -1 : 1
}

const integerText = (value: unknown): string | undefined => {
  if (typeof value === 'string') return value
  return Number.isSafeInteger(value) ? String(value) : undefined
}

const compareIntegers: ValueComparator = (a, b) => {
  if (typeof a === 'string' && typeof b === 'string') return compareIntegerTexts(a, b)
  if (typeof a === 'number' && typeof b === 'number' && Number.isSafeInteger(a) && Number.isSafeInteger(b)) {
    return a < b ? -1 : a > b ? 1 : 0
  }
  const left = integerText(a)
  const right = integerText(b)
  if (left === undefined || right === undefined) throw refuse('integer', a, b)
  return compareIntegerTexts(left, right)
}

const compareNumerics: ValueComparator = (a, b) => {
  if (typeof a !== 'string' || typeof b !== 'string') throw refuse('numeric', a, b)
  return compareDecimals(a, b)
}

/** As PostgreSQL's `float8_cmp_internal`. */
const compareFloats: ValueComparator = (a, b) => {
  if (typeof a !== 'number' || typeof b !== 'number') throw refuse('float', a, b)
  if (a < b) return -1
  if (a > b) return 1
  if (a === b) return 0
  return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
}

const compareBooleans: ValueComparator = (a, b) => {
  if (typeof a !== 'boolean' || typeof b !== 'boolean') throw refuse('boolean', a, b)
  return Number(a) - Number(b)
}

const compareBytes: ValueComparator = (a, b) => {
  if (!(a instanceof Uint8Array && b instanceof Uint8Array)) throw refuse('bytes', a, b)
  return Buffer.compare(a, b)
}

const compareTexts: ValueComparator = (a, b) => {
  if (typeof a !== 'string' || typeof b !== 'string') throw refuse('codepoints', a, b)
  return compareCodePoints(a, b)
}

const compareInstants: ValueComparator = (a, b) => compareFloats(milliseconds(a, b), milliseconds(b, a))

const milliseconds = (value: unknown, other: unknown): number => {
  const time = value instanceof Date ? value.getTime() : value
  if (typeof time !== 'number' || Number.isNaN(time)) throw refuse('instant', value, other)
  return time
}

const comparators: Readonly<Record<DirectSortKind, ValueComparator>> = Object.freeze({
  integer: compareIntegers,
  numeric: compareNumerics,
  float: compareFloats,
  boolean: compareBooleans,
  bytes: compareBytes,
  codepoints: compareTexts,
  instant: compareInstants,
})

/**
 * The order of the non-null values of a kind, exactly as PostgreSQL sorts them (`instant`: as far as it tells them apart).
 * What it gives throws MERGE_ORDER for a value whose JavaScript form is not that of the kind (`undefined` included:
 * a column that is missing is no NULL), and TypeError for malformed numeric text.
 *
 * @example valueComparator('numeric')('1.0', '1') // 0
 */
export const valueComparator = (kind: DirectSortKind): ValueComparator => comparators[kind]

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
