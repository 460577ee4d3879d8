import type { DeclaredEntity } from './declared-entities'
import type { EntityDescription, OwningSide, RelationDescription } from './entity-description'
import type { EntityTarget } from './sharded-options'

/** What tells where the two sides of a relation are. */
export interface RelationPlaces {
  readonly groupOf: ReadonlyMap<EntityTarget, string>
  readonly declared: ReadonlyMap<EntityTarget, DeclaredEntity>
  readonly entities: ReadonlyMap<EntityTarget, EntityDescription>
  /** True for an entity of which every node has a full copy. */
  readonly isReference: (target: EntityTarget) => boolean
}

/**
 * True for a relation whose two rows may lie in different places: the entities are of different groups, or only one is sharded,
 * or nothing keeps the rows of one group together. No foreign key is made for such a relation, and no join follows it: what it
 * leads to is loaded by keys.
 *
 * A reference table is where any row is that refers to it, and the rows that refer to it are where its copies are not.
 */
export function isApart(entity: EntityDescription, relation: RelationDescription, places: RelationPlaces): boolean {
  const { groupOf, declared, isReference } = places
  if (isReference(entity.target)) return !isReference(relation.inverse)
  if (isReference(relation.inverse)) return relation.owning === undefined
  if (groupOf.get(entity.target) !== groupOf.get(relation.inverse)) return true
  const sides = [declared.get(entity.target), declared.get(relation.inverse)] as const
  if (!sides[0] || !sides[1] || relation.isManyToMany) return false
  if (relation.owning) return leavesKey(relation.owning, sides[0], sides[1])
  const inverse = places.entities
    .get(relation.inverse)
    ?.relations.find(({ property }) => property === relation.inverseProperty)
  return inverse?.owning !== undefined && leavesKey(inverse.owning, sides[1], sides[0])
}

/**
 * True where a row may refer to one of another shard key. A foreign key of other columns than the shard key does not: it is
 * checked among the rows of one shard, where both were placed by the key that they have in common.
 */
function leavesKey({ joins, isChecked }: OwningSide, own: DeclaredEntity, other: DeclaredEntity): boolean {
  const isKeyOf = (index: number, name: string): boolean => own.keyColumns[index]?.propertyPath === name
  const joined = other.keyColumns.map(
    (column, index) => [index, joins.filter(({ referenced }) => referenced === column.propertyPath)] as const,
  )
  if (joined.some(([index, pairs]) => pairs.some((pair) => !isKeyOf(index, pair.own)))) return true
  return !isChecked && joined.some(([, pairs]) => pairs.length === 0)
}

/** The property paths of an entity's relations that lead apart, see `isApart`. */
export const relationsApart = (entity: EntityDescription, places: RelationPlaces): ReadonlySet<string> =>
  new Set(entity.relations.filter((relation) => isApart(entity, relation, places)).map(({ property }) => property))
