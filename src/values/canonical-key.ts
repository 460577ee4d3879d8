import { canonicalFloat, canonicalNumeric, plainDigits } from './canonical-numeric'
import { canonicalTime } from './canonical-time'
import { type KeyType, keyInvalid } from './key-type'
import { trimBlanks } from './trim-blanks'

/** The canonical text of one shard key value: equal keys have equal texts, whatever their JavaScript form. */
export type CanonicalKey = string

/**
 * The canonical text of a shard key value, as its column's type tells values apart: 42, 42n, `'42'` and `'042'` are one
 * integer key. `test/vectors/canonical-keys.json` pins the texts down; they are stored nowhere, but hashes
 * depend on them.
 *
 * Returns `undefined` only where the value is legal but its meaning depends on the database session (see
 * `canonicalTime`): a reader then asks all shards, a writer must refuse.
 *
 * @throws ShardedError KEY_INVALID for anything the column cannot hold, null included. Never NULL, NUL or guesses.
 * @example
 * canonicalKey(' 042 ', 'integer') // '42'
 * canonicalKey('2024-01-15 10:00+02', 'timestamptz') // '2024-01-15T08:00:00.000000Z'
 */
export const canonicalKey = (value: unknown, type: KeyType): CanonicalKey | undefined => {
  switch (type) {
    case 'integer':
      return canonicalInteger(value)
    case 'numeric':
      return canonicalNumeric(value)
    case 'float':
      return canonicalFloat(value)
    case 'text':
      return canonicalText(value)
    case 'char':
      return canonicalChar(value)
    case 'uuid':
      return canonicalUuid(value)
    case 'boolean':
      return canonicalBoolean(value)
    case 'bytes':
      return canonicalBytes(value)
    case 'date':
    case 'timestamp':
    case 'timestamptz':
      return canonicalTime(value, type)
  }
}

/** One text for a composite key: no canonical text holds the NUL between. */
export const canonicalTuple = (keys: readonly CanonicalKey[]): string =>
  keys.length === 1 && keys[0] !== undefined ? keys[0] : keys.join('\0')

const MIN_BIGINT = -(2n ** 63n)
const MAX_BIGINT = 2n ** 63n - 1n
/** Every number of so many digits fits into 64 bits. */
const SURE_DIGITS = 18
/** Longer texts than this would only make `BigInt` slow: leading zeros are the one way to be valid and longer. */
const MAX_TEXT = 1000

/** Digits only, no leading zero, surely in range: the form in which keys nearly always come. */
const isCanonicalInteger = (text: string): boolean => {
  const length = text.length
  if (length === 0 || length > SURE_DIGITS) return false
  const first = text.charCodeAt(0)
  if (first < 49 || first > 57) return text === '0'
  for (let i = 1; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code < 48 || code > 57) return false
  }
  return true
}

const integerOfText = (value: string): string => {
  const text = plainDigits(trimBlanks(value))
  if (text.length > MAX_TEXT || !/^[+-]?\d+$/.test(text)) throw keyInvalid(value, 'integer')
  return integerOfBigInt(text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text.replace('+', '')))
}

const integerOfBigInt = (value: bigint): string => {
  if (value < MIN_BIGINT || value > MAX_BIGINT) throw keyInvalid(value, 'integer', 'it is out of the range of bigint')
  return String(value)
}

/** `'42'` for 42, 42n, `'42'`, `'042'` and `' +42 '`. */
export const canonicalInteger = (value: unknown): string => {
  if (typeof value === 'string') return isCanonicalInteger(value) ? value : integerOfText(value)
  if (typeof value === 'bigint') return integerOfBigInt(value)
  if (typeof value !== 'number' || !Number.isInteger(value)) throw keyInvalid(value, 'integer')
  if (Number.isSafeInteger(value)) return String(value)
  throw keyInvalid(value, 'integer', 'JavaScript cannot hold it exactly, pass it as a bigint or a string')
}

const LONE_SURROGATE = /\p{Surrogate}/u

const asText = (value: unknown, type: KeyType): string => {
  if (typeof value === 'string') {
    if (value.includes('\0')) throw keyInvalid(value, type, 'PostgreSQL text cannot hold a NUL character')
    // the driver writes UTF-8, which turns a lone surrogate into U+FFFD
    return LONE_SURROGATE.test(value) ? Buffer.from(value).toString() : value
  }
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value)
  throw keyInvalid(value, type)
}

/** The text itself; of numbers and booleans, what the driver sends. */
const canonicalText = (value: unknown): string => asText(value, 'text')

/** As text, without the trailing blanks that do not count in `char(n)`. */
const canonicalChar = (value: unknown): string => {
  const text = asText(value, 'char')
  let to = text.length
  while (to > 0 && text.charCodeAt(to - 1) === 32) to--
  return text.slice(0, to)
}

const CANONICAL_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
/** A hyphen may follow any group of four digits but the last, and braces may stand around: as `uuid_in` reads it. */
const ACCEPTED_UUID = /^(\{?)((?:[0-9a-f]{4}-?){7}[0-9a-f]{4})(\}?)$/i

/** Lower case with the usual four hyphens, of every form that PostgreSQL reads. */
export const canonicalUuid = (value: unknown): string => {
  if (typeof value !== 'string') throw keyInvalid(value, 'uuid')
  if (CANONICAL_UUID.test(value)) return value
  const match = ACCEPTED_UUID.exec(value)
  if (match === null || (match[1] === '') !== (match[3] === '')) throw keyInvalid(value, 'uuid')
  const hex = (match[2] ?? '').replaceAll('-', '').toLowerCase()
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

const TRUE = /^(?:t(?:r(?:ue?)?)?|y(?:es?)?|on|1)$/i
const FALSE = /^(?:f(?:a(?:l(?:se?)?)?)?|no?|off?|0)$/i

const truthOf = (text: string): boolean | undefined => (TRUE.test(text) ? true : FALSE.test(text) ? false : undefined)

/** `'true'` or `'false'`, of every text that PostgreSQL reads as a boolean, and of 1 and 0. */
export const canonicalBoolean = (value: unknown): string => {
  if (typeof value === 'boolean') return String(value)
  const isNumber = typeof value === 'number' || typeof value === 'bigint'
  const truth = isNumber ? truthOf(String(value)) : typeof value === 'string' ? truthOf(trimBlanks(value)) : undefined
  if (truth === undefined) throw keyInvalid(value, 'boolean')
  return String(truth)
}

/** White space may stand between the pairs of digits. */
const HEX = /^\\x(?:[0-9a-fA-F]{2}|[ \n\t\r])*$/

/**
 * `\x` and lower-case hex digits. Of texts, only the hex format is read: the older escape format
 * looks like any text.
 */
const canonicalBytes = (value: unknown): string => {
  if (value instanceof Uint8Array) {
    return `\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}`
  }
  if (typeof value !== 'string' || !HEX.test(value)) throw keyInvalid(value, 'bytes')
  return value.replace(/[ \n\t\r]/g, '').toLowerCase()
}
