import type { EntityMetadata } from 'typeorm'
import type { KeyPrint, TableKeys } from '../../catalog/group-print'
import type { Refusals } from '../../errors/refusals'
import { ShardedError } from '../../errors/sharded-error'
import { type ShardedEntity, type ShardedModel, shardedEntity } from '../../model/sharded-entity'
import { physicalName } from '../../planning/bind-shard-names'
import type { Shard } from '../../topology/shard'
import { maxNameBytes } from '../../values/max-name-bytes'
import type { GroupOf } from './colocation-group'

interface PlacedTables {
  readonly shards: readonly Shard[]
  readonly metadatas: readonly EntityMetadata[]
}

/**
 * Sees that no two tables of a node have one name, and that none is cut. In the layout `table` the shards' tables stand
 * beside each other and beside the unsharded ones.
 *
 * @param refusals takes NAME_INVALID
 */
export function checkPhysicalNames(
  groups: readonly PlacedTables[],
  unsharded: readonly EntityMetadata[],
  refusals: Refusals,
): void {
  const taken = new Map<string, string>()
  const take = (node: string, { schema, name }: { schema: string; name: string }, owner: string) => {
    if (Buffer.byteLength(name) > maxNameBytes)
      throw invalid(`The table name "${name}" of ${owner} is longer than ${maxNameBytes} bytes.`)
    const place = `${node}/${schema}.${name}`
    const other = taken.get(place)
    if (other !== undefined && other !== owner)
      throw invalid(`The table "${schema}"."${name}" would belong to ${other} and to ${owner}.`)
    taken.set(place, owner)
  }
  const isTable = groups.some(({ shards }) => shards.some((shard) => shard.layout === 'table'))
  for (const { shards, metadatas } of groups) {
    for (const shard of shards) {
      // A schema of its own holds only its own tables, and its name is checked with the shard map.
      if (shard.layout === 'schema') continue
      // Children of single-table inheritance stand in their parent's table.
      for (const metadata of metadatas) {
        if (metadata.tableType === 'entity-child') continue
        const place = physicalName(metadata.tableName, shard)
        refusals.attempt(() => take(shard.node, place, `${metadata.name} on shard ${shard.name}`))
      }
    }
  }
  // In the layout `schema` alone no table of a shard stands beside an unsharded one.
  const nodes = new Set(isTable ? groups.flatMap(({ shards }) => shards.map((shard) => shard.node)) : [])
  for (const metadata of unsharded) {
    if (metadata.tableType === 'entity-child') continue
    const place = { schema: metadata.schema ?? 'public', name: metadata.tableName }
    for (const node of nodes) refusals.attempt(() => take(node, place, metadata.name))
  }
}

const invalid = (text: string): ShardedError => new ShardedError('NAME_INVALID', text)

/**
 * Sees that each table name belongs to one group, and that entities which share a table place its rows by the same columns.
 * A statement names a table and not its group.
 *
 * @param parts `groupOf` gives the colocation group of a table; undefined for unsharded ones; `refusals` takes NAME_INVALID and
 *   COLOCATION_INVALID
 */
export function checkSharedTables(
  metadatas: readonly EntityMetadata[],
  {
    model,
    groupOf,
    refusals,
  }: { readonly model: ShardedModel; readonly groupOf: GroupOf; readonly refusals: Refusals },
): void {
  const owners = new Map<string, EntityMetadata>()
  const keyText = (metadata: EntityMetadata): string | undefined => {
    const entity = shardedEntity(model, metadata.target)
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
      {
        details: { table, entities: [owner.name, other.name], keys },
        fix: 'Mark the same columns as the shard key of both, or give one of them another table.',
      },
    )
  }
}

/** The shard keys of each group's tables, as the databases name their columns. */
export function tableKeys(model: ShardedModel, metadatas: readonly EntityMetadata[]): ReadonlyMap<string, TableKeys> {
  const groups = new Map<string, Record<string, readonly KeyPrint[]>>()
  for (const metadata of metadatas) {
    const entity = shardedEntity(model, metadata.target)
    // Children of single-table inheritance stand in their parent's table.
    if (!entity || metadata.tableType === 'entity-child') continue
    const tables = groups.get(entity.group) ?? {}
    groups.set(entity.group, tables)
    tables[metadata.tableName] = keyOf(metadata, entity)
  }
  return groups
}

/** The shard key of an entity's table. */
function keyOf(metadata: EntityMetadata, { keyColumns }: Pick<ShardedEntity, 'keyColumns'>): readonly KeyPrint[] {
  return Object.freeze(
    keyColumns.map(({ propertyPath, type: _, ...modifiers }) =>
      Object.freeze({
        name: metadata.findColumnWithPropertyPath(propertyPath)?.databaseName ?? propertyPath,
        ...modifiers,
      }),
    ),
  )
}
