import type { FuncCall, Node, RangeFunction } from '@pgsql/types'
import { typeCast } from '../sql/nodes'
import { givenRows } from '../sql/statement-parts'
import {
  allOf,
  fieldsOf,
  isSubquery,
  isWrapper,
  namesOf,
  someNode,
  type TreeObject,
  treeText,
  visit,
  writtenText,
} from '../sql/tree'
import { sessionFunctions, transactionClock } from './distribution/function-lists'
import { candidates, type KnownFunctions, nameOfCall } from './known-functions'
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
    const number = numbers.get(text) ?? expressions.push(expression) - 1
    numbers.set(text, number)
    return number
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
const isConstant = ({ args }: FuncCall): boolean =>
  !someNode(args, (object) => 'ColumnRef' in object || isSubquery(object))

/** Texts that PostgreSQL reads, as a time, for the moment or for a day near it. */
export const relativeTime = /\b(?:now|today|tomorrow|yesterday)\b/i

const times = new Set(['date', 'timestamp', 'timestamptz', 'time', 'timetz'])
const timeRanges = new Set(['daterange', 'tsrange', 'tstzrange', 'datemultirange', 'tsmultirange', 'tstzmultirange'])

/** True for a cast, or a call of a type's name, that reads such a text as a time. */
export function readsRelativeTime(object: TreeObject, parameters: readonly unknown[]): boolean {
  const read = castOf(object)
  const text = read && writtenText(read, parameters)
  return text !== undefined && relativeTime.test(text)
}

function castOf({ TypeCast: cast, FuncCall: call }: TreeObject): Node | undefined {
  if (cast?.typeName) {
    const type = namesOf(cast.typeName.names)?.at(-1) ?? ''
    return times.has(type) || timeRanges.has(type) ? cast.arg : undefined
  }
  if (!call || !times.has(nameOfCall(call))) return undefined
  const [arg, another] = call.args ?? []
  return another ? undefined : arg
}

/**
 * The texts of that kind that a column makes times of: they are stored in it, or compared with it.
 *
 * @param tables that the statement names
 * @returns the nodes, each with the type of its column
 */
export function timesOfColumns(
  statement: Node,
  tables: readonly ShardedTable[],
  parameters: readonly unknown[],
): ReadonlyMap<unknown, string> {
  const found = new Map<unknown, string>()
  const typeOf = (name: string | undefined, among = tables): string | undefined =>
    among.map(({ columns }) => columns.get(name ?? '')?.timeType).find((type) => type !== undefined)
  const note = (node: Node | undefined, type: string | undefined): void => {
    if (type === undefined || !node || 'TypeCast' in node) return
    if ('List' in node) for (const item of node.List.items ?? []) note(item, type)
    const text = writtenText(node, parameters)
    if (text !== undefined && relativeTime.test(text)) found.set(node, type)
  }
  const set = (targets: readonly Node[] = []): void => {
    for (const { name, val } of allOf(targets, 'ResTarget')) note(val, typeOf(name))
  }
  if ('UpdateStmt' in statement) set(statement.UpdateStmt.targetList)
  if ('InsertStmt' in statement) {
    const { relation, cols, selectStmt, onConflictClause } = statement.InsertStmt
    const table = tables.filter(({ name }) => name === relation?.relname)
    const named = cols && allOf(cols, 'ResTarget').map(({ name }) => name)
    const names = named ?? table.flatMap(({ columns }) => [...columns.keys()])
    for (const row of givenRows(fieldsOf(selectStmt, 'SelectStmt') ?? {}))
      for (const [index, value] of row.entries()) note(value, typeOf(names[index], table))
    set(onConflictClause?.targetList)
  }
  visit(statement, ({ A_Expr: operation }) => {
    const sides = [operation?.lexpr, operation?.rexpr]
    for (const [index, side] of sides.entries())
      if (side && 'ColumnRef' in side) note(sides[1 - index], typeOf(namesOf(side.ColumnRef.fields)?.at(-1)))
  })
  return found
}
