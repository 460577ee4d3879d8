import type { Node, RangeTableFunc, RangeTableFuncCol } from '@pgsql/types'
import { quoted } from '../values/quoted'
import type { JsonParts } from './json-printer'

/** XMLTABLE, with the alias that it has. */
export function xmlTable(table: RangeTableFunc, alias: string, print: Pick<JsonParts, 'expression' | 'type'>): string {
  const names = (table.namespaces ?? []).flatMap((node) =>
    'ResTarget' in node ? [namespace(node.ResTarget, print)] : [],
  )
  const row = table.rowexpr ? `(${print.expression(table.rowexpr)})` : ''
  const document = table.docexpr ? `(${print.expression(table.docexpr)})` : ''
  const columns = (table.columns ?? []).flatMap((node) =>
    'RangeTableFuncCol' in node ? [column(node.RangeTableFuncCol, print)] : [],
  )
  const head = names.length > 0 ? `XMLNAMESPACES(${names.join(', ')}), ` : ''
  const text = `XMLTABLE(${head}${row} PASSING ${document} COLUMNS ${columns.join(', ')})`
  return [table.lateral ? 'LATERAL' : '', text, alias].filter(Boolean).join(' ')
}

const namespace = (
  { name, val }: { name?: string; val?: Node },
  print: Pick<JsonParts, 'expression' | 'type'>,
): string => {
  const uri = val ? print.expression(val) : ''
  return name === undefined ? `DEFAULT ${uri}` : `${uri} AS ${quoted(name)}`
}

function column(one: RangeTableFuncCol, print: Pick<JsonParts, 'expression' | 'type'>): string {
  const name = quoted(one.colname ?? '')
  if (one.for_ordinality) return `${name} FOR ORDINALITY`
  return [
    name,
    one.typeName && print.type(one.typeName),
    one.colexpr && `PATH ${print.expression(one.colexpr)}`,
    one.coldefexpr && `DEFAULT ${print.expression(one.coldefexpr)}`,
    one.is_not_null && 'NOT NULL',
  ]
    .filter(Boolean)
    .join(' ')
}
