import { namesOf, someNode, type TreeObject, visit } from '../sql/tree'
import { candidates, type KnownFunctions, nameOfCall, operatorKey } from './known-functions'

/** True for a node that calls a volatile function: it may give another value each time it is asked. */
export function isVolatileNode({ FuncCall: call, A_Expr: operation }: TreeObject, functions: KnownFunctions): boolean {
  if (call) return candidates(call, functions).some(({ volatility }) => volatility === 'volatile')
  if (!operation) return false
  const name = namesOf(operation.name)?.at(-1) ?? ''
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
    if (call && sequenceFunctions.has(nameOfCall(call)))
      if (candidates(call, functions).every(({ isBuiltIn }) => isBuiltIn)) found ??= nameOfCall(call)
    return found === undefined && !skipped.has(object)
  })
  return found
}

export const hasVolatile = (tree: unknown, functions: KnownFunctions): boolean =>
  someNode(tree, (object) => isVolatileNode(object, functions))
