import type { A_Expr, Node } from '@pgsql/types'
import type { KeyBound, KeyConstraint } from '../functions/sharding-function'
import { fieldsOf, namesOf } from '../sql/tree'
import { canonicalKey } from '../values/canonical-key'
import { type TypedValue, valueToCompare } from '../values/stored-key'
import { knownArray, knownValue, type ParameterReader } from './known-value'
import { type Predicate, unknownPredicate } from './predicate'
import type { ShardedTable, SlotReader } from './table-catalog'

/** A column of a sharded table, where it is a part of the shard key, or holds ids that carry its slot. */
export type KeyColumnUse = KeyPart | SlotCarrier

interface KeyPart {
  readonly kind: 'key'
  readonly table: ShardedTable
  /** Which part of the key. */
  readonly index: number
}

interface SlotCarrier {
  readonly kind: 'slot'
  readonly table: ShardedTable
  readonly slotOf: SlotReader
}

/** How an expression is understood: which key column it is, and which value. */
export interface KeyReader extends ParameterReader {
  keyColumn(expression: Node | undefined): KeyColumnUse | undefined
}

/**
 * What a condition in SQL says of the shard key. Values are constants and parameters; everything else is unknown and
 * narrows nothing.
 */
export function keyPredicate(condition: Node, reader: KeyReader): Predicate {
  if ('BoolExpr' in condition) {
    const { boolop, args = [] } = condition.BoolExpr
    if (boolop !== 'AND_EXPR' && boolop !== 'OR_EXPR') return unknownPredicate
    return { kind: boolop === 'AND_EXPR' ? 'and' : 'or', of: args.map((part) => keyPredicate(part, reader)) }
  }
  if ('A_Const' in condition && condition.A_Const.boolval && !condition.A_Const.boolval.boolval)
    return { kind: 'or', of: [] }
  if ('A_Expr' in condition) return comparison(condition.A_Expr, reader)
  return unknownPredicate
}

function comparison(expression: A_Expr, reader: KeyReader): Predicate {
  const { kind, lexpr, rexpr } = expression
  const operator = namesOf(expression.name)?.at(-1)
  if (kind === 'AEXPR_OP') return binary({ operator, left: lexpr, right: rexpr }, reader)
  if (kind === 'AEXPR_IN' && operator === '=')
    return values(
      reader.keyColumn(lexpr),
      listOf(rexpr).map((item) => knownValue(item, reader)),
    )
  if (kind === 'AEXPR_OP_ANY' && operator === '=') {
    const list = knownArray(rexpr, reader)
    return list ? values(reader.keyColumn(lexpr), list) : unknownPredicate
  }
  if (kind === 'AEXPR_BETWEEN') {
    const [from, to] = listOf(rexpr)
    const above = binary({ operator: '>=', left: lexpr, right: from }, reader)
    return { kind: 'and', of: [above, binary({ operator: '<=', left: lexpr, right: to }, reader)] }
  }
  return unknownPredicate
}

const mirrored: Readonly<Record<string, string>> = { '=': '=', '<': '>', '>': '<', '<=': '>=', '>=': '<=' }

interface Comparison {
  readonly operator: string | undefined
  readonly left: Node | undefined
  readonly right: Node | undefined
}

function binary({ operator, left, right }: Comparison, reader: KeyReader): Predicate {
  if (operator === undefined || mirrored[operator] === undefined) return unknownPredicate
  if (operator === '=' && left && right && 'RowExpr' in left && 'RowExpr' in right) {
    const rights = right.RowExpr.args ?? []
    const pairs = (left.RowExpr.args ?? []).map((one, index) => ({ operator, left: one, right: rights[index] }))
    return { kind: 'and', of: pairs.map((pair) => binary(pair, reader)) }
  }
  const column = reader.keyColumn(left)
  if (column) return compare(column, operator, knownValue(right, reader))
  const other = reader.keyColumn(right)
  return other ? compare(other, mirrored[operator] ?? '', knownValue(left, reader)) : unknownPredicate
}

function compare(column: KeyColumnUse, operator: string, value: TypedValue | undefined): Predicate {
  if (!value) return unknownPredicate
  if (operator === '=') return values(column, [value])
  // Ids are in the order of their time, which says nothing of the slot.
  if (column.kind === 'slot') return unknownPredicate
  // A comparison with NULL is never true.
  if (value.value === null) return { kind: 'or', of: [] }
  const key = canonicalOf(column, value)
  if (key === undefined) return unknownPredicate
  const bound: KeyBound = { key, inclusive: operator.length === 2 }
  const constraint: KeyConstraint = operator.startsWith('>')
    ? { kind: 'range', from: bound }
    : { kind: 'range', to: bound }
  return { kind: 'key', column: column.index, constraint }
}

