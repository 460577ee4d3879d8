import type { SelectStmt } from '@pgsql/types'
import type { StatementAnalysis } from '../routing/statement-analysis'
import { expandedTargets } from './rows-template'
import type { ShippedColumn } from './shipped-rows'

/** The names of a query's columns. */
export const outputNames = (select: SelectStmt, { scope }: StatementAnalysis): readonly string[] =>
  expandedTargets(select, scope).map((node) => ('ResTarget' in node ? (node.ResTarget.name ?? '') : ''))

/** Notes which columns of tables a query gives. */
export function withBases(
  columns: readonly ShippedColumn[],
  select: SelectStmt,
  { scope }: StatementAnalysis,
): readonly ShippedColumn[] {
  const targets = expandedTargets(select, scope)
  return columns.map((column, index) => {
    const target = targets[index]
    const base = target && 'ResTarget' in target ? scope.column(target.ResTarget.val) : undefined
    return base ? { ...column, base: { table: base.use.table.name, column: base.name } } : column
  })
}
