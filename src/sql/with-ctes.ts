import type { Node, SelectStmt, WithClause } from '@pgsql/types'

/** A query with the CTEs of a query around it before its own. */
export function withCtes(select: SelectStmt, { ctes = [], recursive = false }: WithClause): SelectStmt {
  if (ctes.length === 0) return select
  const own = select.withClause?.ctes ?? []
  const names = new Set(own.map(cteName))
  const isRecursive = recursive || select.withClause?.recursive
  return {
    ...select,
    withClause: {
      ctes: [...ctes.filter((cte) => !names.has(cteName(cte))), ...own],
      ...(isRecursive && { recursive: true }),
    },
  }
}

const cteName = (cte: Node): string => ('CommonTableExpr' in cte ? (cte.CommonTableExpr.ctename ?? '') : '')
