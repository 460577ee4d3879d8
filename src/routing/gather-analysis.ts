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
  /** Each table in it, once for each place where it stands: sharded ones, and those of the home node (`isHomeTable`). */
  readonly tables: readonly CarriedTable[]
  /** Tables of the home node whose columns are not known. */
  readonly homeTables: readonly RangeVar[]
  /** Which rows of a table matter only where they share a value with a row of another. */
  readonly links: readonly TableLink[]
  /** Tables whose rows are looked for once for each row of others. */
  readonly askedByRow: ReadonlySet<RangeVar>
  readonly groupings: readonly Grouping[]
  /** It calls volatile functions of the user: they are asked on the home node, and what they write stays. */
  readonly callsUnproven: boolean
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
  /** Both tables are in one FROM clause. */
  readonly isBeside: boolean
}

/** The links of a statement by the numbers of its tables, each once. */
export function tableLinks(links: readonly Link[], tables: readonly CarriedTable[]): readonly TableLink[] {
  const numberOf = ({ use }: BaseColumn) => tables.findIndex((table) => table.use.rangeVar === use.rangeVar)
  const all = links.map(({ column, by, isBeside }) => ({
    table: numberOf(column),
    column: writtenName(column),
    by: numberOf(by),
    byColumn: writtenName(by),
    isBeside,
  }))
  const known = all.filter(({ table, by }) => table >= 0 && by >= 0 && table !== by)
  return [...new Map(known.map((link) => [JSON.stringify(Object.values(link)), link])).values()]
}

/** The links between some of the tables, by their numbers among these. */
export const renumbered = (links: readonly TableLink[], kept: readonly number[]): readonly TableLink[] =>
  links
    .map((link) => ({ ...link, table: kept.indexOf(link.table), by: kept.indexOf(link.by) }))
    .filter(({ table, by }) => table >= 0 && by >= 0)

/**
 * The links with those that follow from them: where `a` matters only by a value of `b`, and that column of `b` only by a value of `c`,
 * `a` matters only by a value of `c`. What matters of `b` is what has a part in the answer, and so has a partner in `c`. A subquery over
 * `a` that is asked for each row of `b` may be asked for rows of `b` that do not matter: these see all that is theirs.
 *
 * @param links between columns of one type, of which equality is transitive
 */
export function closedLinks(links: readonly TableLink[]): readonly TableLink[] {
  const textOf = (link: TableLink) => JSON.stringify([link.table, link.column, link.by, link.byColumn])
  const closed = new Map(links.map((link) => [textOf(link), link]))
  for (const first of closed.values())
    for (const second of [...closed.values()]) {
      if (!first.isBeside || second.table !== first.by || second.column !== first.byColumn || second.by === first.table)
        continue
      const link = {
        table: first.table,
        column: first.column,
        by: second.by,
        byColumn: second.byColumn,
        isBeside: second.isBeside,
      }
      // A map gives what is added while it is gone through.
      if (!closed.has(textOf(link))) closed.set(textOf(link), link)
    }
  return [...closed.values()]
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
  return distributionProblems(statement, functions, new Set(), 'home')[0]
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
  // Sets put NULL in the place of a column that not all of them have: it is named as theirs.
  const named = [...grouped, ...setColumns({ select, scope })]
  const decided = scope.items.flatMap((item) => {
    const { use } = item
    const carried = tables.find((one) => one.use.rangeVar === use?.rangeVar)
    if (!use || !carried || !holdsPrimaryKey(use, grouped)) return []
    const isGrouped = (name: string) => named.some((column) => column?.use === use && column.name === name)
    return (starOfItem(item) ?? [])
      .filter(({ name, base }) => carried.columns.includes(name) && base && !isGrouped(base.name))
      .map(({ name }) => columnNode(item.alias, name))
  })
  return decided.length > 0 ? [...(select.groupClause ?? []), ...decided] : undefined
}

/** Tables of the home node that a query groups by: which other columns a primary key of theirs decides, no copy tells. */
export const groupedTables = (groupings: readonly Grouping[]): ReadonlySet<RangeVar> =>
  new Set(
    groupings.flatMap(({ select, scope }) =>
      groupColumns(select, scope).flatMap((column) => (column ? [column.use.rangeVar] : [])),
    ),
  )

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
function setsHoldPrimaryKey(grouping: Grouping): boolean {
  const columns = setColumns(grouping)
  return grouping.scope.items.some(({ use }) => use !== undefined && holdsPrimaryKey(use, columns))
}

/** The columns of all grouping sets. */
function setColumns({ select, scope }: Grouping): ReturnType<typeof groupColumns> {
  const sets = (select.groupClause ?? []).filter((node) => 'GroupingSet' in node)
  return groupColumns({ ...select, groupClause: sets.flatMap(groupTerms) }, scope)
}

const holdsPrimaryKey = (use: TableUse, columns: readonly (BaseColumn | undefined)[]): boolean =>
  use.table.primaryKey.length > 0 &&
  use.table.primaryKey.every((name) => columns.some((column) => column?.use === use && column.name === name))
