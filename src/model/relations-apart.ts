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
  const [near, far] = [declared.get(entity.target), declared.get(relation.inverse)]
  if (!near || !far) return false
  if (relation.owning) return leavesKey(relation.owning, near, far)
  const inverse = places.entities
    .get(relation.inverse)
    ?.relations.find(({ property }) => property === relation.inverseProperty)
  return inverse?.owning !== undefined && leavesKey(inverse.owning, far, near)
}

/**
 * True where a row may refer to one of another shard key. A foreign key of other columns than the shard key does not: it is
 * checked among the rows of one shard, where both were placed by the key that they have in common.
 */
function leavesKey(owning: OwningSide, own: DeclaredEntity, other: DeclaredEntity): boolean {
  const { joins, linked, isChecked } = owning
  if (linked) return !isChecked || isKeyAlone(linked.own, own) || isKeyAlone(linked.other, other)
  const isKeyOf = (index: number, name: string): boolean => own.keyColumns[index]?.propertyPath === name
  const joined = other.keyColumns.map(
    (column, index) => [index, joins.filter(({ referenced }) => referenced === column.propertyPath)] as const,
  )
  if (joined.some(([index, pairs]) => pairs.some((pair) => !isKeyOf(index, pair.own)))) return true
  return !isChecked && joined.some(([, pairs]) => pairs.length === 0)
}

/**
 * Whether rows are linked by their shard key alone. Of a junction whose two rows have to lie on one shard, each row could then be linked to the
 * rows of one key only, and a relation of many to many means more.
 */
const isKeyAlone = (linked: readonly string[], { keyColumns }: DeclaredEntity): boolean =>
  linked.every((path) => keyColumns.some(({ propertyPath }) => propertyPath === path))

/** The property paths of an entity's relations that lead apart, see `isApart`. */
export const relationsApart = (entity: EntityDescription, places: RelationPlaces): ReadonlySet<string> =>
  new Set(entity.relations.filter((relation) => isApart(entity, relation, places)).map(({ property }) => property))
