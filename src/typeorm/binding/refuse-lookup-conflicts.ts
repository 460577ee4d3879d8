import type { InsertStmt } from '@pgsql/types'
import { ShardedError } from '../../errors/sharded-error'
import type { ShardedTable } from '../../routing/table-catalog'
import type { Lookups } from './lookups'

/**
 * Refuses ON CONFLICT where it would have to hear of a row with the same value of a `@GlobalUnique` on another shard: where it
 * names those columns, and DO NOTHING where it names none.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED
 */
export function refuseLookupConflicts(
  { onConflictClause }: InsertStmt,
  { name, group, entity }: ShardedTable,
  lookups: Lookups,
): void {
  if (!onConflictClause) return
  const { infer, action } = onConflictClause
  const targets = infer?.indexElems?.map((element) => ('IndexElem' in element ? element.IndexElem.name : undefined))
  for (const { table } of lookups.ofGroup(group)) {
    if (!table.isUnique || table.source.table !== name) continue
    const columns = table.columns.slice(0, table.valueCount).map((column) => column.name)
    const isNamed = targets?.length === columns.length && columns.every((column) => targets.includes(column))
    const isMeant = infer === undefined && action === 'ONCONFLICT_NOTHING'
    if (!isNamed && !isMeant && infer?.conname !== table.constraint) continue
    throw new ShardedError(
      'STATEMENT_UNSUPPORTED',
      `ON CONFLICT of ${entity?.name ?? name} cannot be about its @GlobalUnique (${columns.join(', ')}), whose rows are on other shards. Name the columns of another constraint.`,
      { details: { table: name, columns } },
    )
  }
}
