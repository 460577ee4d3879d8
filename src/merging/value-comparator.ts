import { ShardedError } from '../errors/sharded-error'
import { compareCodePoints } from '../values/compare-code-points'
import { compareDecimals } from '../values/decimal'
import type { SortKind } from './sort-kind'

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
