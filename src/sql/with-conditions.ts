import type { Node } from '@pgsql/types'
import { conjunctsOf } from './tree'

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

function where(present: Node | undefined, conditions: readonly Node[]): { whereClause: Node } | undefined {
  const [first, ...others] = [...conjunctsOf(present), ...conditions]
  if (!first) return undefined
  return { whereClause: others.length === 0 ? first : { BoolExpr: { boolop: 'AND_EXPR', args: [first, ...others] } } }
}
