import type { FuncCall, Node } from '@pgsql/types'
import { namesOf, someNode, type TreeObject, visit } from '../sql/tree'

/** A function as `pg_proc` of a node describes it: one of the functions that share its name. */
export interface FunctionOverload {
  readonly kind: 'function' | 'aggregate' | 'window' | 'procedure'
  readonly volatility: 'immutable' | 'stable' | 'volatile'
  readonly returnsSet: boolean
  readonly fewestArguments: number
  /** Infinity where it takes any number. */
  readonly mostArguments: number
  /** It comes with PostgreSQL, so that what it reads is known. */
  readonly isBuiltIn: boolean
  /** Declared PARALLEL SAFE: by its author's word it writes nothing, and draws from no sequence. */
  readonly isParallelSafe: boolean
  /** The columns of what it gives, where that is a row of known columns; a scalar has one, named as its only OUT parameter. */
  readonly columns: readonly string[] | undefined
  /** It gives a row whose columns only the call tells (`record`, a polymorphic row). */
  readonly isOpenRow: boolean
  /** Schema, name and types of the arguments; empty for what is built in. */
  readonly signature: string
  /** A hash of what it does; empty for what is built in. */
  readonly body: string
}

/** What the nodes say of functions and operators. An unknown name has no overloads. */
export interface KnownFunctions {
  overloads(name: string): readonly FunctionOverload[]
}

export const noFunctions: KnownFunctions = { overloads: () => [] }

export const nameOfCall = ({ funcname }: FuncCall): string => namesOf(funcname)?.at(-1) ?? ''

/** Operators stand among the functions under this name: they are functions too. */
export const operatorKey = (name: string): string => `operator ${name}`

/** The functions that a call may mean: by name, and by the number of arguments where that tells them apart. */
export function candidates(call: FuncCall, functions: KnownFunctions): readonly FunctionOverload[] {
  const all = functions.overloads(nameOfCall(call))
  if (call.func_variadic) return all
  const written = call.args?.length ?? 0
  const ordered = call.agg_within_group ? (call.agg_order?.length ?? 0) : 0
  const fitting = all.filter((one) => {
    const count = written + ordered
    return one.fewestArguments <= count && count <= one.mostArguments
  })
  return fitting.length > 0 ? fitting : all
}

/** True for the name of an aggregate, in a call that is not a window's. Where overloads differ, it counts as one. */
export function isAggregateFunction(call: FuncCall, functions: KnownFunctions): boolean {
  if (call.over) return false
  if (call.agg_star || call.agg_distinct || call.agg_filter || call.agg_order || call.agg_within_group) return true
  return candidates(call, functions).some(({ kind }) => kind === 'aggregate')
}

/** The names of all functions that a statement calls. */
export function functionNames(statement: Node): readonly string[] {
  const names = new Set<string>()
  visit(statement, ({ FuncCall: call }) => {
    if (call) names.add(nameOfCall(call))
  })
  return [...names]
}

/** True for a node that calls a volatile function: it may give another value each time it is asked. */
export function isVolatileNode({ FuncCall: call, A_Expr: operation }: TreeObject, functions: KnownFunctions): boolean {
  if (call) return candidates(call, functions).some(({ volatility }) => volatility === 'volatile')
  if (!operation) return false
  const name = namesOf(operation.name)?.at(-1) ?? ''
  return functions.overloads(operatorKey(name)).some(({ volatility }) => volatility === 'volatile')
}

/** True for a node that says the same wherever and whenever it stands: it calls nothing, or what is built in and says so. */
export function isPureNode(object: TreeObject, functions: KnownFunctions): boolean {
  if ('SQLValueFunction' in object || isVolatileNode(object, functions)) return false
  const { FuncCall: call } = object
  if (!call) return true
  const meant = candidates(call, functions)
  return (
    meant.length > 0 &&
    meant.every(
      ({ kind, volatility, isBuiltIn, returnsSet }) =>
        kind === 'function' && volatility === 'immutable' && isBuiltIn && !returnsSet,
    )
  )
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
