import { canonicalBoolean } from './canonical-boolean'
import { canonicalInteger } from './canonical-integer'
import { canonicalNumeric } from './canonical-numeric'
import { canonicalUuid } from './canonical-uuid'
import type { KeyType } from './key-type'
import { roundNumeric } from './round-numeric'

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
  if (to === 'integer') return from === 'numeric' ? { value: roundNumeric(canonicalNumeric(value), 0) } : undefined
  if (to !== 'text' && to !== 'char') return widened(typed, to)
  const text = from === 'text' ? value : textOf(typed)
  return text === undefined ? undefined : { value: text }
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
