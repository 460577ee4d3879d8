import { keyInvalid } from './key-invalid'
import { trimBlanks } from './trim-blanks'

const TRUE = /^(?:t(?:r(?:ue?)?)?|y(?:es?)?|on|1)$/i
const FALSE = /^(?:f(?:a(?:l(?:se?)?)?)?|no?|off?|0)$/i

const read = (text: string): boolean | undefined => (TRUE.test(text) ? true : FALSE.test(text) ? false : undefined)

/** `'true'` or `'false'`, of every text that PostgreSQL reads as a boolean, and of 1 and 0. */
export const canonicalBoolean = (value: unknown): string => {
  if (typeof value === 'boolean') return String(value)
  const isNumber = typeof value === 'number' || typeof value === 'bigint'
  const truth = isNumber ? read(String(value)) : typeof value === 'string' ? read(trimBlanks(value)) : undefined
  if (truth === undefined) throw keyInvalid(value, 'boolean')
  return String(truth)
}
