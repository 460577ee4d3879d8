import type { Alias, FuncCall, Node, RangeFunction, SelectStmt } from '@pgsql/types'
import { allOf, fieldsOf, namesOf } from '../sql/tree'
import { candidates, type KnownFunctions, nameOfCall } from './known-functions'
import type { Outputs } from './scope'

const named = (names: readonly string[]): Outputs => names.map((name) => ({ name, base: undefined }))

/** The columns of VALUES, as PostgreSQL names them. */
export const valuesColumns = ({ valuesLists }: SelectStmt): Outputs => {
  const count = fieldsOf(valuesLists?.[0], 'List')?.items?.length ?? 0
  return named(Array.from({ length: count }, (_, index) => `column${index + 1}`))
}

/** The columns of a function in FROM; undefined where only the database knows them. */
export function functionColumns(range: RangeFunction, functions: KnownFunctions): Outputs {
  const calls = range.functions ?? []
  const names: string[] = []
  for (const call of calls) {
    const [expression, definitions] = 'List' in call ? (call.List.items ?? []) : [call]
    const defined = definedColumns(range.coldeflist ?? fieldsOf(definitions, 'List')?.items)
    const own = defined ?? columnsOfCall(expression, functions, calls.length === 1 ? range.alias : undefined)
    if (!own) return undefined
    names.push(...own)
  }
  if (range.ordinality) names.push('ordinality')
  return named(renamed(names, range.alias))
}

const definedColumns = (nodes: readonly Node[] | undefined): readonly string[] | undefined => {
  const names = allOf(nodes, 'ColumnDef').map(({ colname = '' }) => colname)
  return names.length > 0 ? names : undefined
}

function columnsOfCall(
  expression: Node | undefined,
  functions: KnownFunctions,
  alias: Alias | undefined,
): readonly string[] | undefined {
  const call = fieldsOf(expression, 'FuncCall')
  if (!call) return undefined
  const name = nameOfCall(call)
  if (name === 'unnest') return unnested(call.args ?? [], alias)
  return rowColumns(call, functions)?.map((column) => column ?? alias?.aliasname ?? name)
}

/** Types whose values are no rows; those of the grammar (`int`, `numeric` …) stand in `pg_catalog`. */
const plainTypes = new Set(['text', 'uuid', 'date', 'jsonb', 'bytea', 'inet', 'name', 'cidr', 'oid'])

/** Of several arrays a column each. An array of rows, and a text search vector, give several: what it is has to be seen. */
function unnested(args: readonly Node[], alias: Alias | undefined): readonly string[] | undefined {
  if (args.length > 1) return args.map(() => 'unnest')
  const [array] = args
  if (!array) return undefined
  const cast = 'TypeCast' in array ? array.TypeCast.typeName : undefined
  const names = namesOf(cast?.names) ?? []
  const isPlain =
    cast?.arrayBounds !== undefined && (names.length > 1 ? names[0] === 'pg_catalog' : plainTypes.has(names[0] ?? ''))
  const isWritten =
    'A_ArrayExpr' in array && (array.A_ArrayExpr.elements ?? []).every((one) => 'A_Const' in one || 'ParamRef' in one)
  return isPlain || isWritten ? [alias?.aliasname ?? 'unnest'] : undefined
}

/**
 * The columns of what a call gives, undefined in the place of a scalar's that has no name; undefined as a whole where they
 * are not known, or where functions of the name differ in them.
 */
export function rowColumns(call: FuncCall, functions: KnownFunctions): readonly (string | undefined)[] | undefined {
  const all = candidates(call, functions)
  const [first] = all
  if (!first || all.some(({ isOpenRow }) => isOpenRow)) return undefined
  const texts = new Set(all.map(({ columns }) => JSON.stringify(columns ?? null)))
  if (texts.size > 1) return undefined
  return first.columns ?? [undefined]
}

/** The columns of XMLTABLE and JSON_TABLE, which say their names themselves. */
export function tableFunctionColumns(node: Node): Outputs {
  if ('RangeTableFunc' in node) {
    const { columns = [], alias } = node.RangeTableFunc
    const names = allOf(columns, 'RangeTableFuncCol').map(({ colname = '' }) => colname)
    return named(renamed(names, alias))
  }
  if ('JsonTable' in node) return named(renamed(jsonColumns(node.JsonTable.columns), node.JsonTable.alias))
  return undefined
}

const renamed = (names: readonly string[], alias: Alias | undefined): readonly string[] => {
  const aliases = namesOf(alias?.colnames) ?? []
  return names.map((name, index) => aliases[index] ?? name)
}

/** Nested columns stand where their NESTED PATH does. */
const jsonColumns = (nodes: readonly Node[] | undefined): readonly string[] =>
  allOf(nodes, 'JsonTableColumn').flatMap(({ coltype, name = '', columns }) =>
    coltype === 'JTC_NESTED' ? jsonColumns(columns) : [name],
  )
