import type { FuncCall, JsonArrayAgg, JsonObjectAgg, Node, SelectStmt, WindowDef } from '@pgsql/types'
import { targetNode } from '../sql/nodes'
import { isStar, outputName } from '../sql/output-name'
import { allOf, namesOf, someNode, type TreeObject, visitOwn } from '../sql/tree'
import { clauseTerm, distinctOnOf, groupExpression } from './clause-term'
import { writtenStar } from './join-columns'
import { isAggregateFunction, type KnownFunctions } from './known-functions'
import { rowColumns, valuesColumns } from './range-columns'
import { type BaseColumn, type OutputColumn, type Outputs, type Scope, type StarColumn, starOfItem } from './scope'

/** What a query gives: its columns in order, and those that are columns of sharded tables; undefined where a `*` hides them. */
export function outputsOf(select: SelectStmt, scope: Scope): Outputs {
  if (select.valuesLists) return valuesColumns(select)
  const outputs: OutputColumn[] = []
  const isKept = keptByGroups(select, scope)
  for (const { name, val } of allOf(select.targetList, 'ResTarget')) {
    const columns = isStar(val) ? starColumns(val, scope) : [{ name: name ?? outputName(val), base: scope.column(val) }]
    if (!columns) return undefined
    for (const { name: column, base } of columns)
      outputs.push({ name: column, base: base && isKept(base) ? base : undefined })
  }
  return outputs
}

/** Grouping sets put NULL in the place of the columns that not all of them have. */
function keptByGroups(select: SelectStmt, scope: Scope): (column: BaseColumn) => boolean {
  if (!select.groupClause?.some((node) => 'GroupingSet' in node)) return () => true
  const grouped = groupColumns(select, scope)
  return ({ use, name }) => grouped.some((column) => column?.use === use && column.name === name)
}

/** The columns of a star, and how each is written; undefined where they are not known. */
export function starColumns(node: Node, scope: Scope): readonly StarColumn[] | undefined {
  if ('ColumnRef' in node) {
    const fields = node.ColumnRef.fields ?? []
    const alias = fields.length > 1 ? namesOf(fields.slice(0, -1))?.at(-1) : undefined
    return alias === undefined ? writtenStar(scope.star) : starOfAlias(alias, scope)
  }
  if (!('A_Indirection' in node)) return undefined
  const { arg, indirection = [] } = node.A_Indirection
  if (!arg || indirection.length !== 1) return undefined
  const names = 'ColumnRef' in arg ? namesOf(arg.ColumnRef.fields) : undefined
  // A column is meant before a row of that name.
  if (names?.length === 1 && scope.hasColumn(names[0] ?? '')) return undefined
  if (names?.length === 1 && scope.item(names[0] ?? '')) return starOfAlias(names[0] ?? '', scope)
  if (!('FuncCall' in arg)) return undefined
  const row = rowColumns(arg.FuncCall, scope.functions)
  const known = row?.filter((name) => name !== undefined)
  if (!known || known.length < (row?.length ?? 0)) return undefined
  return known.map((name) => ({
    name,
    base: undefined,
    expression: { A_Indirection: { arg, indirection: [{ String: { sval: name } }] } },
  }))
}

function starOfAlias(alias: string, scope: Scope): readonly StarColumn[] | undefined {
  const item = scope.item(alias)
  return item && starOfItem(item)
}

/** A query with its stars written out; undefined where their columns are not known. */
export function withoutStars(select: SelectStmt, scope: Scope): SelectStmt | undefined {
  const targetList: Node[] = []
  for (const node of select.targetList ?? []) {
    const star = 'ResTarget' in node && isStar(node.ResTarget.val) ? node.ResTarget.val : undefined
    const columns = star && starColumns(star, scope)
    if (star && !columns) return undefined
    targetList.push(...(columns ? columns.map(({ expression, name }) => targetNode(expression, name)) : [node]))
  }
  return { ...select, targetList }
}

/** The columns of GROUP BY, with ordinals and names of outputs resolved. */
export function groupColumns(select: SelectStmt, scope: Scope): readonly (BaseColumn | undefined)[] {
  const whole = withoutStars(select, scope)
  return (select.groupClause ?? []).map(
    (node) => whole && scope.column(groupExpression(node, { select: whole, scope })),
  )
}

/** The columns that DISTINCT, or DISTINCT ON, makes rows distinct by. */
export function distinctColumns(select: SelectStmt, scope: Scope): readonly (BaseColumn | undefined)[] {
  const on = distinctOnOf(select)
  if (on.length === 0) return outputsOf(select, scope)?.map(({ base }) => base) ?? []
  const whole = withoutStars(select, scope)
  return on.map((node) => whole && scope.column(clauseTerm(node, { select: whole, scope }, 'sql92').expression))
}

/** The window of a call, or of an aggregate of SQL/JSON. */
export const windowOf = ({
  FuncCall: call,
  JsonArrayAgg: array,
  JsonObjectAgg: object,
}: TreeObject): WindowDef | undefined => call?.over ?? (array ?? object)?.constructor?.over

/** The partitions of all windows; an empty one spans all rows. */
export function windowsOf(select: SelectStmt): readonly (readonly Node[])[] {
  const partitions: (readonly Node[])[] = []
  const named = new Map<string, readonly Node[]>()
  for (const { name = '', partitionClause = [] } of allOf(select.windowClause, 'WindowDef'))
    named.set(name, partitionClause)
  visitOwn([select.targetList, select.sortClause, select.distinctClause], (object) => {
    const over = windowOf(object)
    if (over) partitions.push(over.partitionClause ?? named.get(over.name ?? over.refname ?? '') ?? [])
  })
  return partitions
}

/** What of a query makes it one of groups, where it has an aggregate: a window that nothing uses does as well. */
export const aggregatedParts = (select: SelectStmt): readonly unknown[] => [
  select.targetList,
  select.sortClause,
  select.windowClause,
  select.distinctClause,
]

export const hasAggregate = (trees: readonly unknown[], functions: KnownFunctions): boolean =>
  someNode(trees, (object) => isAggregateNode(object, functions), visitOwn)

/** A node that may be an aggregate. */
export type AggregateNode =
  | { readonly FuncCall: FuncCall }
  | { readonly JsonArrayAgg: JsonArrayAgg }
  | { readonly JsonObjectAgg: JsonObjectAgg }

/** True for a node that is an aggregate of its query: a call, or an aggregate of SQL/JSON, which has a node of its own. */
export function isAggregateNode(object: TreeObject, functions: KnownFunctions): object is TreeObject & AggregateNode {
  const { FuncCall: call, JsonArrayAgg: array, JsonObjectAgg: json } = object
  return call ? isAggregateFunction(call, functions) : (array ?? json) !== undefined && !windowOf(object)
}
