import type { EntityMetadata, ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { ShardedError } from '../../errors/sharded-error'
import type { IdMaker } from '../../ids/id-maker'
import { shownName } from '../../model/hidden-key-name'
import type { IdColumn, ShardedEntity } from '../../model/sharded-entity'
import { keyText } from '../../routing/route'
import type { Shard } from '../../topology/shard'
import type { UnitOwners } from '../../topology/unit-owners'
import { storedKey } from '../../values/stored-key'
import { hiddenKeySource } from './hidden-key-source'
import type { SlotColumn } from './slot-columns'

/** A sharded entity where the model, TypeORM's metadata and the shards meet. */
export interface EntityBinding {
  readonly entity: ShardedEntity
  readonly metadata: EntityMetadata
  /** By their index. */
  readonly shards: readonly Shard[]
  readonly owners: UnitOwners
  /** TypeORM's columns of the shard key, in the sharding function's order. */
  readonly keyColumns: readonly ColumnMetadata[]
  /** Undefined where the entity's ids are not made here. */
  readonly id: EntityId | undefined
  /** The columns whose values tell the slot of a row. */
  readonly slotColumns: readonly SlotColumn[]
}

/**
 * The canonical shard key that an entity, a plain object or a partial one has once it is stored; undefined where a part of it
 * is not set. Values are read as TypeORM would write them: after the column's transformer and the driver's conversion.
 *
 * @throws ShardedError KEY_INVALID
 */
export function keyOf(binding: EntityBinding, object: ObjectLiteral): readonly string[] | undefined {
  const key: string[] = []
  for (const [index, column] of binding.keyColumns.entries()) {
    const value: unknown = column.getEntityValue(object)
    if (value === undefined || value === null) return undefined
    key.push(canonicalValue(binding, index, value))
  }
  return key
}

/** As `keyOf`, for a row to be written. @throws ShardedError KEY_MISSING, KEY_INVALID */
export function requireKey(binding: EntityBinding, object: ObjectLiteral, operation: string): readonly string[] {
  const key = keyOf(binding, object)
  if (key) return key
  const missing = binding.keyColumns
    .filter((column) => column.getEntityValue(object) == null)
    .map((column) => shownName(column.propertyPath))
  const source = hiddenKeySource(binding.metadata)
  throw new ShardedError(
    'KEY_MISSING',
    `${binding.entity.name}.${operation}: ${missing.join(', ')} of the shard key ${keyText(binding.entity)} is not set.`,
    {
      details: { entity: binding.entity.name, columns: missing, operation },
      ...(hearsOfInserts(binding) && { fix: setKeyBefore }),
      ...(source && {
        fix: `Set ${source.propertyPath} to an object whose row is stored, or is saved in the same call.`,
      }),
    },
  )
}

/** The way out where a listener sets the shard key. */
export const setKeyBefore =
  'Set the shard key before the write: listeners and subscribers are called when the shard has been chosen.'

/** Whether a listener or a subscriber is called before a row is inserted, and may set its key. */
export const hearsOfInserts = ({ metadata }: EntityBinding): boolean =>
  metadata.beforeInsertListeners.length > 0 ||
  metadata.dataSource.subscribers.some(({ beforeInsert }) => beforeInsert !== undefined)

/** Parts of a shard key as entities have them, as TypeORM would write them. */
export function preparedKey({ metadata, keyColumns }: EntityBinding, values: readonly unknown[]): readonly unknown[] {
  const { driver } = metadata.dataSource
  return keyColumns.map((column, index): unknown => driver.preparePersistentValue(values[index], column))
}

/** The canonical text of what one key column stores for a value that an entity has. @throws ShardedError KEY_INVALID naming entity and column */
export function canonicalValue(binding: EntityBinding, index: number, value: unknown): string {
  const column = binding.keyColumns[index]
  const { driver } = binding.metadata.dataSource
  return canonicalColumnKey(binding, index, column && driver.preparePersistentValue(value, column))
}

/** The canonical text of what one key column stores for a value that the database is given. @throws ShardedError KEY_INVALID naming entity and column */
export function canonicalColumnKey(binding: EntityBinding, index: number, value: unknown): string {
  const { entity } = binding
  const keyColumn = entity.keyColumns[index]
  if (!keyColumn) throw new RangeError(`${entity.name} has no key column ${index}`)
  let key: string | undefined
  try {
    key = storedKey(value, keyColumn)
  } catch (error) {
    throw invalidKey(binding, keyColumn.propertyPath, { value, cause: error })
  }
  if (key === undefined)
    throw invalidKey(binding, keyColumn.propertyPath, {
      value,
      cause: new Error('Its meaning depends on the database session.'),
    })
  return key
}

function invalidKey(
  { entity }: EntityBinding,
  column: string,
  { value, cause }: { readonly value: unknown; readonly cause: unknown },
): ShardedError {
  const kind = value instanceof Object ? value.constructor.name : typeof value
  const reason = cause instanceof Error ? cause.message.replace(/ Pass a value of .*$/, '') : ''
  return new ShardedError(
    'KEY_INVALID',
    `${entity.name}.${column} cannot be ${typeof value === 'function' ? 'an expression' : `this ${kind}`}: ${reason}`,
    { details: { entity: entity.name, column, type: kind }, cause },
  )
}

/** The ids of an entity, where the model, TypeORM's metadata and what makes them meet. */
export interface EntityId extends IdColumn {
  readonly column: ColumnMetadata
  /** The id is (a part of) the shard key: it decides the shard, and has to be there first. */
  readonly isKey: boolean
  readonly maker: IdMaker
  /** The value that TypeORM would give an entity for what the database holds. */
  readonly hydrate: (text: string) => unknown
}
