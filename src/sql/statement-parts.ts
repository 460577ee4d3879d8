import type { Node, RangeVar, SelectStmt, WithClause } from '@pgsql/types'

/** The WITH of a statement. */
export function withClauseOf(statement: Node): WithClause | undefined {
  if ('SelectStmt' in statement) return statement.SelectStmt.withClause
  if ('UpdateStmt' in statement) return statement.UpdateStmt.withClause
  if ('DeleteStmt' in statement) return statement.DeleteStmt.withClause
  if ('InsertStmt' in statement) return statement.InsertStmt.withClause
  return undefined
}

/** The table that a statement writes. */
export function targetTable(statement: Node): RangeVar | undefined {
  if ('UpdateStmt' in statement) return statement.UpdateStmt.relation
  if ('DeleteStmt' in statement) return statement.DeleteStmt.relation
  if ('InsertStmt' in statement) return statement.InsertStmt.relation
  return undefined
}

/** @throws RangeError for what is no query */
export function selectOf(statement: Node): SelectStmt {
  if ('SelectStmt' in statement) return statement.SelectStmt
  throw new RangeError('The statement is no query.')
}

/** Of a set operation the first query, whose columns it has. */
export const leftmost = (select: SelectStmt): SelectStmt => (select.larg ? leftmost(select.larg) : select)
