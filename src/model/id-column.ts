import { ShardedError } from '../errors/sharded-error'
import type { BoundFunction } from '../functions/sharding-function'
import { type ShardedIdKind, shardedIdKinds } from '../ids/sharded-id-kind'
import type { ColumnDescription, EntityDescription } from './entity-description'
import { findIdColumns } from './find-declaration'
import type { ShardArgsStorage } from './shard-args-storage'
import type { IdColumn } from './sharded-entity'

const bigints = ['bigint', 'int8']

const columnTypes: Readonly<Record<ShardedIdKind, readonly string[]>> = {
  '64-bit': bigints,
  '53-bit': [...bigints, 'double precision', 'float8', 'float'],
  uuid: ['uuid'],
  sequence: [...bigints, 'integer', 'int', 'int4', 'smallint', 'int2'],
}

/**
 * The column of a sharded entity whose values `@ShardedId` makes; undefined where it marks none.
 *
 * @throws ShardedError ID_COLUMN_INVALID
 */
export function idColumnOf(
  storage: ShardArgsStorage,
  entity: EntityDescription,
  { fn, keyColumns }: { readonly fn: BoundFunction; readonly keyColumns: readonly ColumnDescription[] },
): IdColumn | undefined {
  const [declared, another] = findIdColumns(storage, entity)
  if (!declared) return undefined
  const { column, args } = declared
  const { propertyPath, keyType, type, isPrimary, relationProperty, writtenBy } = column
  const { kind } = args
  if (another) throw invalid(entity, another.column, `it is the second one, after ${propertyPath}`)
  if (!shardedIdKinds.includes(kind)) throw invalid(entity, column, `there is no kind ${JSON.stringify(kind)}`)
  // A row is given an id where it has none: of another column it would not be known whether there is a row already.
  if (!isPrimary) throw invalid(entity, column, 'it is no column of the primary key')
  if (relationProperty !== undefined) throw invalid(entity, column, 'it is the join column of a relation')
  // What is made would not be what is stored.
  if (writtenBy !== undefined) throw invalid(entity, column, writtenBy)
  if (!keyType || !columnTypes[kind].includes(type))
    throw invalid(
      entity,
      column,
      `ids of kind ${kind} need a column of type ${columnTypes[kind].join(', ')}, not ${type}`,
    )
  const carriesSlot = kind !== 'sequence' && fn.shardsOfSlot !== undefined && !keyColumns.includes(column)
  return Object.freeze({ propertyPath, type: keyType, kind, carriesSlot })
}

/** @throws ShardedError ID_COLUMN_INVALID for an entity whose rows have no shard key, and so no slot */
export function refuseIdColumns(storage: ShardArgsStorage, entity: EntityDescription): void {
  const [declared] = findIdColumns(storage, entity)
  if (declared) throw invalid(entity, declared.column, 'the entity is not sharded')
}

function invalid(entity: EntityDescription, { propertyPath, type }: ColumnDescription, reason: string): ShardedError {
  return new ShardedError('ID_COLUMN_INVALID', `${entity.name}.${propertyPath} cannot be a @ShardedId: ${reason}.`, {
    details: { entity: entity.name, column: propertyPath, type },
  })
}
