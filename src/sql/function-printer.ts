import type {
  JsonBehavior,
  JsonFuncExpr,
  JsonOutput,
  JsonTable,
  JsonTableColumn,
  JsonTablePathSpec,
  JsonValueExpr,
  Node,
  RangeTableFunc,
  RangeTableFuncCol,
  TypeName,
} from '@pgsql/types'
import { quoted } from '../values/quoted'
import { allOf } from './tree'

/** What the printer of whole statements does for the parts of these. */
export interface JsonParts {
  expression(node: Node): string
  value(node: JsonValueExpr): string
  type(node: TypeName): string
  /** `RETURNING …` */
  output(node: JsonOutput): string
}

const calls = {
  JSON_EXISTS_OP: 'JSON_EXISTS',
  JSON_QUERY_OP: 'JSON_QUERY',
  JSON_VALUE_OP: 'JSON_VALUE',
  JSON_TABLE_OP: '',
}

const wrappers = {
  JSW_UNSPEC: '',
  JSW_NONE: 'WITHOUT WRAPPER',
  JSW_CONDITIONAL: 'WITH CONDITIONAL WRAPPER',
  JSW_UNCONDITIONAL: 'WITH UNCONDITIONAL WRAPPER',
}

const quotes = { JS_QUOTES_UNSPEC: '', JS_QUOTES_KEEP: 'KEEP QUOTES', JS_QUOTES_OMIT: 'OMIT QUOTES' }

const behaviours = {
  JSON_BEHAVIOR_NULL: 'NULL',
  JSON_BEHAVIOR_ERROR: 'ERROR',
  JSON_BEHAVIOR_EMPTY: 'EMPTY',
  JSON_BEHAVIOR_TRUE: 'TRUE',
  JSON_BEHAVIOR_FALSE: 'FALSE',
  JSON_BEHAVIOR_UNKNOWN: 'UNKNOWN',
  JSON_BEHAVIOR_EMPTY_ARRAY: 'EMPTY ARRAY',
  JSON_BEHAVIOR_EMPTY_OBJECT: 'EMPTY OBJECT',
  JSON_BEHAVIOR_DEFAULT: 'DEFAULT',
}

const words = (...parts: readonly (string | undefined)[]): string => parts.filter(Boolean).join(' ')

/** JSON_EXISTS, JSON_QUERY and JSON_VALUE. */
export function printJsonCall(call: JsonFuncExpr, parts: JsonParts): string {
  const inner = words(
    `${call.context_item ? parts.value(call.context_item) : ''}, ${call.pathspec ? parts.expression(call.pathspec) : ''}`,
    passing(call.passing, parts),
    call.output && parts.output(call.output),
    handling(call, parts),
  )
  return `${calls[call.op ?? 'JSON_VALUE_OP']}(${inner})`
}

export function printJsonTable(table: JsonTable, parts: JsonParts): string {
  const inner = words(
    `${table.context_item ? parts.value(table.context_item) : ''}, ${path(table.pathspec, parts)}`,
    passing(table.passing, parts),
    columns(table.columns, parts),
    behaviour(table.on_error, 'ERROR', parts),
  )
  return `${table.lateral ? 'LATERAL ' : ''}JSON_TABLE(${inner})`
}

function path(spec: JsonTablePathSpec | undefined, { expression }: JsonParts): string {
  return words(
    spec?.string && expression(spec.string),
    spec?.name !== undefined ? `AS ${quoted(spec.name)}` : undefined,
  )
}

function passing(list: readonly Node[] | undefined, { value }: JsonParts): string | undefined {
  const values = allOf(list, 'JsonArgument').flatMap(({ name = '', val }) =>
    val ? [`${value(val)} AS ${quoted(name)}`] : [],
  )
  return values.length > 0 ? `PASSING ${values.join(', ')}` : undefined
}

function columns(list: readonly Node[] | undefined, parts: JsonParts): string {
  const printed = allOf(list, 'JsonTableColumn').map((one) => column(one, parts))
  return `COLUMNS (${printed.join(', ')})`
}

function column(node: JsonTableColumn, parts: JsonParts): string {
  if (node.coltype === 'JTC_NESTED')
    return words('NESTED PATH', path(node.pathspec, parts), columns(node.columns, parts))
  const name = quoted(node.name ?? '')
  if (node.coltype === 'JTC_FOR_ORDINALITY') return `${name} FOR ORDINALITY`
  const own = node.pathspec && words('PATH', path(node.pathspec, parts))
  const type = node.typeName && parts.type(node.typeName)
  // The grammar gives EXISTS a wrapper that cannot be written.
  if (node.coltype === 'JTC_EXISTS') return words(name, type, 'EXISTS', own, behaviour(node.on_error, 'ERROR', parts))
  return words(name, type, node.coltype === 'JTC_FORMATTED' ? 'FORMAT JSON' : '', own, handling(node, parts))
}

function handling(
  { wrapper, quotes: kept, on_empty, on_error }: Omit<JsonTableColumn, 'pathspec'>,
  parts: JsonParts,
): string {
  return words(
    wrappers[wrapper ?? 'JSW_UNSPEC'],
    quotes[kept ?? 'JS_QUOTES_UNSPEC'],
    behaviour(on_empty, 'EMPTY', parts),
    behaviour(on_error, 'ERROR', parts),
  )
}

function behaviour(node: JsonBehavior | undefined, on: string, { expression }: JsonParts): string | undefined {
  return node && words(behaviours[node.btype ?? 'JSON_BEHAVIOR_NULL'], node.expr && expression(node.expr), `ON ${on}`)
}

/** XMLTABLE, with the alias that it has. */
export function xmlTable(table: RangeTableFunc, alias: string, print: Pick<JsonParts, 'expression' | 'type'>): string {
  const names = allOf(table.namespaces, 'ResTarget').map((one) => namespace(one, print))
  const row = table.rowexpr ? `(${print.expression(table.rowexpr)})` : ''
  const document = table.docexpr ? `(${print.expression(table.docexpr)})` : ''
  const columns = allOf(table.columns, 'RangeTableFuncCol').map((one) => xmlColumn(one, print))
  const head = names.length > 0 ? `XMLNAMESPACES(${names.join(', ')}), ` : ''
  const text = `XMLTABLE(${head}${row} PASSING ${document} COLUMNS ${columns.join(', ')})`
  return words(table.lateral ? 'LATERAL' : '', text, alias)
}

const namespace = (
  { name, val }: { name?: string; val?: Node },
  print: Pick<JsonParts, 'expression' | 'type'>,
): string => {
  const uri = val ? print.expression(val) : ''
  return name === undefined ? `DEFAULT ${uri}` : `${uri} AS ${quoted(name)}`
}

function xmlColumn(one: RangeTableFuncCol, print: Pick<JsonParts, 'expression' | 'type'>): string {
  const name = quoted(one.colname ?? '')
  if (one.for_ordinality) return `${name} FOR ORDINALITY`
  return words(
    name,
    one.typeName && print.type(one.typeName),
    one.colexpr && `PATH ${print.expression(one.colexpr)}`,
    one.coldefexpr && `DEFAULT ${print.expression(one.coldefexpr)}`,
    one.is_not_null ? 'NOT NULL' : undefined,
  )
}
