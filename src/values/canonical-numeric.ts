import { keyInvalid } from './key-invalid'
import { plainDigits } from './plain-digits'
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
