import { keyInvalid } from './key-invalid'
import { plainDigits } from './plain-digits'
import { trimBlanks } from './trim-blanks'

const MIN = -(2n ** 63n)
const MAX = 2n ** 63n - 1n
/** Every number of so many digits fits into 64 bits. */
const SURE_DIGITS = 18
/** Longer texts than this would only make `BigInt` slow: leading zeros are the one way to be valid and longer. */
const MAX_TEXT = 1000

/** Digits only, no leading zero, surely in range: the form in which keys nearly always come. */
const isCanonical = (text: string): boolean => {
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

const fromText = (value: string): string => {
  const text = plainDigits(trimBlanks(value))
  if (text.length > MAX_TEXT || !/^[+-]?\d+$/.test(text)) throw keyInvalid(value, 'integer')
  return fromBigInt(text.startsWith('-') ? -BigInt(text.slice(1)) : BigInt(text.replace('+', '')))
}

const fromBigInt = (value: bigint): string => {
  if (value < MIN || value > MAX) throw keyInvalid(value, 'integer', 'it is out of the range of bigint')
  return String(value)
}

/** `'42'` for 42, 42n, `'42'`, `'042'` and `' +42 '`. */
export const canonicalInteger = (value: unknown): string => {
  if (typeof value === 'string') return isCanonical(value) ? value : fromText(value)
  if (typeof value === 'bigint') return fromBigInt(value)
  if (typeof value !== 'number' || !Number.isInteger(value)) throw keyInvalid(value, 'integer')
  if (Number.isSafeInteger(value)) return String(value)
  throw keyInvalid(value, 'integer', 'JavaScript cannot hold it exactly, pass it as a bigint or a string')
}
