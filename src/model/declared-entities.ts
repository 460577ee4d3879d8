import type { Refusals } from '../errors/refusals'
import { ShardedError } from '../errors/sharded-error'
import type { ColumnDescription, EntityDescription } from './entity-description'
import { findKeyColumns, findShardedArgs } from './find-declaration'
import { refuseIdColumns } from './id-column'
import type { EntityTarget, ShardArgsStorage, ShardedArgs } from './shard-args-storage'

/** An entity that is declared sharded. */
export interface DeclaredEntity {
  readonly entity: EntityDescription
  readonly args: ShardedArgs
  readonly keyColumns: readonly ColumnDescription[]
}

/** The entities that are declared sharded; one whose shard key is refused has no key columns here. */
export function declaredEntities(
  entities: readonly EntityDescription[],
  storage: ShardArgsStorage,
  refusals: Refusals,
): ReadonlyMap<EntityTarget, DeclaredEntity> {
  const declared = new Map<EntityTarget, DeclaredEntity>()
  for (const entity of entities) {
    const args = findShardedArgs(storage, entity.parent ?? entity.target)
    if (args) {
      const keyColumns = refusals.attempt(() => keyColumnsOf(storage, entity)) ?? []
      declared.set(entity.target, { entity, args, keyColumns })
    } else refusals.attempt(() => refuseIdColumns(storage, entity))
  }
  return declared
}

function keyColumnsOf(storage: ShardArgsStorage, entity: EntityDescription): readonly ColumnDescription[] {
  const keyColumns = findKeyColumns(storage, entity)
  if (keyColumns.length === 0) {
    throw new ShardedError(
      'ENTITY_WITHOUT_SHARD_KEY',
      `${entity.name} is @Sharded, but none of its columns is marked.`,
      { details: { entity: entity.name } },
    )
  }
  // A child of single-table inheritance has its columns in its root's table: what is wrong with them is said of the root.
  if (entity.parent === undefined) for (const column of keyColumns) checkKeyColumn(entity, column)
  return keyColumns
}

function checkKeyColumn(
  { name }: EntityDescription,
  { propertyPath, type, keyType, writtenBy }: ColumnDescription,
): void {
  const details = { entity: name, column: propertyPath, type }
  if (writtenBy !== undefined)
    throw new ShardedError('KEY_COLUMN_INVALID', `${name}.${propertyPath} cannot be a shard key: ${writtenBy}.`, {
      details,
    })
  if (keyType) return
  throw new ShardedError('KEY_TYPE_UNSUPPORTED', `${name}.${propertyPath} of type ${type} cannot be a shard key.`, {
    details,
  })
}
