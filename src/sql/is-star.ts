import type { Node, SelectStmt } from '@pgsql/types'

/** True for `*`, `alias.*` and `(expression).*`. */
export function isStar(node: Node | undefined): node is Node {
  const fields = starFields(node)
  const last = fields?.at(-1)
  return last !== undefined && 'A_Star' in last
}

/** True for a query that gives a star. */
export const hasStar = ({ targetList = [] }: SelectStmt): boolean =>
  targetList.some((node) => 'ResTarget' in node && isStar(node.ResTarget.val))

function starFields(node: Node | undefined): readonly Node[] | undefined {
  if (node && 'ColumnRef' in node) return node.ColumnRef.fields
  return node && 'A_Indirection' in node ? node.A_Indirection.indirection : undefined
}
