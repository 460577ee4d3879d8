import type { FuncCall, JsonAggConstructor, JsonArrayAgg, JsonObjectAgg, JsonValueExpr, Node } from '@pgsql/types'
import type { ValueType } from '../query/sort-form'
import { candidates, type KnownFunctions } from '../routing/known-functions'
import type { AggregateNode } from '../routing/query-shape'
import { functionNode, integerConstant, operatorNode, stringNode, typeCast } from '../sql/nodes'
import { namesOf } from '../sql/tree'

/** An aggregate in two halves: what every shard computes, and how the results are put together. */
export interface PartialAggregate {
  readonly partials: readonly Node[]
  /** The whole, over columns that hold the partials and have the given types. */
  readonly combine: (columns: readonly Node[], types: readonly (ValueType | undefined)[]) => Node
}

const sameAgain = new Set(['min', 'max', 'bool_and', 'bool_or', 'every', 'bit_and', 'bit_or', 'bit_xor'])

/**
 * The halves of an aggregate, where the halves give exactly the whole; undefined where its rows are needed (DISTINCT,
 * an order, percentiles, deviations, lists) or the function is not PostgreSQL's own.
 */
export function partialAggregate(call: FuncCall, functions: KnownFunctions): PartialAggregate | undefined {
  const [name = '', schema] = [...(namesOf(call.funcname) ?? [])].reverse()
  // An aggregate of the user's may have the name.
  const isBuiltIn = candidates(call, functions).every((one) => one.isBuiltIn)
  if (schema === undefined ? !isBuiltIn : schema !== 'pg_catalog') return undefined
  if (call.agg_distinct || call.agg_order || call.agg_within_group || call.func_variadic) return undefined
  if (name === 'count') {
    return {
      partials: [{ FuncCall: call }],
      combine: ([count]) => coalesceZero(typeCast(aggregate('sum', count), 'int8')),
    }
  }
  if (sameAgain.has(name)) return { partials: [{ FuncCall: call }], combine: ([value]) => aggregate(name, value) }
  if (name === 'sum') return { partials: [{ FuncCall: call }], combine: ([sum], [type]) => addUp(sum, type) }
  if (name === 'avg') {
    const as = (fn: string): Node => ({ FuncCall: { ...call, funcname: [{ String: { sval: fn } }] } })
    return { partials: [as('sum'), as('count'), as('avg')], combine: average }
  }
  return undefined
}

/** The sum of integers is a bigint, and that of bigints would be a numeric. */
function addUp(sum: Node | undefined, type: ValueType | undefined): Node {
  const total = aggregate('sum', sum)
  return type?.name === 'bigint' ? typeCast(total, 'int8') : total
}

/**
 * As PostgreSQL divides: numerics by numerics, which gives its scale. Means of floats are weighted, since a sum of `real`
 * has lost what their mean still has.
 */
function average(columns: readonly Node[], [type]: readonly (ValueType | undefined)[]): Node {
  const [sum, count, mean] = columns
  const total = nullIfZero(aggregate('sum', count))
  if (type?.name === 'bigint' || type?.name === 'numeric')
    return operatorNode('/', typeCast(aggregate('sum', sum), 'numeric'), total)
  if (type?.name === 'interval') return operatorNode('/', aggregate('sum', sum), typeCast(total, 'float8'))
  const weighted = operatorNode('*', mean ?? integerConstant(0), typeCast(count ?? integerConstant(0), 'float8'))
  return operatorNode('/', aggregate('sum', weighted), typeCast(total, 'float8'))
}

const nullIfZero = (value: Node): Node => ({
  A_Expr: { kind: 'AEXPR_NULLIF', name: [stringNode('=')], lexpr: value, rexpr: integerConstant(0) },
})

const aggregate = (name: string, argument: Node | undefined): Node => functionNode(name, argument ?? integerConstant(0))

const coalesceZero = (value: Node): Node => ({ CoalesceExpr: { args: [value, integerConstant(0)] } })

type Told = (node: Node) => Node

/** Rewrites what an aggregate reads of a row: its arguments, its order, its filter. */
export function withParts(aggregate: AggregateNode, told: Told): Node {
  if ('FuncCall' in aggregate) return { FuncCall: callParts(aggregate.FuncCall, told) }
  if ('JsonArrayAgg' in aggregate) {
    const { JsonArrayAgg: call } = aggregate
    return { JsonArrayAgg: { ...madeParts(call, told), ...(call.arg && { arg: valueParts(call.arg, told) }) } }
  }
  const { JsonObjectAgg: call } = aggregate
  const { key, value } = call.arg ?? {}
  const arg = { ...(key && { key: told(key) }), ...(value && { value: valueParts(value, told) }) }
  return { JsonObjectAgg: { ...madeParts(call, told), ...(call.arg && { arg }) } }
}

const callParts = (call: FuncCall, told: Told): FuncCall => ({
  ...filterParts(call, told),
  ...(call.args && { args: call.args.map(told) }),
})

const madeParts = <Call extends JsonArrayAgg | JsonObjectAgg>({ constructor: made, ...call }: Call, told: Told) => ({
  ...call,
  ...(made && { constructor: filterParts(made, told) }),
})

const filterParts = <Parts extends FuncCall | JsonAggConstructor>(parts: Parts, told: Told): Parts => ({
  ...parts,
  ...(parts.agg_filter && { agg_filter: told(parts.agg_filter) }),
  ...(parts.agg_order && { agg_order: orderParts(parts.agg_order, told) }),
})

const valueParts = (value: JsonValueExpr, told: Told): JsonValueExpr => ({
  ...value,
  ...(value.raw_expr && { raw_expr: told(value.raw_expr) }),
})

const orderParts = (nodes: readonly Node[], told: Told): Node[] =>
  nodes.map((node) =>
    'SortBy' in node && node.SortBy.node ? { SortBy: { ...node.SortBy, node: told(node.SortBy.node) } } : node,
  )
