import { ShardedError } from '../errors/sharded-error'
import type { ColumnDescription, EntityDescription, RelationDescription } from './entity-description'
import type { EntityTarget } from './shard-args-storage'

/** An entity with the columns of its shard key, in the order of the sharding function. */
interface Keyed {
  readonly entity: EntityDescription
  readonly keyColumns: readonly ColumnDescription[]
}

/**
 * Refuses a relation inside a colocation group that nothing keeps inside a shard. The database checks a foreign key among the
 * rows of one shard. Without it a row may refer to one of another shard key, which no join on its own shard finds, unless the
 * shard key is among what is joined.
 *
 * @param colocated an entity of the same group; undefined for others
 * @throws ShardedError RELATION_UNCHECKED
 */
export function refuseUncheckedRelation(
  { entity, keyColumns }: Keyed,
  { property, inverse, inverseName, isManyToMany, owning }: RelationDescription,
  colocated: (target: EntityTarget) => Keyed | undefined,
): void {
  const other = colocated(inverse)
  if (!other || !owning || owning.isChecked) return
  const joinsKey = keyColumns.every((column, index) =>
    owning.joins.some(
      ({ own, referenced }) => own === column.propertyPath && referenced === other.keyColumns[index]?.propertyPath,
    ),
  )
  if (joinsKey && !isManyToMany) return
  const what = isManyToMany
    ? 'a junction table without foreign keys'
    : 'no foreign key, and does not join by the shard key'
  throw new ShardedError(
    'RELATION_UNCHECKED',
    `${entity.name}.${property} to ${inverseName} has ${what}: a row could refer to one of another shard.`,
    { details: { entity: entity.name, relation: property, inverse: inverseName } },
  )
}
