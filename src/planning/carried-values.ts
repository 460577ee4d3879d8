import type { FuncCall, Node } from '@pgsql/types'
import type { CarriedCalls } from '../routing/carried-calls'
import { transactionClock } from '../routing/distribution/function-lists'
import { nameOfCall } from '../routing/known-functions'
import { functionNode, selectNode, stringNode, targetNode } from '../sql/nodes'
import { isStar, outputName } from '../sql/output-name'
import { parseStatement } from '../sql/parse-statement'
import { fieldsOf, isNode, replaceNodes, someNode, type TreeObject } from '../sql/tree'
import { type Template, templateOf } from './statement-template'

/** A value that was asked for, as a text, and its type; or several casts, the one of the text first: `timestamptz::date`. */
export interface CarriedValue {
  readonly text: string | null
  readonly type: string
}

/**
 * A statement that asks one node for what a statement carries: for each a text `v0 …` and the name of its type `t0 …`.
 *
 * @param isHome for what the home node has to be asked for, or for the rest
 * @returns undefined where there is none
 */
export function carriedQuestion({ expressions, ofHome }: CarriedCalls, isHome: boolean): Template | undefined {
  const targetList = expressions.flatMap((expression, index) =>
    ofHome.has(index) === isHome
      ? [
          targetNode(asText(expression), `v${index}`),
          targetNode(asText(functionNode('pg_typeof', expression)), `t${index}`),
        ]
      : [],
  )
  if (targetList.length === 0) return undefined
  return templateOf({ SelectStmt: selectNode({ targetList }) })
}

export const asText = (arg: Node): Node => ({
  TypeCast: { arg, typeName: { names: [stringNode('text')], typemod: -1 } },
})

export const carriedAnswer = (
  { expressions }: CarriedCalls,
  row: Readonly<Record<string, unknown>>,
): readonly CarriedValue[] =>
  expressions.map((_, index) => {
    const text = row[`v${index}`]
    return { text: text === null || text === undefined ? null : String(text), type: String(row[`t${index}`]) }
  })

const castsOfTime: Readonly<Record<string, string>> = {
  CURRENT_DATE: '::date',
  CURRENT_TIME: '::timetz',
  CURRENT_TIMESTAMP: '',
  LOCALTIME: '::time',
  LOCALTIMESTAMP: '::timestamp',
}

/** The values of clocks, made of the time of the transaction; undefined where something else is carried, too. */
export function valuesOfTime({ expressions }: CarriedCalls): ((time: string) => readonly CarriedValue[]) | undefined {
  const types = expressions.flatMap((expression) => typeOfTime(expression) ?? [])
  return types.length === expressions.length ? (text) => types.map((type) => ({ text, type })) : undefined
}

/** The casts that make a clock of the time of the transaction. */
function typeOfTime(expression: Node): string | undefined {
  if ('FuncCall' in expression) return transactionClock.has(nameOfCall(expression.FuncCall)) ? 'timestamptz' : undefined
  const { op = '', typmod = -1 } = 'SQLValueFunction' in expression ? expression.SQLValueFunction : {}
  const [, name = ''] = /^SVFOP_([A-Z_]+?)(?:_N)?$/.exec(op) ?? []
  const cast = castsOfTime[name]
  if (cast === undefined) return undefined
  const type = `timestamptz${cast}`
  return op.endsWith('_N') ? `${type}(${typmod})` : type
}

/**
 * The statement with parameters in the places of what it carries, numbered from `first`. Outputs keep the names that they
 * had from it.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED
 */
export function withCarriedValues(
  statement: Node,
  { places, ages }: CarriedCalls,
  { values, first }: { readonly values: readonly CarriedValue[]; readonly first: number },
): Template {
  const parameter = (number: number): Node => parameterOf(first + number, values[number]?.type ?? 'text')
  const told = <T>(tree: T): T =>
    replaceNodes(tree, (object) => {
      const place = places.get(object)
      if (place !== undefined) return parameter(place)
      const age = ages.get(object)
      if (age !== undefined && isNode(object, 'FuncCall'))
        return withFirstArgument(object.FuncCall, parameter(age), told)
      return namedOutput(object, (value) => hasAny(value, places), told)
    })
  return templateOf(told(statement))
}

const withFirstArgument = (call: FuncCall, argument: Node, told: (args: Node[]) => Node[]): Node => ({
  FuncCall: { ...call, args: [argument, ...told(call.args ?? [])] },
})

/** An output without an alias gets the name that it has. */
function namedOutput(
  { ResTarget: target }: TreeObject,
  isChanged: (value: Node) => boolean,
  told: (tree: Node) => Node,
): Node | undefined {
  const value = target?.name === undefined ? target?.val : undefined
  if (!value || isStar(value) || !isChanged(value)) return undefined
  return { ResTarget: { ...target, name: outputName(value), val: told(value) } }
}

const hasAny = (tree: Node, places: ReadonlyMap<unknown, number>): boolean =>
  someNode(tree, (object) => places.has(object))

/** A parameter as a value of a type, by the name that PostgreSQL gives the type: `$3::timestamp with time zone`. */
export function parameterOf(number: number, type: string): Node {
  const [statement] = parseStatement(`SELECT $${number}::${type}`)?.statements ?? []
  const value = fieldsOf(fieldsOf(statement, 'SelectStmt')?.targetList?.[0], 'ResTarget')?.val
  if (value) return value
  throw new RangeError(`This is no type: ${type}`)
}
