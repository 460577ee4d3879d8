import type { CanonicalKey } from './canonical-key'
import { compareCodePoints } from './compare-code-points'
import { compareDecimals } from './decimal'
import type { KeyType } from './key-type'

/** Negative, zero or positive, as PostgreSQL's `<`, `=`, `>` on the values. */
export type KeyOrder = (a: CanonicalKey, b: CanonicalKey) => number

const compareTexts = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const TIME_RANKS: Readonly<Record<string, number>> = Object.freeze({ '-infinity': -1, infinity: 1 })

const compareFloats: KeyOrder = (a, b) => {
  if (a === b) return 0
  // NaN is above everything, and no comparison of JavaScript is true of it
  return b === 'NaN' || Number(a) < Number(b) ? -1 : 1
}

/** Canonical times have fields of fixed width but for the year: longer is later, and equally long compare as texts. */
const compareTimes: KeyOrder = (a, b) =>
  (TIME_RANKS[a] ?? 0) - (TIME_RANKS[b] ?? 0) || a.length - b.length || compareTexts(a, b)

const ORDERS: Readonly<Partial<Record<KeyType, KeyOrder>>> = Object.freeze({
  integer: compareDecimals,
  numeric: compareDecimals,
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
