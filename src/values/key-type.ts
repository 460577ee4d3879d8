import { ShardedError } from '../errors/sharded-error'

/** The kinds of columns that a shard key can have, as far as telling equal keys goes. */
export type KeyType =
  | 'integer' // smallint, int, bigint
  | 'numeric'
  | 'float' // float8
  | 'text' // text, varchar, enum
  | 'char' // char(n): trailing blanks do not count
  | 'uuid'
  | 'boolean'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'bytes'

/** What a column's declaration says behind the name of its type: `varchar(3)`, `numeric(10, 2)`, `timestamp(0)`. */
export interface TypeModifiers {
  /** Of `varchar(n)` and `char(n)`: characters. */
  readonly length?: number
  /** Of `numeric(p, s)`: digits. Of `timestamp(p)` and `timestamptz(p)`: digits of a second's fraction. */
  readonly precision?: number
  /** Of `numeric(p, s)`: digits behind the decimal point. It has a value wherever a numeric type has a precision. */
  readonly scale?: number
}

/** The full type of a column: all that decides which value PostgreSQL stores for the one that it is given. */
export interface ColumnType extends TypeModifiers {
  readonly type: KeyType
}

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
