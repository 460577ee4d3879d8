import type { EntityManager, EntityMetadata, ObjectLiteral } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { pushTo } from '../../collections/push-to'
import { canonicalKey, canonicalTuple } from '../../values/canonical-key'
import { loadedRelation } from '../binding/entity-shards'
import { primaryKeyText } from '../binding/primary-key-text'
import { cascadesOf, leadsApart } from '../binding/relation-apart'
import { type KeyPair, keyPairs, relationKey } from '../binding/relation-keys'
import { refuseLeaving } from '../find/check-relations'
import type { CascadedReference } from './cascaded-references'

/** What a saved object has in a relation whose rows refer to it from elsewhere. */
export interface ApartList {
  readonly entity: ObjectLiteral
  readonly relation: RelationMetadata
  readonly objects: readonly ObjectLiteral[]
}

/** The lists of the objects that a save writes on the shards of `entities`, by their own cascades. */
export function apartLists(metadata: EntityMetadata, entities: readonly ObjectLiteral[]): readonly ApartList[] {
  const lists: ApartList[] = []
  const seen = new Set<ObjectLiteral>()
  const visit = (at: EntityMetadata, entity: ObjectLiteral): void => {
    if (seen.has(entity)) return
    seen.add(entity)
    for (const relation of at.relations) {
      const value: unknown = relation.getEntityValue(entity)
      if (value === undefined || value instanceof Promise) continue
      const objects = loadedRelation(relation, entity)
      if (leadsApart(relation)) {
        if (!relation.isOwning && !relation.isManyToMany) lists.push({ entity, relation, objects })
      } else if (relation.isCascadeInsert || relation.isCascadeUpdate)
        for (const object of objects) visit(relation.inverseEntityMetadata, object)
    }
  }
  for (const entity of entities) visit(metadata, entity)
  return lists
}

/** Objects of lists that no row refers from yet, and that a cascade is to write. */
export interface AddedObject {
  readonly list: ApartList
  readonly object: ObjectLiteral
}

/**
 * Compares lists with the rows that refer to their owners, as TypeORM does: one find for each relation.
 *
 * @returns the objects that are to refer to an owner, and do not
 * @throws ShardedError CROSS_SHARD_RELATION where a row would have to leave an owner, or to come to it without a cascade
 */
export async function compareLists(
  lists: readonly ApartList[],
  manager: EntityManager,
): Promise<readonly AddedObject[]> {
  const byRelation = new Map<RelationMetadata, ApartList[]>()
  for (const list of lists) pushTo(byRelation, list.relation, list)
  const added: AddedObject[] = []
  for (const [relation, own] of byRelation) {
    const pairs = keyPairs(relation)
    if (!pairs) refuseLeaving(relation.entityMetadata, relation)
    const stored = await storedOf(own, { relation, pairs, manager })
    const inverse = relation.inverseEntityMetadata
    for (const list of own) {
      const key = keyOf(list.entity, pairs)
      const before = new Set(key === undefined ? [] : stored.get(key))
      const now = new Map(list.objects.map((object) => [primaryKeyText(inverse, object), object]))
      const isLeft = [...before].some((text) => !now.has(text))
      const { isCascadeInsert, isCascadeUpdate } = cascadesOf(relation)
      const news = list.objects.filter(
        (object) => !inverse.hasAllPrimaryKeys(object) || !before.has(primaryKeyText(inverse, object)),
      )
      if (isLeft || (news.length > 0 && !(isCascadeInsert && isCascadeUpdate)))
        refuseLeaving(relation.entityMetadata, relation)
      added.push(...news.map((object) => ({ list, object })))
    }
  }
  return added
}

interface StoredLists {
  readonly relation: RelationMetadata
  readonly pairs: readonly KeyPair[]
  readonly manager: EntityManager
}

/** The primary keys of the rows that refer to the owners of lists, by the owners' keys. */
async function storedOf(
  lists: readonly ApartList[],
  { relation, pairs, manager }: StoredLists,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const stored = new Map<string, string[]>()
  const [pair, another] = pairs
  if (!pair || another) refuseLeaving(relation.entityMetadata, relation)
  const keys = lists.flatMap(({ entity }) => keyOf(entity, pairs) ?? [])
  if (keys.length === 0) return stored
  const { target, name } = relation.inverseEntityMetadata
  const builder = manager.createQueryBuilder<ObjectLiteral>(target, name).withDeleted().callListeners(false)
  const column = `${builder.escape(builder.alias)}.${builder.escape(pair.far.databaseName)}`
  builder.addSelect(`${column}::text`, '__owner').where(`${column} = ANY(:owners)`, { owners: keys })
  const { raw, entities } = await builder.getRawAndEntities<ObjectLiteral>()
  for (const [index, entity] of entities.entries()) {
    const key: unknown = raw[index]?.['__owner']
    if (typeof key === 'string')
      pushTo(stored, relationKey([key], pairs), primaryKeyText(relation.inverseEntityMetadata, entity))
  }
  return stored
}

/** The key by which rows refer to an object; undefined where it has none yet. */
function keyOf(entity: ObjectLiteral, pairs: readonly KeyPair[]): string | undefined {
  const texts: string[] = []
  for (const { own, type } of pairs) {
    const value: unknown = own.getEntityValue(entity)
    if (value === undefined || value === null) return undefined
    const { driver } = own.entityMetadata.dataSource
    const text = canonicalKey(driver.preparePersistentValue(value, own), type)
    if (text === undefined) return undefined
    texts.push(text)
  }
  return canonicalTuple(texts)
}

/** Takes the lists away from their owners, so that TypeORM, which would look for the rows on the owner's shard, leaves them alone. */
export const detachLists = (lists: readonly ApartList[]): (() => void) =>
  replaceAll(lists.map(({ entity, relation }) => ({ entity, relation, value: undefined })))

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
  replaceAll(
    added.flatMap(({ list: { entity: value, relation }, object: entity }) =>
      relation.inverseRelation ? [{ entity, relation: relation.inverseRelation, value }] : [],
    ),
  )

interface Replaced {
  readonly entity: ObjectLiteral
  readonly relation: RelationMetadata
  /** undefined: it is taken away. */
  readonly value: ObjectLiteral | undefined
}

/** Sets what objects have in relations; TypeORM's own setter would merge it into what is there. @returns undoes it */
function replaceAll(replaced: readonly Replaced[]): () => void {
  const undo = replaced.map(({ entity, relation: { embeddedMetadata, isLazy, propertyName }, value }) => {
    const path = embeddedMetadata?.parentPropertyNames ?? []
    const holder = path.reduce<ObjectLiteral>((object, name) => Object(object[name]), entity)
    const names = isLazy ? [`__${propertyName}__`, `__has_${propertyName}__`] : [propertyName]
    const before = Object.fromEntries(
      names.filter((name) => Object.hasOwn(holder, name)).map((name) => [name, holder[name]]),
    )
    for (const name of names) delete holder[name]
    if (value !== undefined && names[0] !== undefined) holder[names[0]] = value
    return () => {
      for (const name of names) delete holder[name]
      Object.assign(holder, before)
    }
  })
  return () => {
    for (const one of undo) one()
  }
}
