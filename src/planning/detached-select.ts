import type { SelectStmt } from '@pgsql/types'
import type { Detached } from '../routing/statement-analysis'
import { integerConstant } from '../sql/nodes'
import { withCtes } from '../sql/with-ctes'

/** A detached part as a query of its own, with the CTEs around it that it names. */
export function detachedSelect({ node, kind, ctes }: Detached): SelectStmt {
  const select = node as SelectStmt
  const isPlain =
    !select.limitCount && !select.limitOffset && !select.larg && !select.groupClause && !select.havingClause
  const asked: SelectStmt =
    kind === 'exists' && isPlain
      ? { ...select, limitCount: integerConstant(1), limitOption: 'LIMIT_OPTION_COUNT' }
      : select
  return withCtes(asked, {
    ctes: ctes.map((cte) => cte.node),
    recursive: ctes.some((cte) => cte.isRecursive),
  })
}
