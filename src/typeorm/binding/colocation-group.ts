import type { EntityMetadata } from 'typeorm'
import type { ForeignKeyMetadata } from 'typeorm/metadata/ForeignKeyMetadata'
import { type ShardedModel, shardedEntity } from '../../model/sharded-entity'

/** The entity with whose rows those of a junction or closure table lie; undefined for tables of entities. */
export const ownerOfJunction = ({ isJunction, parentClosureEntityMetadata, ownerColumns }: EntityMetadata) =>
  isJunction ? (parentClosureEntityMetadata ?? ownerColumns[0]?.referencedColumn?.entityMetadata) : undefined

/**
 * The colocation group of a table: its entity's, or for junction and closure tables that of the entity that owns them;
 * undefined where that is not sharded.
 */
export function colocationGroup(
  metadata: EntityMetadata,
  ofEntity: (target: unknown) => string | undefined,
): string | undefined {
  const own = ofEntity(metadata.target)
  const owner = ownerOfJunction(metadata)
  return own === undefined && owner ? ofEntity(owner.target) : own
}

/** The colocation group of any table of a model. */
export type GroupOf = (metadata: EntityMetadata) => string | undefined

export const groupsOf =
  (model: ShardedModel): GroupOf =>
  (metadata) =>
    colocationGroup(metadata, (target) => shardedEntity(model, target)?.group)

/** What tells beside which rows a row lies. */
export type PlacingKey = Pick<ForeignKeyMetadata, 'columnNames' | 'referencedColumnNames' | 'referencedEntityMetadata'>

/** The foreign keys of a table; a junction lies with the rows of its owner, whether or not a foreign key is made. */
export function placingKeys(metadata: EntityMetadata): readonly PlacingKey[] {
  const { foreignKeys, ownerColumns } = metadata
  const owner = ownerOfJunction(metadata)
  if (foreignKeys.length > 0 || !owner) return foreignKeys
  const columnNames = ownerColumns.map(({ databaseName }) => databaseName)
  const referencedColumnNames = ownerColumns.map(({ referencedColumn }) => referencedColumn?.databaseName ?? '')
  return [{ columnNames, referencedColumnNames, referencedEntityMetadata: owner }]
}
