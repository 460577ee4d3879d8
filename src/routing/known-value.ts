import type { A_Const, A_Expr, Node, TypeCast } from '@pgsql/types'
import { namesOf } from '../sql/tree'
import type { KeyType } from '../values/key-type'
import { type TypedValue, textOf } from '../values/stored-key'

/** What a statement's parameters are. */
export interface ParameterReader {
  parameter(number: number): unknown
}

/** The types of casts that keep what a value says, by PostgreSQL's names. A cast to another type may round it. */
const castTypes: Readonly<Record<string, KeyType>> = {
  int2: 'integer',
  int4: 'integer',
  int8: 'integer',
  numeric: 'numeric',
  float8: 'float',
  text: 'text',
  varchar: 'text',
  uuid: 'uuid',
  bool: 'boolean',
  date: 'date',
  bytea: 'bytes',
}

/** The value of a constant, a parameter, or a cast of one that keeps it; undefined for every other expression. */
export function knownValue(node: Node | undefined, reader: ParameterReader): TypedValue | undefined {
  if (!node) return undefined
  if ('ParamRef' in node) {
    const value = reader.parameter(node.ParamRef.number ?? 0)
    return value === undefined || typeof value === 'function' ? undefined : { value }
  }
  if ('A_Const' in node) return constantOf(node.A_Const)
  if ('TypeCast' in node) {
    const type = castTypeOf(node.TypeCast)
    const inner = type && !isArrayCast(node.TypeCast) ? knownValue(node.TypeCast.arg, reader) : undefined
    return type && inner && castTo(inner, type)
  }
  return 'A_Expr' in node ? negated(node.A_Expr, reader) : undefined
}

/** The elements of an array that the statement holds. */
export function knownArray(node: Node | undefined, reader: ParameterReader): readonly TypedValue[] | undefined {
  if (!node) return undefined
  if ('TypeCast' in node) {
    const type = castTypeOf(node.TypeCast)
    const inner = type && isArrayCast(node.TypeCast) ? knownArray(node.TypeCast.arg, reader) : undefined
    const cast = type && inner?.map((element) => castTo(element, type))
    return cast?.every((element) => element !== undefined) ? cast : undefined
  }
  if ('ParamRef' in node) {
    const value = reader.parameter(node.ParamRef.number ?? 0)
    return Array.isArray(value) && !value.some(Array.isArray)
      ? value.map((one: unknown) => ({ value: one }))
      : undefined
  }
  if ('A_ArrayExpr' in node) {
    const items = (node.A_ArrayExpr.elements ?? []).map((item) => knownValue(item, reader))
    return items.every((item) => item !== undefined) ? items : undefined
  }
  return undefined
}

/** Undefined for a cast with modifiers too, which rounds or cuts. */
function castTypeOf({ typeName }: TypeCast): KeyType | undefined {
  return (typeName?.typmods?.length ?? 0) > 0 ? undefined : castTypes[namesOf(typeName?.names)?.at(-1) ?? '']
}

const isArrayCast = ({ typeName }: TypeCast): boolean => (typeName?.arrayBounds?.length ?? 0) > 0

function castTo(inner: TypedValue, type: KeyType): TypedValue | undefined {
  const { value, type: from } = inner
  if (value === null || from === type) return { value, type }
  if (!isKeptBy(type, value)) return undefined
  // Of text, as of a literal, the cast reads what is written.
  if (from === undefined || from === 'text') return { value, type }
  if (type === 'text') return writtenAs(inner)
  if (type === 'float') return from === 'integer' || from === 'numeric' ? { value, type } : undefined
  const isWidened = from === 'integer' && type === 'numeric'
  return isWidened || (from === 'numeric' && type === 'integer') ? { value, type } : undefined
}

function writtenAs(inner: TypedValue): TypedValue | undefined {
  try {
    const text = textOf(inner)
    return text === undefined ? undefined : { value: text, type: 'text' }
  } catch {
    // PostgreSQL will say what is wrong with the value; until then it is not known.
    return undefined
  }
}

/** A cast of a fraction to an integer rounds; a date loses its time. */
function isKeptBy(type: KeyType, value: unknown): boolean {
  if (type === 'integer') return /^\s*-?\d+\s*$/.test(String(value))
  if (type === 'date') return typeof value === 'string' && /^\d{4}-\d\d-\d\d$/.test(value)
  return true
}

/** A minus before a number. */
function negated({ kind, lexpr, rexpr, name }: A_Expr, reader: ParameterReader): TypedValue | undefined {
  if (kind !== 'AEXPR_OP' || lexpr || namesOf(name)?.[0] !== '-') return undefined
  const inner = knownValue(rexpr, reader)
  const isNumber = inner && (inner.type === 'integer' || inner.type === 'numeric')
  return isNumber && /^[\d.]+$/.test(String(inner.value)) ? { value: `-${inner.value}`, type: inner.type } : undefined
}

const largestInteger = 2n ** 63n - 1n

function constantOf(constant: A_Const): TypedValue | undefined {
  if (constant.isnull) return { value: null }
  if (constant.ival) return { value: constant.ival.ival ?? 0, type: 'integer' }
  if (constant.fval) {
    const text = constant.fval.fval ?? ''
    const isInteger = /^\d+$/.test(text) && BigInt(text) <= largestInteger
    return { value: text, type: isInteger ? 'integer' : 'numeric' }
  }
  if (constant.boolval) return { value: constant.boolval.boolval ?? false, type: 'boolean' }
  return constant.sval ? { value: constant.sval.sval ?? '' } : undefined
}
