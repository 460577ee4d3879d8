import type { Node, SelectStmt } from '@pgsql/types'
import { fieldsOf, hasOwnParameters, isNode, namesOf, type TreeObject, visit } from '../sql/tree'
import type { Filter } from './equalities'
import { impliedCondition } from './implied-condition'
import { isPureNode } from './known-functions'
import { type TableUse, tableColumns } from './scope'

/** A sharded table whose rows are carried to where the statement runs, since those of all shards are needed there. */
export interface CarriedTable {
  readonly use: TableUse
  /** The columns that the statement may name, as it names them. */
  readonly columns: readonly string[]
  /** Conditions of the statement that only this table's columns are in. */
  readonly conditions: readonly Filter[]
}

/**
 * What has to be carried of a table: of its columns those that the statement names anywhere, of its rows those that meet the
 * conditions which all rows of its query must meet.
 */
export const carriedTable = (use: TableUse, filters: readonly Filter[], statement: Node): CarriedTable =>
  Object.freeze({
    use,
    columns: columnsNamed(use, statement, new Set()),
    conditions: ownConditions(use, filters, statement),
  })

/**
 * What has to be carried of tables where the statement no longer says the conditions that all carried rows meet: no column is
 * needed for these.
 */
export function carriedWithoutConditions(
  filtersOf: ReadonlyMap<TableUse, readonly Filter[]>,
  statement: Node,
): readonly CarriedTable[] {
  const tables = [...filtersOf].map(([use, filters]) => ({ use, conditions: ownConditions(use, filters, statement) }))
  const unsaid = new Set<unknown>(tables.flatMap(({ conditions }) => conditions.map(({ condition }) => condition)))
  return tables.map(({ use, conditions }) =>
    Object.freeze({ use, columns: columnsNamed(use, statement, unsaid), conditions }),
  )
}

const ownConditions = (use: TableUse, filters: readonly Filter[], statement: Node): readonly Filter[] =>
  filters.flatMap(({ condition, scope }) => {
    const own = impliedCondition(condition, (part) => isAbout(use, { condition: part, scope }))
    return own && hasOwnParameters(own, statement) ? [{ condition: own, scope }] : []
  })

/** @param unsaid parts of the statement whose names do not count */
function columnsNamed(use: TableUse, statement: Node, unsaid: ReadonlySet<unknown>): readonly string[] {
  const renamed = namesOf(use.rangeVar.alias?.colnames) ?? []
  const all = tableColumns(use, renamed).map(({ name }) => name)
  const names = new Set<string>()
  let isWhole = renamed.length > 0
  const alias = use.rangeVar.alias?.aliasname ?? use.rangeVar.relname ?? ''
  const look = (tree: unknown): void =>
    visit(tree, (object) => {
      if (unsaid.has(object)) return false
      const asked = queryOfExists(object)
      // What EXISTS would give is not looked at.
      if (asked && isOneStar(asked)) {
        const { targetList: _, ...rest } = asked
        look(rest)
        return false
      }
      const { A_Star: star, String: text, ColumnRef: column, JoinExpr: join } = object
      // An alias of a join names its columns by their places.
      if (star || join?.isNatural || join?.alias?.colnames || (column && namesOf(column.fields)?.join('.') === alias))
        isWhole = true
      if (text) names.add(text.sval ?? '')
      return undefined
    })
  look(statement)
  const named = isWhole ? all : all.filter((name) => names.has(name))
  return named.length > 0 ? named : all.slice(0, 1)
}

const queryOfExists = ({ SubLink: link }: TreeObject): SelectStmt | undefined =>
  link?.subLinkType === 'EXISTS_SUBLINK' ? fieldsOf(link.subselect, 'SelectStmt') : undefined

/** `SELECT *` and nothing else. */
function isOneStar({ targetList = [], distinctClause }: SelectStmt): boolean {
  const [target, another] = targetList
  const column = fieldsOf(fieldsOf(target, 'ResTarget')?.val, 'ColumnRef')
  return !distinctClause && !another && fieldsOf(column?.fields?.[0], 'A_Star') !== undefined
}

/** True for a condition that names columns of the table only, by the table's own name, and says the same wherever it stands. */
function isAbout(use: TableUse, { condition, scope }: Filter): boolean {
  const item = scope.items.find((one) => one.use === use)
  if (!item) return false
  let isOnly = true
  let isNamed = false
  visit(condition, (object) => {
    if ('SubLink' in object || !isPureNode(object, scope.functions)) isOnly = false
    if (!isNode(object, 'ColumnRef')) return isOnly
    const names = namesOf(object.ColumnRef.fields) ?? []
    const base = scope.column(object)
    if (base?.use !== use || names.length > 2 || (names.length === 2 && names[0] !== item.alias)) isOnly = false
    isNamed = true
    return false
  })
  return isOnly && isNamed
}
