import { keyInvalid } from './key-invalid'
import { trimBlanks } from './trim-blanks'

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i
const SPECIAL = /^(?:[+-]?nan|([+-]?)inf(?:inity)?)$/i

const fromText = (value: unknown, source: string): string => {
  const text = trimBlanks(source)
  const special = SPECIAL.exec(text)
  if (special !== null) return special[1] === undefined ? 'NaN' : special[1] === '-' ? '-Infinity' : 'Infinity'
  if (!DECIMAL.test(text)) throw keyInvalid(value, 'float')
  const number = Number(text)
  // PostgreSQL refuses what overflows to infinity or vanishes to zero
  const vanished = number === 0 && /^[^e]*[1-9]/i.test(text)
  if (vanished || !Number.isFinite(number))
    throw keyInvalid(value, 'float', 'it is out of the range of double precision')
  return print(number)
}

const print = (number: number): string => (number === 0 ? '0' : String(number))

/** The shortest text that reads back as the same double; one zero; `NaN`, `Infinity`, `-Infinity`. */
export const canonicalFloat = (value: unknown): string => {
  if (typeof value === 'number') return print(value)
  if (typeof value === 'string') return fromText(value, value)
  if (typeof value === 'bigint') return fromText(value, String(value))
  throw keyInvalid(value, 'float')
}
