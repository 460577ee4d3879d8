import { keyInvalid } from './key-invalid'
import type { KeyType } from './key-type'

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
export const canonicalText = (value: unknown): string => asText(value, 'text')

/** As text, without the trailing blanks that do not count in `char(n)`. */
export const canonicalChar = (value: unknown): string => {
  const text = asText(value, 'char')
  let to = text.length
  while (to > 0 && text.charCodeAt(to - 1) === 32) to--
  return text.slice(0, to)
}
