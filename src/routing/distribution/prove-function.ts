import type { A_Expr, FuncCall } from '@pgsql/types'
import { namesOf } from '../../sql/tree'
import { candidates, type FunctionOverload, type KnownFunctions, nameOfCall, operatorKey } from '../known-functions'
import { freeVolatileFunctions, sessionFunctions, settledFunctions } from './function-lists'

/**
 * Why a call cannot run on every shard; undefined where it can. A name that no node knows is PostgreSQL's to refuse.
 */
export function functionProblem(call: FuncCall, functions: KnownFunctions): string | undefined {
  const name = nameOfCall(call)
  const meant = candidates(call, functions)
  const different = unlike(meant)
  if (different) return `${different} is not the same function on all nodes.`
  for (const one of meant) {
    if (one.kind !== 'function') continue
    if (isUnprovenWrite(one)) return unprovenText(`${name}()`)
    if (!one.isBuiltIn) continue
    if (one.volatility === 'volatile' && !freeVolatileFunctions.has(name))
      return `${name}() reads or changes what each node has for itself.`
    if (one.volatility !== 'stable' || settledFunctions.has(name)) continue
    return sessionFunctions.has(name)
      ? `${name}() is asked of one node once a statement, and takes no column as its argument. In FROM, write CROSS JOIN (SELECT ${name}() AS t).`
      : `${name}() speaks of the catalog of each node.`
  }
  return undefined
}

/** The same of an operator. */
export function operatorProblem({ name: names }: A_Expr, functions: KnownFunctions): string | undefined {
  const name = namesOf(names)?.at(-1) ?? ''
  const meant = functions.overloads(operatorKey(name))
  const different = unlike(meant)
  if (different) return `The operator ${different} is not the same on all nodes.`
  return meant.some(isUnprovenWrite) ? unprovenText(`The function of the operator ${name}`) : undefined
}

/** What a volatile function of a user does is not known: it may write, or draw from a sequence, that each node has for itself. */
const isUnprovenWrite = ({ isBuiltIn, volatility, isParallelSafe }: FunctionOverload): boolean =>
  !isBuiltIn && volatility === 'volatile' && !isParallelSafe

const unprovenText = (what: string): string =>
  `${what} is volatile and yours, and would be asked on the node of each row: declare it PARALLEL SAFE if it writes nothing and draws from no sequence, or ask it in a query of its own.`

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
