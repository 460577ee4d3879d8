import { ShardedError } from '../errors/sharded-error'
import type { KeyType } from './key-type'

/** Longer texts are cut in messages: a key can be a document. */
const MAX_SHOWN = 60

const shorten = (text: string): string => (text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text)

const describe = (value: unknown): string => {
  if (value === null) return 'Null'
  if (typeof value === 'string') return `The text ${JSON.stringify(shorten(value))}`
  if (typeof value === 'number' || typeof value === 'bigint') return `The number ${shorten(String(value))}`
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'An invalid Date' : 'A Date'
  if (value instanceof Uint8Array) return 'A Buffer'
  if (Array.isArray(value)) return 'An array'
  const kind = typeof value
  if (kind === 'undefined') return 'Undefined'
  return kind === 'object' ? 'An object' : `A ${kind}`
}

/**
 * The error for a value that its key column cannot hold. Callers that know entity and column make their own of it:
 * `new ShardedError('KEY_INVALID', …, { details: { ...error.details, entity, column }, cause: error })`.
 *
 * @example
 * keyInvalid(true, 'integer').message // A boolean is not a value of an integer shard key. …
 */
export const keyInvalid = (value: unknown, type: KeyType, reason?: string): ShardedError => {
  const article = type === 'integer' ? 'an' : 'a'
  const ending = reason === undefined ? '' : `: ${reason}`
  return new ShardedError(
    'KEY_INVALID',
    `${describe(value)} is not a value of ${article} ${type} shard key${ending}.`,
    { details: { keyType: type, valueType: value === null ? 'null' : typeof value } },
  )
}
