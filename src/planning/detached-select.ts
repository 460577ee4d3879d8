import type { Node, SelectStmt } from '@pgsql/types'
import type { Detached } from '../routing/statement-analysis'
import { integerConstant } from '../sql/nodes'
import { withClauseOf } from '../sql/statement-parts'
import { type TreeObject, visit } from '../sql/tree'

/** A detached part as a query of its own, with the CTEs of the whole that it may name. */
export function detachedSelect({ node, kind }: Detached, statement: Node): SelectStmt {
  const select = node as SelectStmt
  const isPlain =
    !select.limitCount && !select.limitOffset && !select.larg && !select.groupClause && !select.havingClause
  const asked: SelectStmt =
    kind === 'exists' && isPlain
      ? { ...select, limitCount: integerConstant(1), limitOption: 'LIMIT_OPTION_COUNT' }
      : select
  const outer = withClauseOf(statement)
  if (!outer) return asked
  const ctes = (outer.ctes ?? []).filter((cte) => !holds(cte, node))
  if (ctes.length === 0) return asked
  return { ...asked, withClause: { ...outer, ctes: [...ctes, ...(asked.withClause?.ctes ?? [])] } }
}

function holds(tree: unknown, node: TreeObject): boolean {
  let found = false
  visit(tree, (object) => {
    if (object === node) found = true
    return !found
  })
  return found
}
