import type { Node, SelectStmt, WithClause } from '@pgsql/types'
import { fieldsOf, isTreeObject, replaceNodes, someNode, type TreeObject } from './tree'

/**
 * A tree without the queries of its WITHs that nothing names, where one of them `mustGo`. PostgreSQL does not run them, but
 * their tables would have to be there.
 */
export function withoutUnusedCtes<T>(tree: T, mustGo: (cte: Node) => boolean): T {
  return replaceNodes(tree, (object) => {
    const { withClause, ...rest } = object
    if (!isTreeObject(withClause) || !Array.isArray(withClause['ctes'])) return undefined
    const ctes: readonly Node[] = withClause['ctes']
    const used = usedCtes(ctes, rest)
    if (ctes.every((cte) => used.has(cte) || !mustGo(cte))) return undefined
    const kept = ctes.filter((cte) => used.has(cte))
    return withoutUnusedCtes(kept.length > 0 ? { ...rest, withClause: { ...withClause, ctes: kept } } : rest, mustGo)
  })
}

/** Those that the query names, those that these name, and those that write. */
export function usedCtes(ctes: readonly Node[], query: TreeObject): ReadonlySet<Node> {
  const used = new Set(ctes.filter((cte) => !isQuery(cte) || isNamed(query, nameOf(cte))))
  for (const user of used) for (const cte of ctes) if (isNamed(user, nameOf(cte))) used.add(cte)
  return used
}

const nameOf = (cte: Node): string | undefined => fieldsOf(cte, 'CommonTableExpr')?.ctename

const isQuery = (cte: Node): boolean => fieldsOf(fieldsOf(cte, 'CommonTableExpr')?.ctequery, 'SelectStmt') !== undefined

/** Whether a tree names a table, or a query of a WITH, without a schema. */
export const isNamed = (tree: unknown, name: string | undefined): boolean =>
  someNode(tree, ({ relname, schemaname }) => relname === name && schemaname === undefined)

/** A query with the CTEs of a query around it before its own. */
export function withCtes(select: SelectStmt, { ctes = [], recursive = false }: WithClause): SelectStmt {
  if (ctes.length === 0) return select
  const own = select.withClause?.ctes ?? []
  const names = new Set(own.map(nameOf))
  const isRecursive = recursive || select.withClause?.recursive
  return {
    ...select,
    withClause: {
      ctes: [...ctes.filter((cte) => !names.has(nameOf(cte))), ...own],
      ...(isRecursive && { recursive: true }),
    },
  }
}
