import type { Node } from '@pgsql/types'
import { isTreeObject, namesOf, type TreeObject, visit } from '../sql/tree'
import { candidates, type KnownFunctions, operatorKey } from './known-functions'

/** True for a node that calls a volatile function: it may give another value each time it is asked. */
export function isVolatileNode(object: TreeObject, functions: KnownFunctions): boolean {
  const call = object['FuncCall']
  if (isTreeObject(call)) return candidates(call, functions).some(({ volatility }) => volatility === 'volatile')
  const operation = object['A_Expr']
  if (!isTreeObject(operation)) return false
  const name = namesOf(operation['name'] as Node[])?.at(-1) ?? ''
  return functions.overloads(operatorKey(name)).some(({ volatility }) => volatility === 'volatile')
}

export function hasVolatile(tree: unknown, functions: KnownFunctions): boolean {
  let found = false
  visit(tree, (object) => {
    if (isVolatileNode(object, functions)) found = true
    return !found
  })
  return found
}
