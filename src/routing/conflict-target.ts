import type { InsertStmt } from '@pgsql/types'
import { allOf } from '../sql/tree'
import type { ShardedTable } from './table-catalog'

/**
 * What the ON CONFLICT of an INSERT is about, where a row of another shard may be meant: the primary key, a constraint by its
 * name, or any constraint. Undefined where a row that conflicts is on the shard of the new one.
 */
export type ConflictTarget = 'primary-key' | 'constraint' | 'any'

export function conflictTarget(
  { onConflictClause }: InsertStmt,
  { entity, primaryKey, keyColumns }: ShardedTable,
): ConflictTarget | undefined {
  if (!onConflictClause || !entity || keyColumns.every((column) => primaryKey.includes(column))) return undefined
  const { infer } = onConflictClause
  // What a caller has given up for saves is not looked for here either, unless the primary key itself is named.
  if (!infer) return entity.primaryKeyCheck ? 'any' : undefined
  if (infer.conname !== undefined) return entity.primaryKeyCheck ? 'constraint' : undefined
  const named = allOf(infer.indexElems, 'IndexElem').map(({ name }) => name)
  const isPrimary = named.length === primaryKey.length && primaryKey.every((column) => named.includes(column))
  return isPrimary ? 'primary-key' : undefined
}
