import type { EntityManager, EntityMetadata, ObjectLiteral } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { pushTo } from '../../collections/push-to'
import { canonicalKey } from '../../values/canonical-key'
import { primaryKeyText } from '../binding/primary-key-text'
import { cascadesOf } from '../binding/relation-apart'
import { type KeyPair, keyPairs, relationKey } from '../binding/relation-keys'
import { refuseLeaving } from '../find/check-relations'
import { addKeyCondition } from '../reads/key-condition'
import type { AddedObject, ApartList } from './apart-lists'
import { type BindingOf, cascadesIn, type PersistMode } from './entity-graph'

/** What TypeORM does to a row that comes to a list or leaves it, and that no cascade writes. */
export interface ListedRow {
  readonly kind: 'link' | 'unlink' | 'delete' | 'softDelete'
  readonly metadata: EntityMetadata
  /** By which the row refers to the owner of the list. */
  readonly relation: RelationMetadata
  /** Finds the row. */
  readonly where: ObjectLiteral
  readonly owner: ObjectLiteral
}

/** How lists differ from the rows that refer to their owners. */
export interface ListChanges {
  readonly added: readonly AddedObject[]
  /** In the order of the lists. */
  readonly rows: readonly ListedRow[]
}

interface Comparison {
  readonly manager: EntityManager
  readonly mode: PersistMode
  readonly bindingOf: BindingOf
  /** What the same save writes, whether or not a cascade of the list leads there. */
  readonly written: ReadonlySet<ObjectLiteral>
}

/** A row that refers to the owner of a list. */
interface StoredRow {
  readonly text: string
  readonly where: ObjectLiteral
}

/**
 * Compares lists with the rows that refer to their owners, as TypeORM does: one find for each relation.
 *
 * @throws ShardedError CROSS_SHARD_RELATION where the rows of a relation cannot be told by its keys, and where another object takes the
 *   place of the one of a one-to-one relation: a unique index of one database sees both
 */
export async function compareLists(lists: readonly ApartList[], comparison: Comparison): Promise<ListChanges> {
  const byRelation = new Map<RelationMetadata, ApartList[]>()
  for (const list of lists)
    if (list.relation.persistenceEnabled && !list.relation.isManyToMany) pushTo(byRelation, list.relation, list)
  const storedOf = new Map<ApartList, readonly StoredRow[]>()
  for (const [relation, own] of byRelation) {
    const pairs = keyPairs(relation)
    if (!pairs) refuseLeaving(relation.entityMetadata, relation)
    const stored = await readStored(own, pairs, comparison)
    for (const list of own) {
      const texts = keyOf(list.entity, pairs)
      storedOf.set(list, (texts && stored.get(relationKey(texts, pairs))) ?? [])
    }
  }
  const added: AddedObject[] = []
  const rows: ListedRow[] = []
  for (const [list, stored] of inOrder(lists, storedOf)) {
    const { relation } = list
    const news = newObjects(list, stored)
    const left = leftRows(list, stored)
    if (relation.isOneToOne && left.length > 0 && news.length > 0) refuseLeaving(relation.entityMetadata, relation)
    const isCascaded = cascadesIn(cascadesOf(relation), comparison.mode)
    const isWritten = (object: ObjectLiteral): boolean => isCascaded || comparison.written.has(object)
    if (comparison.mode === 'save') {
      const own = news.filter(isWritten)
      const others = await referringToOthers(list, own, comparison.manager)
      added.push(...own.filter((object) => !others.has(object)).map((object) => ({ list, object })))
    }
    // What a cascade puts away or brings back, TypeORM does not tie.
    rows.push(...news.filter((object) => !isWritten(object)).flatMap((object) => linkOf(list, object)))
    rows.push(...left.flatMap(({ where }) => orphanOf(list, where)))
  }
  return { added, rows }
}

/** As TypeORM comes to lists: those of one-to-one relations last. */
const inOrder = (lists: readonly ApartList[], storedOf: ReadonlyMap<ApartList, readonly StoredRow[]>) =>
  [false, true].flatMap((isOneToOne) =>
    lists.flatMap((list) => {
      const stored = list.relation.isOneToOne === isOneToOne ? storedOf.get(list) : undefined
      return stored ? [[list, stored] as const] : []
    }),
  )

function newObjects({ relation, objects }: ApartList, stored: readonly StoredRow[]): readonly ObjectLiteral[] {
  const inverse = relation.inverseEntityMetadata
  const before = new Set(stored.map(({ text }) => text))
  return objects.filter((object) => !inverse.hasAllPrimaryKeys(object) || !before.has(primaryKeyText(inverse, object)))
}

function leftRows({ relation, objects }: ApartList, stored: readonly StoredRow[]): readonly StoredRow[] {
  const now = new Set(objects.map((object) => primaryKeyText(relation.inverseEntityMetadata, object)))
  return stored.filter(({ text }) => !now.has(text))
}

/** An object without a primary key has no row, and nothing that makes one. */
function linkOf({ relation, entity: owner }: ApartList, object: ObjectLiteral): readonly ListedRow[] {
  const { inverseEntityMetadata: metadata, inverseRelation } = relation
  const where = metadata.getEntityIdMap(object)
  return inverseRelation && where ? [{ kind: 'link', metadata, relation: inverseRelation, where, owner }] : []
}

