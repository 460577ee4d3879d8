import type { Node, SelectStmt } from '@pgsql/types'
import { columnNode, selectNode, targetNode } from '../sql/nodes'
import { tableNamed } from './ship-answer'
import type { ShippedColumn } from './shipped-rows'

/**
 * A side of a set operation over its shipped rows. A literal or parameter that has no type yet stays what it is: the other
 * sides give it one.
 *
 * @param cte with the rows, its columns named `c0 …`
 */
export function shippedSide(cte: string, select: SelectStmt, columns: readonly ShippedColumn[]): SelectStmt {
  const targets = select.targetList ?? []
  const isOpen = targets.length === columns.length && !select.distinctClause && !select.groupClause
  return selectNode({
    targetList: columns.map(({ name }, index) => {
      const target = targets[index]
      const value = target && 'ResTarget' in target ? target.ResTarget.val : undefined
      return targetNode(isOpen && isUntyped(value) ? value : columnNode(cte, `c${index}`), name)
    }),
    fromClause: [{ RangeVar: tableNamed(cte) }],
  })
}

function isUntyped(node: Node | undefined): node is Node {
  if (!node) return false
  if ('CollateClause' in node) return isUntyped(node.CollateClause.arg)
  return 'ParamRef' in node || ('A_Const' in node && (node.A_Const.isnull === true || node.A_Const.sval !== undefined))
}
