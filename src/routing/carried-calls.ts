import type { FuncCall, Node, RangeFunction } from '@pgsql/types'
import { typeCast } from '../sql/nodes'
import { isSubquery, isWrapper, someNode, type TreeObject, treeText, visit } from '../sql/tree'
import { sessionFunctions, transactionClock } from './distribution/function-lists'
import { candidates, type KnownFunctions, nameOfCall } from './known-functions'
import { readsRelativeTime, timesOfColumns } from './relative-times'
import type { ShardedTable } from './table-catalog'

/** Expressions of a statement that have one value for all shards, and are asked of one node. */
export interface CarriedCalls {
  /** The expressions to ask for, each once. */
  readonly expressions: readonly Node[]
  /** The places of each in the statement: the wrappers of nodes, with the number of their expression. */
  readonly places: ReadonlyMap<unknown, number>
  /** Calls of `age` with one argument: they take the day for their first. */
  readonly ages: ReadonlyMap<unknown, number>
  /** One of them is a time. */
  readonly hasClock: boolean
  /** Numbers of those that call a function of the user's: it may read tables, which the home node has. */
  readonly ofHome: ReadonlySet<number>
}

/** What makes a time of a text, beside a cast. */
interface Said {
  readonly parameters: readonly unknown[]
  readonly tables: readonly ShardedTable[]
}

const nothingSaid: Said = Object.freeze({ parameters: [], tables: [] })

const currentDate: Node = { SQLValueFunction: { op: 'SVFOP_CURRENT_DATE', typmod: -1 } }

/**
 * Finds what must be the same on all shards and may differ by node: the time, the user, settings. undefined where a statement
 * has none.
 *
 * @param said the values of its parameters, where one may say a time by a word, and the tables that it names
 */
export function carriedCalls(
  statement: Node,
  functions: KnownFunctions,
  said: Said = nothingSaid,
): CarriedCalls | undefined {
  const ofColumns = timesOfColumns(statement, said.tables, said.parameters)
  const expressions: Node[] = []
  const numbers = new Map<string, number>()
  const places = new Map<unknown, number>()
  const ages = new Map<unknown, number>()
  const ofHome = new Set<number>()
  let hasClock = false
  const numberOf = (expression: Node): number => {
    const text = treeText(expression)
    const known = numbers.get(text)
    if (known !== undefined) return known
    numbers.set(text, expressions.push(expression) - 1)
    return expressions.length - 1
  }
  const inFrom = new Set<unknown>()
  visit(statement, (object) => {
    // A function of FROM is no expression.
    if (object.RangeFunction) for (const one of functionsOf(object.RangeFunction)) inFrom.add(one)
    if (inFrom.has(object)) return undefined
    const type = ofColumns.get(object)
    if (type !== undefined && isWrapper(object)) {
      hasClock = true
      places.set(object, numberOf(typeCast(object, type)))
      return false
    }
    const isTime = isClock(object, said.parameters)
    if ((isTime || isSession(object, functions)) && isWrapper(object)) {
      hasClock ||= isTime
      const number = numberOf(object)
      places.set(object, number)
      if (callsUser(object, functions)) ofHome.add(number)
      return false
    }
    if (isAge(object)) {
      hasClock = true
      ages.set(object, numberOf(currentDate))
    }
    return undefined
  })
  return expressions.length === 0 ? undefined : Object.freeze({ expressions, places, ages, hasClock, ofHome })
}

const functionsOf = ({ functions = [] }: RangeFunction): readonly unknown[] =>
  functions.flatMap((node) => ('List' in node ? (node.List.items ?? []).slice(0, 1) : [node]))

function isClock(object: TreeObject, parameters: readonly unknown[]): boolean {
  const { SQLValueFunction: value, FuncCall: call } = object
  if (value) return /DATE|TIME/.test(value.op ?? '')
  if (readsRelativeTime(object, parameters)) return true
  return call !== undefined && transactionClock.has(nameOfCall(call)) && isConstant(call)
}

function isSession(object: TreeObject, functions: KnownFunctions): boolean {
  if ('SQLValueFunction' in object) return true
  const { FuncCall: call } = object
  if (!call || call.over || !isConstant(call)) return false
  const meant = candidates(call, functions)
  if (meant.length === 0 || meant.some(({ kind, returnsSet }) => kind !== 'function' || returnsSet)) return false
  if (meant.every(({ isBuiltIn }) => isBuiltIn)) return sessionFunctions.has(nameOfCall(call))
  // What a user's function reads is not known, but that one statement sees it once.
  return meant.every(({ isBuiltIn, volatility, columns, isOpenRow }) => {
    return !isBuiltIn && volatility === 'stable' && columns === undefined && !isOpenRow
  })
}

const callsUser = (tree: unknown, functions: KnownFunctions): boolean =>
  someNode(
    tree,
    ({ FuncCall: call }) => call !== undefined && candidates(call, functions).some(({ isBuiltIn }) => !isBuiltIn),
  )

const isAge = ({ FuncCall: call }: TreeObject): boolean =>
  call !== undefined && nameOfCall(call) === 'age' && call.args?.length === 1

/** True for a call that hangs on no row. */
function isConstant({ args }: FuncCall): boolean {
  let constant = true
  visit(args, (object) => {
    if ('ColumnRef' in object || isSubquery(object)) constant = false
    return constant
  })
  return constant
}