function orphanOf({ relation, entity: owner }: ApartList, where: ObjectLiteral): readonly ListedRow[] {
  const { inverseEntityMetadata: metadata, inverseRelation } = relation
  if (!inverseRelation) return []
  const row = { metadata, relation: inverseRelation, where, owner }
  if (relation.isOneToOne) return [{ ...row, kind: 'unlink' }]
  switch (inverseRelation.orphanedRowAction) {
    case 'disable':
      return []
    case 'delete':
      return [{ ...row, kind: 'delete' }]
    case 'soft-delete':
      return [{ ...row, kind: 'softDelete' }]
    default: {
      const isNullable = inverseRelation.joinColumns.every((column) => column.isNullable)
      return [{ ...row, kind: isNullable ? 'unlink' : 'delete' }]
    }
  }
}

/**
 * The objects that come to a list and refer to another owner, or to none: where that changes their row, TypeORM stores it. Where it only says
 * what the row has, the list decides.
 */
async function referringToOthers(
  { relation, entity: owner }: ApartList,
  objects: readonly ObjectLiteral[],
  manager: EntityManager,
): Promise<ReadonlySet<ObjectLiteral>> {
  const others = new Set<ObjectLiteral>()
  const pairs = keyPairs(relation) ?? []
  const { inverseRelation, inverseEntityMetadata: metadata } = relation
  const textOf = (object: unknown): string | undefined => {
    const texts = object === null ? undefined : keyOf(Object(object), pairs)
    return texts && relationKey(texts, pairs)
  }
  const own = textOf(owner)
  for (const object of objects) {
    const value: unknown = inverseRelation?.getEntityValue(object)
    if (value === undefined || value instanceof Promise || value === owner) continue
    const text = textOf(value)
    if (text === undefined || text !== own) others.add(object)
  }
  const stored = [...others].filter((object) => metadata.hasAllPrimaryKeys(object))
  if (stored.length === 0) return others
  const byRow = new Map(stored.map((object) => [primaryKeyText(metadata, object), object]))
  const builder = manager.createQueryBuilder<ObjectLiteral>(metadata.target, metadata.name)
  for (const [index, { far }] of pairs.entries())
    builder.addSelect(`${builder.escape(builder.alias)}.${builder.escape(far.databaseName)}::text`, ownerOutput(index))
  builder
    .withDeleted()
    .callListeners(false)
    .andWhereInIds(stored.map((object) => metadata.getEntityIdMap(object)))
  const { raw, entities } = await builder.getRawAndEntities<ObjectLiteral>()
  for (const [index, entity] of entities.entries()) {
    const object = byRow.get(primaryKeyText(metadata, entity))
    const texts = pairs.map((_, place): unknown => raw[index]?.[ownerOutput(place)])
    const before = texts.every((text) => typeof text === 'string') ? relationKey(texts, pairs) : undefined
    if (object && textOf(inverseRelation?.getEntityValue(object)) === before) others.delete(object)
  }
  return others
}

/** The rows that refer to the owners of lists, by the owners' keys; soft-deleted ones too. */
async function readStored(
  lists: readonly ApartList[],
  pairs: readonly KeyPair[],
  { manager, bindingOf }: Comparison,
): Promise<ReadonlyMap<string, readonly StoredRow[]>> {
  const stored = new Map<string, StoredRow[]>()
  const keys = lists.flatMap(({ entity }) => {
    const texts = keyOf(entity, pairs)
    return texts ? [texts] : []
  })
  const metadata = lists[0]?.relation.inverseEntityMetadata
  if (keys.length === 0 || !metadata) return stored
  const { target, name } = metadata
  const builder = manager.createQueryBuilder<ObjectLiteral>(target, name).withDeleted().callListeners(false)
  for (const [index, { far }] of pairs.entries())
    builder.addSelect(`${builder.escape(builder.alias)}.${builder.escape(far.databaseName)}::text`, ownerOutput(index))
  addKeyCondition(builder, { pairs, keys })
  const shardKey = bindingOf(target)?.keyColumns.filter(
    ({ isVirtual, embeddedMetadata }) => !isVirtual && !embeddedMetadata,
  )
  const { raw, entities } = await builder.getRawAndEntities<ObjectLiteral>()
  for (const [index, entity] of entities.entries()) {
    const texts = pairs.map((_, place) => String(raw[index]?.[ownerOutput(place)]))
    // The shard key spares the other shards the statements about the row.
    const place = shardKey?.map((column) => [column.propertyName, column.getEntityValue(entity)] as const) ?? []
    const where = { ...metadata.getEntityIdMap(entity), ...Object.fromEntries(place) }
    pushTo(stored, relationKey(texts, pairs), { text: primaryKeyText(metadata, entity), where })
  }
  return stored
}

const ownerOutput = (index: number): string => `__owner${index}`

/** The key by which rows refer to an object; undefined where it has none yet. */
export function keyOf(
  entity: ObjectLiteral,
  pairs: readonly Pick<KeyPair, 'own' | 'type'>[],
): readonly string[] | undefined {
  const texts: string[] = []
  for (const { own, type } of pairs) {
    const value: unknown = own.getEntityValue(entity)
    if (value === undefined || value === null) return undefined
    const { driver } = own.entityMetadata.dataSource
    const text = canonicalKey(driver.preparePersistentValue(value, own), type)
    if (text === undefined) return undefined
    texts.push(text)
  }
  return texts
}
