import type { Node } from '@pgsql/types'
import { namesOf, type TreeObject } from '../../sql/tree'
import { candidates, type FunctionOverload, type KnownFunctions, nameOfCall, operatorKey } from '../known-functions'
import { freeVolatileFunctions, sessionFunctions, settledFunctions } from './function-lists'

/**
 * Why a call cannot run on every shard; undefined where it can. A name that no node knows is PostgreSQL's to refuse.
 */
export function functionProblem(call: TreeObject, functions: KnownFunctions): string | undefined {
  const name = nameOfCall(call)
  const meant = candidates(call, functions)
  const different = unlike(meant)
  if (different) return `${different} is not the same function on all nodes.`
  for (const one of meant) {
    if (!one.isBuiltIn || one.kind !== 'function') continue
    if (one.volatility === 'volatile' && !freeVolatileFunctions.has(name))
      return `${name}() reads or changes what each node has for itself.`
    if (one.volatility !== 'stable' || settledFunctions.has(name)) continue
    return sessionFunctions.has(name)
      ? `${name}() is asked of one node, and cannot be where it stands here, or with a column as its argument.`
      : `${name}() speaks of the catalog of each node.`
  }
  return undefined
}

/** The same of an operator. */
export function operatorProblem(operation: TreeObject, functions: KnownFunctions): string | undefined {
  const name = namesOf(operation['name'] as Node[] | undefined)?.at(-1) ?? ''
  const different = unlike(functions.overloads(operatorKey(name)))
  return different && `The operator ${different} is not the same on all nodes.`
}

/** The signature that stands for two functions. */
function unlike(overloads: readonly FunctionOverload[]): string | undefined {
  const bodies = new Map<string, string>()
  for (const { signature, body, volatility, isBuiltIn } of overloads) {
    if (isBuiltIn) continue
    const text = `${volatility} ${body}`
    if ((bodies.get(signature) ?? text) !== text) return signature
    bodies.set(signature, text)
  }
  return undefined
}
