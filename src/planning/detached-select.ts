import type { SelectStmt } from '@pgsql/types'
import type { CarriedTable } from '../routing/carried-table'
import type { TableUse } from '../routing/scope'
import type { Detached } from '../routing/statement-analysis'
import { columnNode, integerConstant, selectNode, targetNode } from '../sql/nodes'
import { withCtes } from '../sql/with-ctes'

/** A detached part as a query of its own, with the CTEs around it that it names. */
export function detachedSelect(part: Detached): SelectStmt {
  if (part.kind === 'table') return carriedSelect(part.carried)
  const { node: select, kind, ctes } = part
  const isPlain =
    !select.limitCount && !select.limitOffset && !select.larg && !select.groupClause && !select.havingClause
  const asked: SelectStmt =
    kind === 'exists'
      ? {
          ...withColumn(select),
          ...(isPlain && { limitCount: integerConstant(1), limitOption: 'LIMIT_OPTION_COUNT' as const }),
        }
      : select
  return withCtes(asked, {
    ctes: ctes.map((cte) => cte.node),
    recursive: ctes.some((cte) => cte.isRecursive),
  })
}

/** `EXISTS (SELECT FROM …)` needs no column; rows that are sent have one at least. */
const withColumn = (select: SelectStmt): SelectStmt =>
  select.larg || select.valuesLists || select.targetList
    ? select
    : { ...select, targetList: [targetNode(integerConstant(1), 'found')] }

function carriedSelect({ use, columns, conditions }: CarriedTable): SelectStmt {
  const alias = nameOfUse(use)
  const [first, ...others] = conditions.map(({ condition }) => condition)
  return selectNode({
    targetList: columns.map((name) => targetNode(columnNode(alias, name), name)),
    fromClause: [{ RangeVar: use.rangeVar }],
    ...(first && {
      whereClause: others.length > 0 ? { BoolExpr: { boolop: 'AND_EXPR', args: [first, ...others] } } : first,
    }),
  })
}

/** The name by which a statement knows a table. */
export const nameOfUse = ({ rangeVar, table }: TableUse): string =>
  rangeVar.alias?.aliasname ?? rangeVar.relname ?? table.name
