import type { FuncCall, JsonAggConstructor, JsonValueExpr, Node } from '@pgsql/types'
import type { AggregateNode } from '../routing/query-shape'

type Told = (node: Node) => Node

/** Rewrites what an aggregate reads of a row: its arguments, its order, its filter. */
export function withParts(aggregate: AggregateNode, told: Told): Node {
  if ('FuncCall' in aggregate) return { FuncCall: callParts(aggregate.FuncCall, told) }
  if ('JsonArrayAgg' in aggregate) {
    const { JsonArrayAgg: call } = aggregate
    const { constructor: made, arg } = call
    return {
      JsonArrayAgg: {
        ...call,
        ...(arg && { arg: valueParts(arg, told) }),
        ...(made && { constructor: constructorParts(made, told) }),
      },
    }
  }
  const { JsonObjectAgg: call } = aggregate
  const { constructor: made, arg } = call
  return {
    JsonObjectAgg: {
      ...call,
      ...(arg && {
        arg: { ...(arg.key && { key: told(arg.key) }), ...(arg.value && { value: valueParts(arg.value, told) }) },
      }),
      ...(made && { constructor: constructorParts(made, told) }),
    },
  }
}

const callParts = (call: FuncCall, told: Told): FuncCall => ({
  ...call,
  ...(call.args && { args: call.args.map(told) }),
  ...(call.agg_filter && { agg_filter: told(call.agg_filter) }),
  ...(call.agg_order && { agg_order: orderParts(call.agg_order, told) }),
})

const constructorParts = (parts: JsonAggConstructor, told: Told): JsonAggConstructor => ({
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
