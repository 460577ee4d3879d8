import type { Node, RangeVar } from '@pgsql/types'
import { columnNode } from '../sql/nodes'
import { writesRows } from '../sql/statement-parts'
import { namesOf, someNode } from '../sql/tree'
import type { Grouping, Link } from './analysis/findings'
import { refusals } from './analysis/refusals'
import type { CarriedTable } from './carried-table'
import { groupTerms } from './clause-term'
import { distributionProblems } from './distribution/prove-distribution'
import type { KnownFunctions } from './known-functions'
import type { Problem } from './problem'
import { groupColumns } from './query-shape'
import { type BaseColumn, starOfItem, type TableUse, tableColumns } from './scope'

/** What a query needs to be answered on one node: rows of its sharded tables. */
export interface GatherAnalysis {
  /** Each sharded table in it, once for each place where it stands. */
  readonly tables: readonly CarriedTable[]
  readonly homeTables: readonly RangeVar[]
  /** Which rows of a table matter only where they share a value with a row of another. */
  readonly links: readonly TableLink[]
  readonly groupings: readonly Grouping[]
  /** Why copies of rows cannot answer it, where they cannot. */
  readonly problem: Problem | undefined
}

/** True for a table of PostgreSQL's own, which each node has for itself. */
export const isCatalogTable = ({ schemaname, relname = '' }: RangeVar): boolean =>
  schemaname === undefined ? relname.startsWith('pg_') : /^(?:pg_|information_schema$)/.test(schemaname)

/** Of table number `table` only those rows matter whose `column` has a value that `byColumn` has in table number `by`. */
export interface TableLink {
  readonly table: number
  readonly column: string
  readonly by: number
  readonly byColumn: string
}

/** The links of a statement by the numbers of its tables, each once. */
export function tableLinks(links: readonly Link[], tables: readonly CarriedTable[]): readonly TableLink[] {
  const numberOf = ({ use }: BaseColumn) => tables.findIndex((table) => table.use.rangeVar === use.rangeVar)
  const all = links.map(({ column, by }) => ({
    table: numberOf(column),
    column: writtenName(column),
    by: numberOf(by),
    byColumn: writtenName(by),
  }))
  const known = all.filter(({ table, by }) => table >= 0 && by >= 0 && table !== by)
  return [...new Map(known.map((link) => [JSON.stringify(Object.values(link)), link])).values()]
}

/** The name that a statement has for a column. */
function writtenName({ use, name }: BaseColumn): string {
  const renamed = namesOf(use.rangeVar.alias?.colnames) ?? []
  return tableColumns(use, renamed).find(({ base }) => base?.name === name)?.name ?? name
}

/**
 * Why a query cannot be answered from copies of its tables' rows: it writes, locks rows, means a primary key, or has a node or a
 * function that is not known to say the same of the copies.
 *
 * @returns undefined where it can
 */
export function gatherProblem(
  statement: Node,
  { functions, groupings }: { readonly functions: KnownFunctions; readonly groupings: readonly Grouping[] },
): Problem | undefined {
  if (writesRows(statement)) return refusals.writingWith
  if (groupings.some(setsHoldPrimaryKey)) return refusals.decidedSets
  if (groupings.some(namesDecidedRow)) return refusals.decidedRow
  if (someNode(statement, ({ LockingClause: lock }) => lock !== undefined)) return refusals.gatheredLock
  return distributionProblems(statement, functions, new Set())[0]
}

/**
 * GROUP BY with the columns that the primary key in it decides: PostgreSQL lets a query name these without grouping by them, and
 * knows no primary key of copied rows. The groups are the same.
 *
 * @returns undefined where the query groups by no primary key
 */
export function withDecidedColumns(
  { select, scope }: Grouping,
  tables: readonly CarriedTable[],
): readonly Node[] | undefined {
  const grouped = groupColumns(select, scope)
  const decided = scope.items.flatMap((item) => {
    const { use } = item
    const carried = tables.find((one) => one.use.rangeVar === use?.rangeVar)
    if (!use || !carried || !holdsPrimaryKey(use, grouped)) return []
    const isGrouped = (name: string) => grouped.some((column) => column?.use === use && column.name === name)
    return (starOfItem(item) ?? [])
      .filter(({ name, base }) => carried.columns.includes(name) && base && !isGrouped(base.name))
      .map(({ name }) => columnNode(item.alias, name))
  })
  return decided.length > 0 ? [...(select.groupClause ?? []), ...decided] : undefined
}

/** True where a query that groups by a primary key names a whole row of its table. */
function namesDecidedRow({ select, scope }: Grouping): boolean {
  const grouped = groupColumns(select, scope)
  const rows = new Set(scope.items.flatMap(({ alias, use }) => (use && holdsPrimaryKey(use, grouped) ? [alias] : [])))
  return (
    rows.size > 0 &&
    someNode(select, ({ ColumnRef: column }) => {
      const names = namesOf(column?.fields) ?? []
      return names.length === 1 && rows.has(names[0] ?? '') && !scope.hasColumn(names[0] ?? '')
    })
  )
}

/** True where grouping sets, each for itself, group by a primary key: it decides other columns in all of them. */
function setsHoldPrimaryKey({ select, scope }: Grouping): boolean {
  const sets = (select.groupClause ?? []).filter((node) => 'GroupingSet' in node)
  const columns = groupColumns({ ...select, groupClause: sets.flatMap(groupTerms) }, scope)
  return scope.items.some(({ use }) => use !== undefined && holdsPrimaryKey(use, columns))
}

const holdsPrimaryKey = (use: TableUse, columns: readonly (BaseColumn | undefined)[]): boolean =>
  use.table.primaryKey.length > 0 &&
  use.table.primaryKey.every((name) => columns.some((column) => column?.use === use && column.name === name))
