import type { Node } from '@pgsql/types'
import { parametersOf } from '../sql/tree'

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
  const lists = selectStmt && 'SelectStmt' in selectStmt ? (selectStmt.SelectStmt.valuesLists ?? []) : []
  const widths = new Set(lists.map((list) => ('List' in list ? (list.List.items ?? []).length : 0)))
  const [width, another] = widths
  // Without a list of columns only the database knows how many there are.
  return another !== undefined || (cols !== undefined && width !== undefined && width !== cols.length)
}
