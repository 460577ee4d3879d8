import type { Node, SelectStmt } from '@pgsql/types'
import type { Detached } from '../routing/analysis/findings'
import type { CarriedTable } from '../routing/carried-table'
import type { TableUse } from '../routing/scope'
import { withCtes } from '../sql/ctes'
import { columnNode, integerConstant, selectNode, targetNode, trueConstant } from '../sql/nodes'
import { whereAll } from '../sql/statement-parts'
import { fieldsOf, type TreeObject } from '../sql/tree'
import { type Answer, type ShippedColumn, shippedSelect, tableNamed } from './shipped-rows'

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

/** The query for what is read of a table. @param more conditions on its columns */
export function carriedSelect({ use, columns, conditions }: CarriedTable, more: readonly Node[] = []): SelectStmt {
  const alias = nameOfUse(use)
  return selectNode({
    targetList: columns.map((name) => targetNode(columnNode(alias, name), name)),
    fromClause: [{ RangeVar: use.rangeVar }],
    ...whereAll([...conditions.map(({ condition }) => condition), ...more]),
  })
}

/** The name by which a statement knows a table. */
export const nameOfUse = ({ rangeVar, table }: TableUse): string =>
  rangeVar.alias?.aliasname ?? rangeVar.relname ?? table.name

/**
 * Has the rows of a CTE stand for a table that was read for a statement. All rows that were read meet its conditions: to the planner
 * of a node each would leave a few of these rows.
 */
export function standFor(
  places: readonly CarriedTable[],
  cte: string,
  replacements: Map<unknown, (wrapper: TreeObject) => unknown>,
): void {
  for (const { use, conditions } of places) {
    const alias = { aliasname: nameOfUse(use) }
    replacements.set(use.rangeVar, () => ({ RangeVar: { ...tableNamed(cte), alias } }))
    for (const { condition } of conditions) replacements.set(condition, () => trueConstant())
  }
}

/**
 * What stands in the place of a detached part that was run.
 *
 * @param ship notes its rows as those of a CTE, and gives its name
 */
export function replacementOf(part: Detached, answer: Answer, ship: (answer: Answer) => string): unknown {
  if (part.kind === 'table')
    return { RangeVar: { ...tableNamed(ship(answer)), alias: { aliasname: nameOfUse(part.carried.use) } } }
  if (part.kind !== 'source') return shippedSelect(ship(answer))
  const { columns } = answer
  const numbered = columns.map((column, index) => ({ ...column, name: `c${index}` }))
  return shippedSide(ship({ ...answer, columns: numbered }), part.node, columns)
}

/**
 * A side of a set operation over its shipped rows. A literal or parameter that has no type yet stays what it is: the other
 * sides give it one.
 *
 * @param cte with the rows, its columns named `c0 …`
 */
export function shippedSide(cte: string, select: SelectStmt, columns: readonly ShippedColumn[]): SelectStmt {
  const targets = select.targetList ?? []
  const isOpen = targets.length === columns.length && !select.distinctClause && !select.groupClause
  return selectNode({
    targetList: columns.map(({ name }, index) => {
      const value = fieldsOf(targets[index], 'ResTarget')?.val
      return targetNode(isOpen && isUntyped(value) ? value : columnNode(cte, `c${index}`), name)
    }),
    fromClause: [{ RangeVar: tableNamed(cte) }],
  })
}

/** True for a literal or parameter that has no type yet: where it goes gives it one. */
export function isUntyped(node: Node | undefined): node is Node {
  if (!node) return false
  if ('CollateClause' in node) return isUntyped(node.CollateClause.arg)
  return 'ParamRef' in node || ('A_Const' in node && (node.A_Const.isnull === true || node.A_Const.sval !== undefined))
}
