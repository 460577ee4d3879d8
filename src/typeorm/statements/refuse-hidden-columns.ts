import { unsupported } from '../../errors/sharded-error'
import type { TableUse } from '../../routing/scope'
import { fieldsOf, namesOf, type TreeObject, visit } from '../../sql/tree'
import type { ReadStatement } from './statement-run'

/**
 * Refuses what would show a hidden shard key (`@ShardKey({ from })`), which one database does not have: all columns of a table, a row as
 * a whole, and a name without a table that may mean the column of another one.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED
 */
export function refuseHiddenColumns({ statement, analysis: { uses } }: ReadStatement): void {
  const hiding = uses.filter(({ table }) => table.hiddenColumns.size > 0)
  const [first] = hiding
  if (!first) return
  visit(statement, (object) => {
    const use = shownIn(object, hiding, uses) ?? (meansAllColumns(object) ? first : undefined)
    if (!use) return
    const columns = [...use.table.hiddenColumns]
    throw unsupported(
      `A statement means all columns of ${use.table.name}, or may mean ${columns.join(', ')}, the hidden shard key. Name its columns, each with the name of its table,`,
      { table: use.table.name, columns },
    )
  })
}

const aliasOf = ({ rangeVar: { alias, relname } }: TableUse): string => alias?.aliasname ?? relname ?? ''

function shownIn(object: TreeObject, hiding: readonly TableUse[], uses: readonly TableUse[]): TableUse | undefined {
  const reference = fieldsOf(object, 'ColumnRef')
  if (!reference) return undefined
  const fields = reference.fields ?? []
  const isStar = fields.some((field) => 'A_Star' in field)
  const names = namesOf(fields.filter((field) => 'String' in field)) ?? []
  if (isStar) return hiding.find((use) => names.length === 0 || names.at(-1) === aliasOf(use))
  const [name, another] = names
  if (another !== undefined || name === undefined) return undefined
  const isColumn = uses.some(({ table }) => table.columns.has(name))
  const whole = isColumn ? undefined : hiding.find((use) => name === aliasOf(use))
  const isAmbiguous = uses.filter(({ table }) => table.columns.has(name)).length > 1
  return whole ?? (isAmbiguous ? hiding.find(({ table }) => table.hiddenColumns.has(name)) : undefined)
}

/** NATURAL joins, other names for all columns, and an INSERT without a list. */
const meansAllColumns = (object: TreeObject): boolean =>
  object['isNatural'] === true || Array.isArray(object['colnames']) || ('selectStmt' in object && !('cols' in object))
