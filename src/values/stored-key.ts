import { canonicalKey } from './canonical-key'
import { canonicalTime } from './canonical-time'
import type { ColumnType } from './column-type'
import { type TypedValue, valueToStore } from './converted-value'
import { cutBlanks } from './cut-blanks'
import { roundNumeric } from './round-numeric'

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
