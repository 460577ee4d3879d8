import type { EntityMetadata } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { slotOfId } from '../../ids/decode-sharded-id'
import type { IdColumn, ShardedEntity } from '../../model/sharded-entity'
import type { SlotReader } from '../../routing/table-catalog'
import { canonicalKey } from '../../values/canonical-key'

/** A column that holds ids of `@ShardedId`, by which the slot of its row is known. */
export interface SlotColumn {
  readonly column: ColumnMetadata
  /** Of a value as the database has it. */
  readonly slotOf: SlotReader
}

/**
 * The columns of a table by whose values its rows are found: its own ids, and by foreign keys those of tables of its group,
 * since both rows lie on one shard.
 */
export function slotColumnsOf(
  metadata: EntityMetadata,
  entityOf: (target: unknown) => ShardedEntity | undefined,
): readonly SlotColumn[] {
  const found: SlotColumn[] = []
  const add = (column: ColumnMetadata | undefined, id: IdColumn): void => {
    if (column && !found.some((one) => one.column === column)) found.push({ column, slotOf: slotReader(id) })
  }
  const own = entityOf(metadata.target)?.id
  if (own?.carriesSlot) add(metadata.findColumnWithPropertyPath(own.propertyPath), own)
  for (const { columns, referencedColumns, referencedEntityMetadata } of metadata.foreignKeys) {
    const id = entityOf(referencedEntityMetadata.target)?.id
    // A foreign key of several columns is not looked at where one of them is NULL.
    const isAlwaysChecked = columns.length === 1 || columns.every((column) => !column.isNullable)
    if (!id?.carriesSlot || !isAlwaysChecked) continue
    add(columns[referencedColumns.findIndex((column) => column.propertyPath === id.propertyPath)], id)
  }
  return Object.freeze(found)
}

function slotReader({ kind, type }: IdColumn): SlotReader {
  return (value) => {
    try {
      const text = canonicalKey(value, type)
      return text === undefined ? undefined : slotOfId(kind, text)
    } catch {
      // PostgreSQL will refuse the value; it carries no slot.
      return undefined
    }
  }
}
