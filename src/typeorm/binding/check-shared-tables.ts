import type { EntityMetadata } from 'typeorm'
import { Refusals } from '../../errors/refusals'
import { ShardedError } from '../../errors/sharded-error'
import type { ShardedModel } from '../../model/sharded-entity'
import { keyOf } from './table-keys'

/**
 * Sees that each table name belongs to one group, and that entities which share a table place its rows by the same columns.
 * A statement names a table and not its group.
 *
 * @param groupOf the colocation group of a table; undefined for unsharded ones
 * @throws ShardedError NAME_INVALID, COLOCATION_INVALID, or DECLARATIONS_INVALID if there are several
 */
export function checkSharedTables(
  metadatas: readonly EntityMetadata[],
  { entities }: ShardedModel,
  groupOf: (metadata: EntityMetadata) => string | undefined,
): void {
  const refusals = new Refusals()
  const owners = new Map<string, EntityMetadata>()
  const keyText = (metadata: EntityMetadata): string | undefined => {
    const entity = entities.get(metadata.target)
    return (
      entity &&
      keyOf(metadata, entity)
        .map(({ name }) => name)
        .join(', ')
    )
  }
  for (const metadata of metadatas) {
    // Children of single-table inheritance stand in their parent's table.
    if (groupOf(metadata) === undefined || metadata.tableType === 'entity-child') continue
    const owner = owners.get(metadata.tableName)
    if (owner) refusals.attempt(() => check(owner, metadata))
    else owners.set(metadata.tableName, metadata)
  }
  refusals.throwAny()

  function check(owner: EntityMetadata, other: EntityMetadata): void {
    const table = owner.tableName
    const groups = [groupOf(owner), groupOf(other)]
    if (groups[0] !== groups[1])
      throw new ShardedError(
        'NAME_INVALID',
        `The table "${table}" would belong to ${owner.name} of group "${groups[0]}" and to ${other.name} of group "${groups[1]}", and statements that name it could mean either: give one of them another name, as in @Entity('another').`,
        { details: { table, entities: [owner.name, other.name], groups } },
      )
    const keys = [keyText(owner), keyText(other)]
    // A junction table has no shard key of its own: it lies with what it joins, and an entity may share it.
    if (keys[0] === keys[1] || keys.includes(undefined)) return
    throw new ShardedError(
      'COLOCATION_INVALID',
      `${owner.name} and ${other.name} share the table "${table}", and place its rows by other columns: (${keys[0]}) and (${keys[1]}).`,
      { details: { table, entities: [owner.name, other.name], keys } },
    )
  }
}
