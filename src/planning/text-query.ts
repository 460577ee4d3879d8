import type { SelectStmt } from '@pgsql/types'
import type { ValueType } from '../query/sort-form'
import type { StatementAnalysis } from '../routing/statement-analysis'
import { fieldsOf } from '../sql/tree'
import { expandedTargets, namesOfTargets } from './rows-template'
import { checked, type HeldTable } from './schema-check'
import { type ShippedColumn, shippedText } from './shipped-rows'

export const columnsOf = (names: readonly string[], types: readonly ValueType[]): readonly ShippedColumn[] =>
  names.flatMap((name, index) => {
    const type = types[index]
    return type ? [{ name, type }] : []
  })

/** What the columns are called in a query of texts. */
export const textNames = (width: number): readonly string[] => Array.from({ length: width }, (_, index) => `c${index}`)

/** A query whose columns are `c0 …` as texts. @param tables of which it names all columns */
export function textsOf(text: string, types: readonly ValueType[], tables: readonly HeldTable[] = []): string {
  const names = textNames(types.length)
  return `SELECT ${textOutputs(names, types, tables)} FROM (${text}) AS q(${names.join(', ')})`
}

/** The columns of `q` as texts, with a check of what is known of them. */
export function textOutputs(
  names: readonly string[],
  types: readonly (ValueType | undefined)[],
  tables: readonly HeldTable[],
): string {
  const expressions = names.map((name, index) => [`q.${name}`, types[index]] as const)
  const values = expressions.map(([sql, type], index) => {
    const text = shippedText(sql, type)
    return `${index === 0 ? checked(text, 'text', { expressions, tables }) : text} AS ${names[index]}`
  })
  return values.join(', ')
}

/** The names of a query's columns. */
export const outputNames = (select: SelectStmt, { scope }: StatementAnalysis): readonly string[] =>
  namesOfTargets(expandedTargets(select, scope))

/** Notes which columns of tables a query gives. */
export function withBases(
  columns: readonly ShippedColumn[],
  select: SelectStmt,
  { scope }: StatementAnalysis,
): readonly ShippedColumn[] {
  const targets = expandedTargets(select, scope)
  return columns.map((column, index) => {
    const base = scope.column(fieldsOf(targets[index], 'ResTarget')?.val)
    if (!base) return column
    const { group, name: table } = base.use.table
    return { ...column, base: { group, table, column: base.name } }
  })
}
