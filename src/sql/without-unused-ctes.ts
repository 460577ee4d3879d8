import type { Node } from '@pgsql/types'
import { type TreeObject, visit } from './tree'

type WithClauseOwner = { withClause?: { ctes?: Node[] } }

/**
 * A statement without the queries of its WITH that nothing names, of those that `mayGo`. PostgreSQL does not run them, but
 * their tables would have to be there.
 */
export function withoutUnusedCtes(statement: Node, mayGo: (cte: Node) => boolean): Node {
  const [kind, body] = Object.entries(statement)[0] as [string, WithClauseOwner]
  const ctes = body.withClause?.ctes ?? []
  const unused = ctes.find(
    (cte) => 'CommonTableExpr' in cte && isQuery(cte) && mayGo(cte) && !isNamed(statement, cte.CommonTableExpr.ctename),
  )
  if (!unused) return statement
  const { withClause, ...rest } = body
  const kept = ctes.filter((cte) => cte !== unused)
  const without = kept.length > 0 ? { ...rest, withClause: { ...withClause, ctes: kept } } : rest
  // One that only this one named may go now.
  return withoutUnusedCtes({ [kind]: without } as unknown as Node, mayGo)
}

const isQuery = (cte: Node): boolean =>
  'CommonTableExpr' in cte && cte.CommonTableExpr.ctequery !== undefined && 'SelectStmt' in cte.CommonTableExpr.ctequery

function isNamed(tree: unknown, name: string | undefined): boolean {
  let found = false
  visit(tree, (object: TreeObject) => {
    if (object['relname'] === name && object['schemaname'] === undefined) found = true
    return !found
  })
  return found
}
