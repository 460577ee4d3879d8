import type { Node, SelectStmt } from '@pgsql/types'
import { bareName, distinctOnOf, groupTerms, outputsNamed, outputWritten, targetAt } from '../routing/clause-term'
import { hasStar } from '../sql/output-name'
import { allOf, fieldsOf, parametersOf, treeText } from '../sql/tree'

/**
 * True for a statement that PostgreSQL refuses whatever the rows are, and that shards would answer, since none of them gets
 * it as it is: a parameter between others that nothing names, a row of VALUES that does not fit its columns.
 */
export const hasMistake = (statement: Node): boolean => hasUnusedParameter(statement) || hasUnfitRow(statement)

function hasUnusedParameter(statement: Node): boolean {
  const numbers = parametersOf(statement)
  return numbers.length !== (numbers.at(-1) ?? 0)
}

function hasUnfitRow(statement: Node): boolean {
  if (!('InsertStmt' in statement)) return false
  const { cols, selectStmt } = statement.InsertStmt
  const lists = allOf(fieldsOf(selectStmt, 'SelectStmt')?.valuesLists, 'List')
  const widths = new Set(lists.map(({ items = [] }) => items.length))
  const [width, another] = widths
  // Without a list of columns only the database knows how many there are.
  return another !== undefined || (cols !== undefined && width !== undefined && width !== cols.length)
}

/**
 * True where PostgreSQL may have to refuse the order or the groups of a query, and the query that is made of it would hide
 * that: an ordinal beyond its outputs, a name that two outputs have, an order by what DISTINCT has left out.
 */
export function hasSuspiciousOrder(select: SelectStmt): boolean {
  const { sortClause = [], groupClause = [], distinctClause } = select
  const sorts = sortClause.flatMap((node) => ('SortBy' in node && node.SortBy.node ? [node.SortBy.node] : []))
  const terms = [...sorts, ...groupClause.flatMap(groupTerms), ...distinctOnOf(select)]
  const isStarred = hasStar(select)
  const isBeyond = (node: Node): boolean =>
    'A_Const' in node &&
    (isStarred || node.A_Const.ival === undefined || !targetAt(select, node.A_Const.ival.ival ?? 0))
  if (terms.some((node) => isBeyond(node) || isAmbiguous(node, select))) return true
  return distinctClause !== undefined && sorts.some((node) => !isShown(node, select))
}

function isAmbiguous(node: Node, select: SelectStmt): boolean {
  const name = bareName(node)
  const outputs = name === undefined ? [] : outputsNamed(name, select)
  return new Set(outputs.map((ordinal) => treeText(targetAt(select, ordinal)))).size > 1
}

function isShown(node: Node, select: SelectStmt): boolean {
  const name = bareName(node)
  if ('A_Const' in node || (name !== undefined && outputsNamed(name, select).length > 0)) return true
  return outputWritten(node, select) > 0
}
