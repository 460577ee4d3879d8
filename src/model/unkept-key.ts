import { ShardedError } from '../errors/sharded-error'
import type { ColumnDescription, EntityDescription, RelationDescription } from './entity-description'

/**
 * Refuses a foreign key by which the database itself would write the shard key: ON DELETE SET NULL leaves a row without a key on
 * a shard, and SET DEFAULT one with the key of another shard. A key that is NOT NULL fails there, as on one database.
 *
 * @throws ShardedError KEY_COLUMN_INVALID
 */
export function refuseUnkeptKey(
  { entity, keyColumns }: { readonly entity: EntityDescription; readonly keyColumns: readonly ColumnDescription[] },
  { property, owning }: RelationDescription,
): void {
  if (!owning?.isChecked) return
  for (const column of keyColumns) {
    if (!owning.joins.some(({ own }) => own === column.propertyPath)) continue
    const action = owning.actions?.find(
      (one) => one.endsWith('SET DEFAULT') || (one.endsWith('SET NULL') && column.isNullable),
    )
    if (action === undefined) continue
    throw new ShardedError(
      'KEY_COLUMN_INVALID',
      `${entity.name}.${column.propertyPath} cannot be a shard key: by ${entity.name}.${property} the database writes it (${action}).`,
      { details: { entity: entity.name, column: column.propertyPath, relation: property } },
    )
  }
}
