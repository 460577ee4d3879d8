import type { KeyType } from './key-type'
import type { CanonicalKey } from './sharding-function'

/** Negative, zero or positive, as PostgreSQL's `<`, `=`, `>` on the values. */
export type KeyOrder = (a: CanonicalKey, b: CanonicalKey) => number

const compareTexts = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const NUMBER_RANKS: Readonly<Record<string, number>> = Object.freeze({ '-Infinity': -1, Infinity: 1, NaN: 2 })
const TIME_RANKS: Readonly<Record<string, number>> = Object.freeze({ '-infinity': -1, infinity: 1 })

const wholeDigits = (magnitude: string): number => {
  const point = magnitude.indexOf('.')
  return point < 0 ? magnitude.length : point
}

/** Canonical decimals have no zeros that do not count: more digits is more, and equally many compare as texts. */
const compareMagnitudes = (a: string, b: string): number => wholeDigits(a) - wholeDigits(b) || compareTexts(a, b)

const compareNumbers: KeyOrder = (a, b) => {
  if (a === b) return 0
  const byRank = (NUMBER_RANKS[a] ?? 0) - (NUMBER_RANKS[b] ?? 0)
  if (byRank !== 0) return byRank
  const negative = a.startsWith('-')
  if (negative !== b.startsWith('-')) return negative ? -1 : 1
  return negative ? compareMagnitudes(b.slice(1), a.slice(1)) : compareMagnitudes(a, b)
}

const compareFloats: KeyOrder = (a, b) => {
  if (a === b) return 0
  // NaN is above everything, and no comparison of JavaScript is true of it
  return b === 'NaN' || Number(a) < Number(b) ? -1 : 1
}

/** Canonical times have fields of fixed width but for the year: longer is later, and equally long compare as texts. */
const compareTimes: KeyOrder = (a, b) =>
  (TIME_RANKS[a] ?? 0) - (TIME_RANKS[b] ?? 0) || a.length - b.length || compareTexts(a, b)

/** Moves surrogates above the rest of the plane, so that UTF-16 units compare as the code points do. */
const rank = (unit: number): number => (unit < 0xd800 ? unit : unit >= 0xe000 ? unit - 0x800 : unit + 0x2000)

const compareCodePoints: KeyOrder = (a, b) => {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return rank(x) - rank(y)
  }
  return a.length - b.length
}

const ORDERS: Readonly<Partial<Record<KeyType, KeyOrder>>> = Object.freeze({
  integer: compareNumbers,
  numeric: compareNumbers,
  float: compareFloats,
  text: compareCodePoints,
  char: compareCodePoints,
  date: compareTimes,
  timestamp: compareTimes,
  timestamptz: compareTimes,
})

/**
 * The order of the canonical texts of a type, without parsing them; `undefined` for types without one here.
 * Texts compare by code points, that is by their UTF-8 bytes.
 */
export const keyOrder = (type: KeyType): KeyOrder | undefined => ORDERS[type]

/**
 * Whether `<` in the database is the order of `keyOrder`: for texts the collation decides, so their
 * ranges prune nothing.
 */
export const ordersAsDatabase = (type: KeyType): boolean =>
  keyOrder(type) !== undefined && type !== 'text' && type !== 'char'
