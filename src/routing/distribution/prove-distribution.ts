import type { A_Expr, FuncCall } from '@pgsql/types'
import { isTreeObject, namesOf, type TreeObject } from '../../sql/tree'
import { candidates, type FunctionOverload, type KnownFunctions, nameOfCall, operatorKey } from '../known-functions'
import type { Problem } from '../problem'
import { distributionOf } from './distribution-table'
import { freeVolatileFunctions, sessionFunctions, settledFunctions } from './function-lists'

/** Where a statement runs: on every shard of it, or once, over copies of rows on the home node. */
export type RunsAt = 'shards' | 'home'

/**
 * Why a call cannot run on every shard; undefined where it can. A name that no node knows is PostgreSQL's to refuse.
 */
export function functionProblem(call: FuncCall, functions: KnownFunctions, runsAt: RunsAt): string | undefined {
  const name = nameOfCall(call)
  const meant = candidates(call, functions)
  const different = unlike(meant)
  if (different) return `${different} is not the same function on all nodes.`
  for (const one of meant) {
    if (one.kind !== 'function') continue
    if (runsAt === 'shards' && isUnprovenWrite(one)) return unprovenText(`${name}()`)
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
export function operatorProblem(
  { name: names }: A_Expr,
  functions: KnownFunctions,
  runsAt: RunsAt,
): string | undefined {
  const name = namesOf(names)?.at(-1) ?? ''
  const meant = functions.overloads(operatorKey(name))
  const different = unlike(meant)
  if (different) return `The operator ${different} is not the same on all nodes.`
  return runsAt === 'shards' && meant.some(isUnprovenWrite)
    ? unprovenText(`The function of the operator ${name}`)
    : undefined
}

/**
 * True for a node that calls a volatile function of a user, of which it is not known what it does: it may write, or draw from a sequence,
 * and each node has its own tables and sequences. One database is the home node: there it does what it did before.
 */
export function callsUnproven({ FuncCall: call, A_Expr: operation }: TreeObject, functions: KnownFunctions): boolean {
  if (call) return candidates(call, functions).some((one) => one.kind === 'function' && isUnprovenWrite(one))
  const name = namesOf(operation?.name)?.at(-1)
  return name !== undefined && functions.overloads(operatorKey(name)).some(isUnprovenWrite)
}

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

/**
 * Visits every node of a statement by the table of distribution, and says what in it is not proven to run shard by shard.
 * A node, or a field of a node, that the table does not know is not.
 *
 * @param skipped objects that are run by themselves, and so are proven by themselves
 * @param runsAt where it runs, in place of shard by shard
 */
export function distributionProblems(
  statement: unknown,
  functions: KnownFunctions,
  skipped: ReadonlySet<unknown>,
  runsAt: RunsAt = 'shards',
): readonly Problem[] {
  const problems: Problem[] = []
  const refuse = (text: string) => problems.push({ code: 'STATEMENT_UNSUPPORTED', text })
  const nodes = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) nodes(item)
    if (!isTreeObject(value) || Array.isArray(value)) return
    // An empty object stands for nothing: DISTINCT without ON has one.
    for (const [tag, part] of Object.entries(value)) look(tag, part)
  }
  const look = (tag: string, object: unknown): void => {
    if (!isTreeObject(object) || skipped.has(object)) return
    const entry = distributionOf(tag)
    if (!entry) return void refuse(`${tag} is not known to run over shards.`)
    if (entry.rule === 'refused') return void refuse(`${entry.sql}: ${entry.says}`)
    const wrapper: unknown = { [tag]: object }
    const problem = isTreeObject(wrapper) ? problemOf(wrapper, functions, runsAt) : undefined
    if (problem) refuse(problem)
    for (const [field, value] of Object.entries(object)) {
      const kind = entry.fields[field]
      if (kind === undefined) refuse(`${field} of ${entry.sql} is not known to run over shards.`)
      else if (kind === 'nodes') nodes(value)
      else if (kind !== 'value') for (const one of Array.isArray(value) ? value : [value]) look(kind, one)
    }
  }
  nodes(statement)
  return problems
}

function problemOf(
  { FuncCall: call, A_Expr: operation }: TreeObject,
  functions: KnownFunctions,
  runsAt: RunsAt,
): string | undefined {
  if (call) return functionProblem(call, functions, runsAt)
  return operation && operatorProblem(operation, functions, runsAt)
}
