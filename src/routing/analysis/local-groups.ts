import type { SelectStmt } from '@pgsql/types'
import { aggregatedParts, distinctColumns, groupColumns, hasAggregate, windowsOf } from '../query-shape'
import type { BaseColumn, Scope, TableUse } from '../scope'

/** The tables whose rows a query groups. */
interface GroupedTables {
  readonly uses: ReadonlySet<TableUse>
  /** Tables on the side of an outer join that may have no row. */
  readonly optional: ReadonlySet<TableUse>
}

/** True where the groups, the distinct rows and the windows of a query lie within a shard each: they hold a locator. */
export function isLocalGrouping(select: SelectStmt, scope: Scope, tables: GroupedTables): boolean {
  const { groupClause = [], distinctClause } = select
  const isGrouped = groupClause.length > 0
  if (isAggregated(select, scope) && (!isGrouped || !holdsLocator(groupColumns(select, scope), tables))) return false
  const windows = windowsOf(select)
  // Grouping sets give NULLs in the place of columns, on every shard.
  const hasSets = groupClause.some((node) => 'GroupingSet' in node)
  if (hasSets && (distinctClause !== undefined || windows.length > 0)) return false
  const isLocalWindow = (partition: (typeof windows)[number]): boolean =>
    holdsLocator(
      partition.map((node) => scope.column(node)),
      tables,
    )
  return windows.every(isLocalWindow) && (!distinctClause || holdsLocator(distinctColumns(select, scope), tables))
}

/** True for a query that gives a row of no rows: an aggregate without groups, or a grouping set that is empty. */
export const isAlwaysAnswered = (select: SelectStmt, scope: Scope): boolean =>
  select.groupClause && select.groupClause.length > 0
    ? select.groupClause.every((node) => 'GroupingSet' in node)
    : isAggregated(select, scope)

const isAggregated = (select: SelectStmt, { functions }: Scope): boolean =>
  (select.groupClause !== undefined && select.groupClause.length > 0) ||
  select.havingClause !== undefined ||
  hasAggregate(aggregatedParts(select), functions)

/** True for columns that tell the shard of a row. NULLs are alike on all shards, and tell none. */
export function holdsLocator(columns: readonly (BaseColumn | undefined)[], { uses, optional }: GroupedTables): boolean {
  return columns.some((column) => {
    if (!column || !uses.has(column.use)) return false
    const { use } = column
    return use.table.locators.some((locator) =>
      locator.columns.every(
        (name) => isNeverNull({ use, name }, optional) && columns.some((one) => one?.use === use && one.name === name),
      ),
    )
  })
}

export const isNeverNull = ({ use, name }: BaseColumn, optional: ReadonlySet<TableUse>): boolean =>
  use.table.columns.get(name)?.isNullable === false && !optional.has(use)
