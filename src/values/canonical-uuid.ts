import { keyInvalid } from './key-invalid'

const CANONICAL = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
/** A hyphen may follow any group of four digits but the last, and braces may stand around: as `uuid_in` reads it. */
const ACCEPTED = /^(\{?)((?:[0-9a-f]{4}-?){7}[0-9a-f]{4})(\}?)$/i

/** Lower case with the usual four hyphens, of every form that PostgreSQL reads. */
export const canonicalUuid = (value: unknown): string => {
  if (typeof value !== 'string') throw keyInvalid(value, 'uuid')
  if (CANONICAL.test(value)) return value
  const match = ACCEPTED.exec(value)
  if (match === null || (match[1] === '') !== (match[3] === '')) throw keyInvalid(value, 'uuid')
  const hex = (match[2] ?? '').replaceAll('-', '').toLowerCase()
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
