import { ShardedError } from '../errors/sharded-error'
import type { ColumnDescription, EntityDescription, RelationDescription } from './entity-description'
import type { EntityTarget } from './shard-args-storage'

/** An entity with the columns of its shard key, in the order of the sharding function. */
interface Keyed {
  readonly entity: EntityDescription
  readonly keyColumns: readonly ColumnDescription[]
}

/**
 * Refuses a relation inside a colocation group that joins one column of the shard key with another one of the other entity's: rows
 * that are joined would have the same values in another order, and so belong to different shards.
 *
 * @param colocated an entity of the same group; undefined for others
 * @throws ShardedError COLOCATION_INVALID
 */
export function refuseCrossedJoin(
  { entity, keyColumns }: Keyed,
  { property, inverse, owning }: RelationDescription,
  colocated: (target: EntityTarget) => Keyed | undefined,
): void {
  const other = colocated(inverse)
  const indexOf = (columns: readonly ColumnDescription[], path: string) =>
    columns.findIndex(({ propertyPath }) => propertyPath === path)
  for (const { own, referenced } of (other && owning?.joins) ?? []) {
    const index = indexOf(keyColumns, own)
    const position = indexOf(other?.keyColumns ?? [], referenced)
    if (index < 0 || position < 0 || index === position) continue
    const columns = (keyed: Keyed | undefined) => keyed?.keyColumns.map(({ propertyPath }) => propertyPath).join(', ')
    throw new ShardedError(
      'COLOCATION_INVALID',
      `${entity.name}.${property} joins ${own} with ${referenced}, and the shard keys have them in another order: (${columns({ entity, keyColumns })}) and (${columns(other)}).`,
      { details: { entity: entity.name, colocatedWith: other?.entity.name, relation: property } },
    )
  }
}
