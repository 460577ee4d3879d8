import type { CanonicalKey } from './canonical-key'
import { compareDecimals } from './decimal'
import type { KeyType } from './key-type'

const firstSurrogate = 0xd800
const lastSurrogate = 0xdfff

/** Lifts surrogates above U+E000 – U+FFFF, where the code points that they stand for belong. */
const lift = (unit: number): number => (unit >= firstSurrogate && unit <= lastSurrogate ? unit + 0x10000 : unit)

/**
 * Compares two well-formed texts by code points: the byte order of their UTF-8, which is PostgreSQL's order in C, POSIX
 * and C.UTF-8. JavaScript's `<` compares UTF-16 units and puts surrogate pairs (U+10000 and up) below U+E000 – U+FFFF.
 * The fix-up at the first unit that differs is the one of ICU's `compareCodePointOrder`.
 *
 * @returns negative, zero or positive
 * @example compareCodePoints('\u{1F600}', '\uFF5E') // positive, although '\u{1F600}' < '\uFF5E'
 */
export const compareCodePoints = (a: string, b: string): number => {
  if (a === b) return 0
  const shared = Math.min(a.length, b.length)
  for (let index = 0; index < shared; index++) {
    const left = a.charCodeAt(index)
    const right = b.charCodeAt(index)
    if (left !== right) return lift(left) - lift(right)
  }
  return a.length - b.length
}

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
