import { canonicalBoolean, canonicalInteger, canonicalKey, canonicalUuid } from './canonical-key'
import { canonicalFloat, canonicalNumeric, roundFloat, roundNumeric } from './canonical-numeric'
import { canonicalTime } from './canonical-time'
import type { ColumnType, KeyType } from './key-type'

/**
 * The canonical text of the value that PostgreSQL stores in a column of this full type for `value`: rounded to the scale of
 * `numeric(p, s)` and the precision of `timestamp(p)`, without the blanks that do not fit into `varchar(n)`.
 *
 * Everything that writes a shard key places its row by this text. Reads use `canonicalKey`: PostgreSQL does not round what
 * it compares with. A value that PostgreSQL refuses (too long, out of range) keeps its own text, so that the statement is
 * sent and the error is PostgreSQL's.
 *
 * Returns `undefined` where the value's meaning depends on the database session, as `canonicalKey` does.
 *
 * @throws ShardedError KEY_INVALID
 * @example
 * storedKey('1.005', { type: 'numeric', precision: 10, scale: 2 }) // '1.01'
 * storedKey('abc  ', { type: 'text', length: 3 }) // 'abc'
 */
export function storedKey(value: unknown, { type, length, precision, scale }: ColumnType): string | undefined {
  if (type === 'timestamp' || type === 'timestamptz') return canonicalTime(value, type, precision)
  const key = canonicalKey(value, type)
  if (key === undefined) return undefined
  if (type === 'text' && length !== undefined) return cutBlanks(key, length)
  return type === 'numeric' && precision !== undefined ? roundNumeric(key, scale ?? 0) : key
}

/**
 * As `storedKey`, for a value whose type a statement says.
 *
 * Returns `undefined` where PostgreSQL does not convert the value to the column's type, or where only PostgreSQL knows how, too.
 *
 * @throws ShardedError KEY_INVALID
 */
export function storedKeyOf(typed: TypedValue, column: ColumnType): string | undefined {
  const known = valueToStore(typed, column.type)
  return known && storedKey(known.value, column)
}

/**
 * Whether each value that a column of type `source` can hold stays as it is when it is written to a column of type `target`,
 * or is refused. Both are of one key type.
 */
export function keepsValues(source: ColumnType, target: ColumnType): boolean {
  switch (target.type) {
    case 'text':
      return target.length === undefined || (source.length !== undefined && source.length <= target.length)
    case 'numeric':
      if (target.precision === undefined) return true
      return source.precision !== undefined && (source.scale ?? 0) <= (target.scale ?? 0)
    case 'timestamp':
    case 'timestamptz':
      return (source.precision ?? finestPrecision) <= (target.precision ?? finestPrecision)
    default:
      return true
  }
}

/** PostgreSQL keeps microseconds. */
const finestPrecision = 6

/** A value, and its type where a statement says it. Parameters and quoted literals take the type of what they stand beside. */
export interface TypedValue {
  readonly value: unknown
  readonly type?: KeyType
}

/**
 * The value that PostgreSQL makes of one whose type the statement says, to store it in a column of type `to`: `VALUES (1.5)`
 * stores 2 in an integer column. Undefined where it is not known here, or where PostgreSQL refuses.
 *
 * @throws ShardedError KEY_INVALID for what is no value of its own type
 */
export function valueToStore(typed: TypedValue, to: KeyType): TypedValue | undefined {
  const { value, type: from } = typed
  if (isOfType(typed, to)) return typed
  if (to === 'integer') return roundedToStore(typed)
  if (to !== 'text' && to !== 'char') return widened(typed, to)
  const text = from === 'text' ? value : textOf(typed)
  return text === undefined ? undefined : { value: text }
}

/** PostgreSQL rounds halves of `numeric` away from zero, and those of `double precision` to even. */
function roundedToStore({ value, type }: TypedValue): TypedValue | undefined {
  if (type === 'numeric') return { value: roundNumeric(canonicalNumeric(value), 0) }
  return type === 'float' ? { value: roundFloat(canonicalFloat(value)) } : undefined
}

/**
 * The value of a column of type `to` that one of another type is compared with; undefined where the comparison is not one of
 * values of `to`.
 *
 * @throws ShardedError KEY_INVALID for what is no value of its own type
 */
export function valueToCompare(typed: TypedValue, to: KeyType): TypedValue | undefined {
  if (isOfType(typed, to)) return typed
  // A fraction equals no integer, and says as a bound more than an integer could.
  if (to === 'integer') return typed.type === 'numeric' ? { value: canonicalNumeric(typed.value) } : undefined
  return widened(typed, to)
}

/** Of parameters and literals too. NULL is of every type. */
const isOfType = ({ value, type }: TypedValue, to: KeyType): boolean =>
  type === undefined || type === to || value === null || value === undefined

function widened({ value, type: from }: TypedValue, to: KeyType): TypedValue | undefined {
  if (from === 'integer' && (to === 'numeric' || to === 'float')) return { value: canonicalInteger(value) }
  if (from === 'numeric' && to === 'float') return { value: canonicalNumeric(value) }
  return from === 'date' && to === 'timestamp' ? { value } : undefined
}

/** A number as PostgreSQL writes it: with its own scale, which the canonical form has not. */
const plainNumeric = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/

/** What PostgreSQL writes of a value, where no setting of the session has a part in it. */
export function textOf({ value, type }: TypedValue): string | undefined {
  switch (type) {
    case 'integer':
      return canonicalInteger(value)
    case 'uuid':
      return canonicalUuid(value)
    case 'boolean':
      return canonicalBoolean(value)
    case 'numeric': {
      const text = String(value)
      const isNegativeZero = text.startsWith('-') && canonicalNumeric(text) === '0'
      return plainNumeric.test(text) && !isNegativeZero ? text : undefined
    }
    default:
      return undefined
  }
}

/**
 * A text as a column `varchar(length)` stores it: blanks behind its last character go. Where anything but blanks stands
 * there, PostgreSQL refuses the text (22001), and it comes back as it is. Characters are code points, as in PostgreSQL.
 */
function cutBlanks(text: string, length: number): string {
  if (text.length <= length) return text
  let end = 0
  for (let characters = 0; characters < length && end < text.length; characters++)
    end += (text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1
  for (let place = end; place < text.length; place++) if (text.charCodeAt(place) !== 0x20) return text
  return text.slice(0, end)
}
