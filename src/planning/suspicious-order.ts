import type { Node, SelectStmt } from '@pgsql/types'
import { targetAt } from '../routing/query-shape'
import { isStar } from '../sql/is-star'
import { outputName } from '../sql/output-name'
import { namesOf, treeText } from '../sql/tree'

/**
 * True where PostgreSQL may have to refuse the order or the groups of a query, and the query that is made of it would hide
 * that: an ordinal beyond its outputs, a name that two outputs have, an order by what DISTINCT has left out.
 */
export function hasSuspiciousOrder(select: SelectStmt): boolean {
  const { sortClause = [], groupClause = [], distinctClause, targetList = [] } = select
  const sorts = sortClause.flatMap((node) => ('SortBy' in node && node.SortBy.node ? [node.SortBy.node] : []))
  const hasStar = targetList.some((node) => 'ResTarget' in node && isStar(node.ResTarget.val))
  const isBeyond = (node: Node): boolean =>
    'A_Const' in node && (hasStar || node.A_Const.ival === undefined || !targetAt(select, node.A_Const.ival.ival ?? 0))
  if ([...sorts, ...groupClause].some(isBeyond)) return true
  if (sorts.some((node) => isAmbiguous(node, targetList))) return true
  return distinctClause !== undefined && sorts.some((node) => !isShown(node, targetList))
}

const bareName = (node: Node): string | undefined => {
  const names = 'ColumnRef' in node ? namesOf(node.ColumnRef.fields) : undefined
  return names?.length === 1 ? names[0] : undefined
}

function isAmbiguous(node: Node, targets: readonly Node[]): boolean {
  const name = bareName(node)
  if (name === undefined) return false
  const values = targets.flatMap((target) =>
    'ResTarget' in target && (target.ResTarget.name ?? outputName(target.ResTarget.val)) === name
      ? [treeText(target.ResTarget.val)]
      : [],
  )
  return new Set(values).size > 1
}

const isShown = (node: Node, targets: readonly Node[]): boolean =>
  'A_Const' in node ||
  targets.some(
    (target) =>
      'ResTarget' in target &&
      ((target.ResTarget.name ?? outputName(target.ResTarget.val)) === bareName(node) ||
        treeText(target.ResTarget.val) === treeText(node)),
  )
