import type { Node } from '@pgsql/types'
import { isTreeObject, namesOf, someNode, type TreeObject, visit } from '../sql/tree'
import { candidates, type KnownFunctions, nameOfCall, operatorKey } from './known-functions'

/** True for a node that calls a volatile function: it may give another value each time it is asked. */
export function isVolatileNode(object: TreeObject, functions: KnownFunctions): boolean {
  const call = object['FuncCall']
  if (isTreeObject(call)) return candidates(call, functions).some(({ volatility }) => volatility === 'volatile')
  const operation = object['A_Expr']
  if (!isTreeObject(operation)) return false
  const name = namesOf(operation['name'] as Node[])?.at(-1) ?? ''
  return functions.overloads(operatorKey(name)).some(({ volatility }) => volatility === 'volatile')
}

const sequenceFunctions = new Set(['nextval', 'currval', 'lastval', 'setval'])

/**
 * The function of sequences that a statement calls: sequences are of the home node.
 *
 * @param skipped parts that are run by themselves
 */
export function sequenceCall(
  tree: unknown,
  functions: KnownFunctions,
  skipped: ReadonlySet<unknown> = new Set(),
): string | undefined {
  let found: string | undefined
  visit(tree, (object) => {
    const { FuncCall: call } = object
    if (isTreeObject(call) && sequenceFunctions.has(nameOfCall(call)))
      if (candidates(call, functions).every(({ isBuiltIn }) => isBuiltIn)) found ??= nameOfCall(call)
    return found === undefined && !skipped.has(object)
  })
  return found
}

export const hasVolatile = (tree: unknown, functions: KnownFunctions): boolean =>
  someNode(tree, (object) => isVolatileNode(object, functions))
