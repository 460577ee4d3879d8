import type { Node } from '@pgsql/types'
import { outputName, type StarName } from './output-name'
import { replaceNodes, someNode } from './tree'

/**
 * A query whose outputs say the names that they have from a `*` of a subquery: `SELECT (SELECT * FROM c)`. What is made of the
 * subquery no longer tells them.
 */
export function withStarNames<T>(statement: T, starName: StarName): T {
  if (!isNamedByStar(statement, starName)) return statement
  return replaceNodes(statement, (object) => {
    const { targetList, ...rest } = object
    if (!Array.isArray(targetList) || !targetList.some((target) => isUnnamed(target, starName))) return undefined
    return {
      ...withStarNames(rest, starName),
      targetList: targetList.map((target: Node) => withStarNames(named(target, starName), starName)),
    }
  })
}

function named(target: Node, starName: StarName): Node {
  if (!isUnnamed(target, starName) || !('ResTarget' in target)) return target
  return { ResTarget: { ...target.ResTarget, name: outputName(target.ResTarget.val, starName) } }
}

const isUnnamed = (target: Node, starName: StarName): boolean =>
  'ResTarget' in target && target.ResTarget.name === undefined && isNamedByStar(target.ResTarget.val, starName)

const isNamedByStar = (tree: unknown, starName: StarName): boolean =>
  someNode(tree, ({ SelectStmt: select }) => select !== undefined && starName(select) !== undefined)
