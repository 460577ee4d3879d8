import type { Node, RangeVar } from '@pgsql/types'
import { targetTable } from '../sql/statement-parts'
import type { TableUse } from './scope'
import type { StatementAnalysis } from './statement-analysis'

/**
 * The sharded table that a statement is about: what it writes, or of the outermost FROM clause the first whose rows no
 * outer join makes up. Undefined where there is none that holds a shard key.
 */
export function mainUse(statement: Node, { uses }: StatementAnalysis): TableUse | undefined {
  for (const rangeVar of mainTables(statement)) {
    const use = uses.find((one) => one.rangeVar === rangeVar)
    if (use?.table.entity) return use
  }
  return undefined
}

function mainTables(statement: Node): readonly RangeVar[] {
  if ('SelectStmt' in statement) return (statement.SelectStmt.fromClause ?? []).flatMap(keptTables)
  const target = targetTable(statement)
  return target ? [target] : []
}

function keptTables(item: Node | undefined): readonly RangeVar[] {
  if (!item) return []
  if ('RangeVar' in item) return [item.RangeVar]
  if (!('JoinExpr' in item)) return []
  const { jointype, larg, rarg } = item.JoinExpr
  if (jointype === 'JOIN_LEFT') return keptTables(larg)
  if (jointype === 'JOIN_RIGHT') return keptTables(rarg)
  return jointype === 'JOIN_FULL' ? [] : [...keptTables(larg), ...keptTables(rarg)]
}
