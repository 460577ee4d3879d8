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

/**
 * The lists of the objects that are written on the shards of `entities`, by their own cascades. Of what is removed TypeORM compares no lists,
 * but takes all links away: they are lists of nothing.
 */
export function apartLists(
  metadata: EntityMetadata,
  entities: readonly ObjectLiteral[],
  { mode, bindingOf }: ListWalk,
): readonly ApartList[] {
  const lists: ApartList[] = []
  const seen = new Set<ObjectLiteral>()
  const visit = (at: EntityMetadata, entity: ObjectLiteral): void => {
    if (seen.has(entity)) return
    seen.add(entity)
    for (const relation of at.relations) if (leadsApart(relation)) lists.push(...listsOf(relation, entity, mode))
    for (const relation of at.relations) {
      const inverse = relation.inverseEntityMetadata
      if (leadsApart(relation) || !cascadesIn(relation, mode) || !bindingOf(inverse.target)) continue
      for (const object of loadedRelation(relation, entity)) visit(inverse, object)
    }
  }
  for (const entity of entities) visit(metadata, entity)
  return lists
}

function listsOf(relation: RelationMetadata, entity: ObjectLiteral, mode: PersistMode): readonly ApartList[] {
  if (relation.isOwning && !relation.isManyToMany) return []
  if (mode === 'remove') return relation.isManyToMany ? [{ entity, relation, objects: [] }] : []
  const value: unknown = relation.getEntityValue(entity)
  if (value === undefined || value instanceof Promise) return []
  return [{ entity, relation, objects: loadedRelation(relation, entity) }]
}

/** An object of a list that the save writes, and no row refers from yet. */
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

/** What the cascades of lists write, each object with the owner that it is to refer to. @param written but for what is written already */
export function cascadedFrom(
  lists: readonly ApartList[],
  written: ReadonlySet<ObjectLiteral>,
): readonly CascadedReference[] {
  return lists.flatMap(({ relation, objects }) => {
    const { isCascadeInsert: mayInsert, isCascadeUpdate: mayUpdate } = cascadesOf(relation)
    const metadata = relation.inverseEntityMetadata
    const left = mayInsert || mayUpdate ? objects.filter((object) => !written.has(object)) : []
    return left.map((entity) => ({ metadata, entity, mayInsert, mayUpdate }))
  })
}

/** Lets objects refer to their new owners while they are written: TypeORM stores the owner's key, and leaves the object as it is. */
export const referToOwners = (added: readonly AddedObject[]): (() => void) =>
  replaceRelations(
    added.flatMap(({ list: { entity: value, relation }, object: entity }) =>
      relation.inverseRelation ? [{ entity, relation: relation.inverseRelation, value }] : [],
    ),
  )
