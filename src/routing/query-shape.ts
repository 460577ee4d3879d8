import type { Node, RowExpr, SelectStmt } from '@pgsql/types'
import { outputName } from '../sql/output-name'
import { isTreeObject, namesOf, type TreeObject, visit } from '../sql/tree'
import { type BaseColumn, columnOf, type Scope } from './scope'

/** What a query gives: its columns by name, and those that are columns of sharded tables. */
export function outputsOf(select: SelectStmt, scope: Scope): ReadonlyMap<string, BaseColumn | undefined> {
  const outputs = new Map<string, BaseColumn | undefined>()
  const isKept = keptByGroups(select, scope)
  for (const node of select.targetList ?? []) {
    if (!('ResTarget' in node)) continue
    const { name, val } = node.ResTarget
    for (const [column, base] of starOf(val, scope) ?? [[name ?? outputName(val), scope.column(val)] as const])
      outputs.set(column, base && isKept(base) ? base : undefined)
  }
  return outputs
}

/** Grouping sets put NULL in the place of the columns that not all of them have. */
function keptByGroups(select: SelectStmt, scope: Scope): (column: BaseColumn) => boolean {
  if (!select.groupClause?.some((node) => 'GroupingSet' in node)) return () => true
  const grouped = groupColumns(select, scope)
  return ({ use, name }) => grouped.some((column) => column?.use === use && column.name === name)
}

/** The columns of `*` and `alias.*`, as far as they are known. */
function starOf(
  node: Node | undefined,
  scope: Scope,
): readonly (readonly [string, BaseColumn | undefined])[] | undefined {
  if (!node || !('ColumnRef' in node)) return undefined
  const fields = node.ColumnRef.fields ?? []
  const last = fields.at(-1)
  if (!last || !('A_Star' in last)) return undefined
  const alias = fields.length > 1 ? namesOf(fields.slice(0, -1))?.at(-1) : undefined
  return scope.items
    .filter((item) => alias === undefined || item.alias === alias)
    .flatMap((item) =>
      [...(item.columns?.keys() ?? item.use?.table.columns.keys() ?? [])].map(
        (name) => [name, columnOf(item, name)] as const,
      ),
    )
}

/** The columns of GROUP BY, with ordinals and names of outputs resolved. */
export function groupColumns(select: SelectStmt, scope: Scope): readonly (BaseColumn | undefined)[] {
  return (select.groupClause ?? []).map((node) => scope.column(groupExpression(node, select, scope)))
}

/** What a term of GROUP BY means: an ordinal and the name of an output stand for that output, in grouping sets as well. */
export function groupExpression(node: Node, select: SelectStmt, scope: Pick<Scope, 'column'>): Node {
  const inner = (parts: readonly Node[] = []): Node[] => parts.map((part) => groupExpression(part, select, scope))
  if ('GroupingSet' in node && node.GroupingSet.content)
    return { GroupingSet: { ...node.GroupingSet, content: inner(node.GroupingSet.content) } }
  if (isList(node)) return { RowExpr: { ...node.RowExpr, args: inner(node.RowExpr.args) } }
  if ('A_Const' in node && node.A_Const.ival) return targetAt(select, node.A_Const.ival.ival ?? 0) ?? node
  // A name of an input column comes before that of an output.
  if (scope.column(node)) return node
  return outputNamed(node, select) ?? node
}

/** `(a, b)` in GROUP BY is no row: it lists terms. */
export const isList = (node: Node): node is { RowExpr: RowExpr } =>
  'RowExpr' in node && node.RowExpr.row_format === 'COERCE_IMPLICIT_CAST'

export function targetAt(select: SelectStmt, ordinal: number): Node | undefined {
  const node = select.targetList?.[ordinal - 1]
  return node && 'ResTarget' in node ? node.ResTarget.val : undefined
}

/** The output that a bare name in GROUP BY or ORDER BY means. */
export function outputNamed(node: Node, select: SelectStmt): Node | undefined {
  if (!('ColumnRef' in node)) return undefined
  const names = namesOf(node.ColumnRef.fields)
  if (names?.length !== 1) return undefined
  for (const target of select.targetList ?? []) {
    if ('ResTarget' in target && target.ResTarget.name === names[0]) return target.ResTarget.val
  }
  return undefined
}

/** The partitions of all windows; an empty one spans all rows. */
export function windowsOf(select: SelectStmt): readonly (readonly Node[])[] {
  const partitions: (readonly Node[])[] = []
  const named = new Map<string, readonly Node[]>()
  for (const node of select.windowClause ?? [])
    if ('WindowDef' in node) named.set(node.WindowDef.name ?? '', node.WindowDef.partitionClause ?? [])
  visit([select.targetList, select.sortClause], (object) => {
    if ('SubLink' in object) return false
    const over = object['over']
    if (isTreeObject(over)) {
      const name = String(over['name'] ?? over['refname'] ?? '')
      partitions.push((over['partitionClause'] as Node[] | undefined) ?? named.get(name) ?? [])
    }
    return undefined
  })
  return partitions
}

export function hasAggregate(trees: readonly unknown[], isAggregate: (name: string) => boolean): boolean {
  let found = false
  visit(trees, (object) => {
    if (found || 'SubLink' in object) return false
    const call = object['FuncCall']
    if (isTreeObject(call) && isAggregateCall(call, isAggregate)) found = true
    return undefined
  })
  return found
}

/** True for a call of an aggregate that is not a window's. */
export function isAggregateCall(call: TreeObject, isAggregate: (name: string) => boolean): boolean {
  if (call['over']) return false
  if (call['agg_star'] || call['agg_distinct'] || call['agg_filter'] || call['agg_order'] || call['agg_within_group'])
    return true
  return isAggregate(namesOf(call['funcname'] as Node[])?.at(-1) ?? '')
}
