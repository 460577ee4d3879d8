import type { Node, RangeVar, SelectStmt } from '@pgsql/types'
import { allOf, conjunctsOf, someNode, type TreeObject } from './tree'

/** The table that a statement writes. */
export function targetTable(statement: Node): RangeVar | undefined {
  const { UpdateStmt: update, DeleteStmt: deletion, InsertStmt: insertion }: TreeObject = statement
  return (update ?? deletion ?? insertion)?.relation
}

/** @throws RangeError for what is no query */
export function selectOf(statement: Node): SelectStmt {
  if ('SelectStmt' in statement) return statement.SelectStmt
  throw new RangeError('The statement is no query.')
}

/** Of a set operation the first query, whose columns it has. */
export const leftmost = (select: SelectStmt): SelectStmt => (select.larg ? leftmost(select.larg) : select)

/** The rows of VALUES; of another query, its outputs as one row. */
export const givenRows = ({ valuesLists, targetList }: SelectStmt): readonly (readonly (Node | undefined)[])[] =>
  valuesLists
    ? allOf(valuesLists, 'List').map(({ items = [] }) => items)
    : [allOf(targetList, 'ResTarget').map(({ val }) => val)]

/** Whether a statement, or a part of one, writes rows: by itself or in a query of a WITH. */
export const writesRows = (tree: unknown): boolean => someNode(tree, isWrite)

const isWrite = (object: TreeObject): boolean => writes.some((name) => object[name] !== undefined)

const writes = ['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']

/** A query, UPDATE or DELETE with more conditions that its rows must meet; other statements as they are. */
export function withConditions(statement: Node, conditions: readonly Node[]): Node {
  if ('SelectStmt' in statement)
    return { SelectStmt: { ...statement.SelectStmt, ...where(statement.SelectStmt.whereClause, conditions) } }
  if ('UpdateStmt' in statement)
    return { UpdateStmt: { ...statement.UpdateStmt, ...where(statement.UpdateStmt.whereClause, conditions) } }
  if ('DeleteStmt' in statement)
    return { DeleteStmt: { ...statement.DeleteStmt, ...where(statement.DeleteStmt.whereClause, conditions) } }
  return statement
}

const where = (present: Node | undefined, conditions: readonly Node[]) =>
  whereAll([...conjunctsOf(present), ...conditions])

/** The clause for rows that meet all conditions, where there are any. */
export function whereAll(conditions: readonly Node[]): { whereClause: Node } | undefined {
  const whereClause = allConditions(conditions)
  return whereClause && { whereClause }
}

/** That all conditions hold; undefined where there are none. PostgreSQL reads `(a AND b) AND c` as one AND of three. */
export function allConditions(conditions: readonly Node[]): Node | undefined {
  const args = conditions.flatMap(conjunctsOf)
  return args.length > 1 ? { BoolExpr: { boolop: 'AND_EXPR', args } } : args[0]
}
