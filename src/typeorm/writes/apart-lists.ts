import type { EntityMetadata, ObjectLiteral } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { loadedRelation } from '../binding/entity-shards'
import { cascadesOf, idsApart, leadsApart } from '../binding/relation-apart'
import type { CascadedReference } from './cascaded-references'
import { type BindingOf, cascadesIn, type PersistMode } from './entity-graph'
import { replaceRelations } from './replace-relations'

/** What a saved object has in a relation whose rows refer to it from elsewhere, or are linked to it by a junction. */
export interface ApartList {
  readonly entity: ObjectLiteral
  readonly relation: RelationMetadata
  readonly objects: readonly ObjectLiteral[]
}

interface ListWalk {
  readonly mode: PersistMode
  readonly bindingOf: BindingOf
}

/** The objects that a call writes on the shards of `entities`, by their own cascades. */
export function* writtenHere(
  metadata: EntityMetadata,
  entities: readonly ObjectLiteral[],
  { mode, bindingOf }: ListWalk,
): Generator<readonly [EntityMetadata, ObjectLiteral]> {
  const seen = new Set<ObjectLiteral>()
  const waiting = entities.map((entity) => [metadata, entity] as const).reverse()
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const [at, entity] = next
    if (seen.has(entity)) continue
    seen.add(entity)
    yield next
    for (const relation of at.relations.toReversed()) {
      const inverse = relation.inverseEntityMetadata
      if (leadsApart(relation) || !cascadesIn(relation, mode) || !bindingOf(inverse.target)) continue
      for (const object of loadedRelation(relation, entity).toReversed()) waiting.push([inverse, object])
    }
  }
}

/**
 * The lists of the objects that are written on the shards of `entities`, by their own cascades. Of what is removed TypeORM compares no lists,
 * but takes all links away: they are lists of nothing.
 */
export function apartLists(
  metadata: EntityMetadata,
  entities: readonly ObjectLiteral[],
  walk: ListWalk,
): readonly ApartList[] {
  const lists: ApartList[] = []
  for (const [at, entity] of writtenHere(metadata, entities, walk)) {
    for (const relation of at.relations) {
      if (!leadsApart(relation) || (relation.isOwning && !relation.isManyToMany)) continue
      if (walk.mode === 'remove') {
        if (relation.isManyToMany) lists.push({ entity, relation, objects: [] })
        continue
      }
      const value: unknown = relation.getEntityValue(entity)
      if (value === undefined || value instanceof Promise) continue
      lists.push({ entity, relation, objects: loadedRelation(relation, entity) })
    }
  }
  return lists
}

/** An object of a list that a cascade is to write, and no row refers from yet. */
export interface AddedObject {
  readonly list: ApartList
  readonly object: ObjectLiteral
}

/** Takes the lists away from their owners, so that TypeORM, which would look for the rows on the owner's shard, leaves them alone. */
export const detachLists = (lists: readonly Pick<ApartList, 'entity' | 'relation'>[]): (() => void) =>
  replaceRelations(lists.map(({ entity, relation }) => ({ entity, relation, value: undefined })))

/** Gives owners the ids of their lists, as TypeORM does where a property is declared as `@RelationId`: it saw none of these. */
export function setRelationIds(lists: readonly ApartList[]): void {
  for (const { entity, relation } of lists)
    for (const ids of idsApart(relation.entityMetadata)) if (ids.relation === relation) ids.setValue(entity)
}

/** What the cascades of lists write, each object with the owner that it is to refer to. */
export function cascadedFrom(lists: readonly ApartList[]): readonly CascadedReference[] {
  return lists.flatMap(({ relation, objects }) => {
    const { isCascadeInsert: mayInsert, isCascadeUpdate: mayUpdate } = cascadesOf(relation)
    const metadata = relation.inverseEntityMetadata
    return mayInsert || mayUpdate ? objects.map((entity) => ({ metadata, entity, mayInsert, mayUpdate })) : []
  })
}

/** Lets objects refer to their new owners while they are written: TypeORM stores the owner's key, and leaves the object as it is. */
export const referToOwners = (added: readonly AddedObject[]): (() => void) =>
  replaceRelations(
    added.flatMap(({ list: { entity: value, relation }, object: entity }) =>
      relation.inverseRelation ? [{ entity, relation: relation.inverseRelation, value }] : [],
    ),
  )
