import { keyInvalid } from './key-type'
import { trimBlanks } from './trim-blanks'

/** PostgreSQL's own limits: digits before and after the decimal point. */
const MAX_INTEGER_DIGITS = 131_072
const MAX_SCALE = 16_383

const DECIMAL = /^([+-]?)(?:(\d+)(?:\.(\d*))?|\.(\d+))(?:e([+-]?\d+))?$/i
const SPECIALS: Readonly<Record<string, string>> = Object.freeze({
  nan: 'NaN',
  inf: 'Infinity',
  '+inf': 'Infinity',
  '-inf': '-Infinity',
  infinity: 'Infinity',
  '+infinity': 'Infinity',
  '-infinity': '-Infinity',
})

const isSimple = (text: string): boolean => /^[1-9]\d{0,17}$/.test(text)

const fromText = (value: unknown, source: string): string => {
  if (isSimple(source)) return source
  const text = plainDigits(trimBlanks(source))
  const special = text.length <= 9 ? SPECIALS[text.toLowerCase()] : undefined
  if (special !== undefined) return special
  const match = DECIMAL.exec(text)
  if (match === null) throw keyInvalid(value, 'numeric')
  const [, sign = '', before = '', after = '', bare = '', exponent = '0'] = match
  return expand({ sign, before, after: after + bare, exponent: Number(exponent) }, value)
}

/** `before.after × 10^exponent` */
interface WrittenNumber {
  readonly sign: string
  readonly before: string
  readonly after: string
  readonly exponent: number
}

/** Writes a number out without an exponent and without zeros that do not count. @param value as it was given */
const expand = ({ sign, before, after, exponent }: WrittenNumber, value: unknown): string => {
  const scale = after.length - exponent
  if (scale > MAX_SCALE) throw keyInvalid(value, 'numeric', `it has more than ${MAX_SCALE} decimal places`)
  const digits = (before + after).replace(/^0+/, '')
  if (digits === '') return '0'
  if (digits.length - scale > MAX_INTEGER_DIGITS) {
    throw keyInvalid(value, 'numeric', `it has more than ${MAX_INTEGER_DIGITS} digits before the decimal point`)
  }
  const padded = scale < 0 ? digits + '0'.repeat(-scale) : digits.padStart(scale + 1, '0')
  const point = scale < 0 ? padded.length : padded.length - scale
  const fraction = trimTrailingZeros(padded.slice(point))
  const whole = padded.slice(0, point)
  return (sign === '-' ? '-' : '') + (fraction === '' ? whole : `${whole}.${fraction}`)
}

const trimTrailingZeros = (digits: string): string => {
  let to = digits.length
  while (to > 0 && digits.charCodeAt(to - 1) === 48) to--
  return digits.slice(0, to)
}

/**
 * `'1'` for `'1.0'`, 1, 1n and `'1e0'`; exact for any number of digits. A JavaScript number is what
 * the driver prints of it.
 */
export const canonicalNumeric = (value: unknown): string => {
  if (typeof value === 'string') return fromText(value, value)
  if (typeof value === 'number' || typeof value === 'bigint') return fromText(value, String(value))
  throw keyInvalid(value, 'numeric')
}

const RADIX = /^([+-]?)(0[xob](?:_?[0-9a-f])+)$/i

/**
 * Rewrites the number texts that PostgreSQL reads since version 16 as plain decimal digits: `1_000`, `0x2A`,
 * `0o52`, `0b101010`.
 * Older servers refuse them, so taking them here never gives another answer than the server. Other texts come
 * back as they are.
 */
export const plainDigits = (text: string): string => {
  const radix = RADIX.exec(text)
  if (radix === null) return text.includes('_') ? text.replace(/(?<=\d)_(?=\d)/g, '') : text
  const digits = (radix[2] ?? '').replaceAll('_', '')
  return isNumber(digits) ? `${radix[1] ?? ''}${BigInt(digits)}` : text
}

const isNumber = (digits: string): boolean => /^0(?:x[0-9a-f]+|o[0-7]+|b[01]+)$/i.test(digits)

const DOUBLE = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i
const SPECIAL_DOUBLE = /^(?:[+-]?nan|([+-]?)inf(?:inity)?)$/i

const doubleOfText = (value: unknown, source: string): string => {
  const text = trimBlanks(source)
  const special = SPECIAL_DOUBLE.exec(text)
  if (special !== null) return special[1] === undefined ? 'NaN' : special[1] === '-' ? '-Infinity' : 'Infinity'
  if (!DOUBLE.test(text)) throw keyInvalid(value, 'float')
  const number = Number(text)
  // PostgreSQL refuses what overflows to infinity or vanishes to zero
  const vanished = number === 0 && /^[^e]*[1-9]/i.test(text)
  if (vanished || !Number.isFinite(number))
    throw keyInvalid(value, 'float', 'it is out of the range of double precision')
  return printDouble(number)
}

const printDouble = (number: number): string => (number === 0 ? '0' : String(number))

/** The shortest text that reads back as the same double; one zero; `NaN`, `Infinity`, `-Infinity`. */
export const canonicalFloat = (value: unknown): string => {
  if (typeof value === 'number') return printDouble(value)
  if (typeof value === 'string') return doubleOfText(value, value)
  if (typeof value === 'bigint') return doubleOfText(value, String(value))
  throw keyInvalid(value, 'float')
}

/** A canonical double as the nearest integer, halves to even, as PostgreSQL stores it in an integer column. NaN and infinity stay. */
export function roundFloat(key: string): string {
  const number = Number(key)
  if (!Number.isFinite(number)) return key
  const below = Math.floor(number)
  const fraction = number - below
  const isUp = fraction > 0.5 || (fraction === 0.5 && below % 2 !== 0)
  return String(BigInt(isUp ? below + 1 : below))
}

/**
 * A canonical numeric rounded to `scale` digits behind the decimal point (before it, where the scale is negative), halves away
 * from zero, as PostgreSQL rounds what it stores in `numeric(p, s)`. NaN and infinity stay.
 */
export function roundNumeric(key: string, scale: number): string {
  const [, sign = '', whole = '', fraction = ''] = decimal.exec(key) ?? []
  if (whole === '' || fraction.length <= scale) return key
  const digits = whole + fraction
  const cut = whole.length + scale
  // Beyond the first digit all digits are zeros, so that nothing is left.
  const rounded = cut < 0 ? 0n : BigInt(digits.slice(0, cut) || '0') + (digits.charCodeAt(cut) >= fiveCode ? 1n : 0n)
  if (rounded === 0n) return '0'
  if (scale <= 0) return `${sign}${rounded}${'0'.repeat(-scale)}`
  const text = String(rounded).padStart(scale + 1, '0')
  const kept = text.slice(-scale).replace(/0+$/, '')
  return `${sign}${text.slice(0, -scale)}${kept && `.${kept}`}`
}

const decimal = /^(-?)(\d+)(?:\.(\d+))?$/
const fiveCode = 0x35