/** What a value says of the shard key: the canonical text of a part of it, or its slot. */
export type KeyOrSlot = { readonly key: string } | { readonly slot: number }

function saidBy(column: KeyColumnUse, value: TypedValue): KeyOrSlot | undefined {
  if (column.kind === 'slot') {
    const slot = column.slotOf(value.value)
    return slot === undefined ? undefined : { slot }
  }
  const key = canonicalOf(column, value)
  return key === undefined ? undefined : { key }
}

/** A list of keys in a condition: `key IN ($1, $2)`, `key = ANY($1)`. */
export interface KeyList {
  readonly column: KeyColumnUse
  readonly values: readonly unknown[]
  /** What each value says of the key; undefined for NULL. */
  readonly says: readonly (KeyOrSlot | undefined)[]
  /** Where its values are written. */
  readonly written: Node
  /** The condition with another array of values in the place of its own. */
  readonly withArray: (array: Node) => Node
}

/** Reads a list that parameters alone make up, and all of whose values are keys. */
export function keyListOf(condition: Node, reader: KeyReader): KeyList | undefined {
  if (!('A_Expr' in condition)) return undefined
  const { kind, name, lexpr, rexpr } = condition.A_Expr
  const column = reader.keyColumn(lexpr)
  const given = column && rexpr && namesOf(name)?.at(-1) === '=' ? givenList(kind, rexpr, reader) : undefined
  if (!column || !rexpr || !given) return undefined
  const says = given.values.map((value) => (value === null ? undefined : saidBy(column, { value })))
  if (given.values.some((value, index) => value !== null && says[index] === undefined)) return undefined
  const any = { ...condition.A_Expr, ...withoutSchema(lexpr), kind: 'AEXPR_OP_ANY' } as const
  const withArray = (array: Node): Node => ({ A_Expr: { ...any, rexpr: given.of(array) } })
  return { column, says, values: given.values, written: rexpr, withArray }
}

/** Where a list is replaced, each table has an alias: `public.order.id` would name none. */
const withoutSchema = (column: Node | undefined): Pick<A_Expr, 'lexpr'> =>
  column && 'ColumnRef' in column
    ? { lexpr: { ColumnRef: { ...column.ColumnRef, fields: column.ColumnRef.fields?.slice(-2) ?? [] } } }
    : {}

function givenList(
  kind: A_Expr['kind'],
  list: Node,
  reader: KeyReader,
): { readonly values: readonly unknown[]; readonly of: (array: Node) => Node } | undefined {
  if (kind === 'AEXPR_IN') {
    const items = listOf(list)
    const values = items.map((item) => ('ParamRef' in item ? knownValue(item, reader) : undefined))
    if (!values.every((value) => value !== undefined)) return undefined
    return { values: values.map(({ value }) => value), of: (array) => array }
  }
  if (kind !== 'AEXPR_OP_ANY') return undefined
  const cast = 'TypeCast' in list ? list.TypeCast : undefined
  const array = cast ? cast.arg : list
  const known = array && 'ParamRef' in array ? knownArray(list, reader) : undefined
  const values = known?.map(({ value }) => value)
  if (!values?.every((value) => value !== undefined)) return undefined
  return { values, of: (other) => (cast ? { TypeCast: { ...cast, arg: other } } : other) }
}

/** Equality with one of some values; NULL equals nothing. */
function values(column: KeyColumnUse | undefined, list: readonly (TypedValue | undefined)[]): Predicate {
  if (!column) return unknownPredicate
  const keys = new Set<string>()
  const slots = new Set<number>()
  for (const item of list) {
    if (!item) return unknownPredicate
    if (item.value === null || item.value === undefined) continue
    const said = saidBy(column, item)
    if (said === undefined) return unknownPredicate
    if ('key' in said) keys.add(said.key)
    else slots.add(said.slot)
  }
  if (column.kind === 'slot') return { kind: 'slots', slots: [...slots] }
  return { kind: 'key', column: column.index, constraint: { kind: 'values', keys: [...keys] } }
}

/** PostgreSQL will say what is wrong with a value of another type; until then it narrows nothing. */
function canonicalOf({ table, index }: KeyPart, typed: TypedValue): string | undefined {
  const type = table.entity?.keyColumns[index]?.type
  if (type === undefined) return undefined
  try {
    const known = valueToCompare(typed, type)
    return known && canonicalKey(known.value, type)
  } catch {
    return undefined
  }
}

const listOf = (node: Node | undefined): readonly Node[] => fieldsOf(node, 'List')?.items ?? []
