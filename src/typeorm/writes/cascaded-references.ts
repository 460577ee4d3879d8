import type { EntityManager, EntityMetadata, ObjectLiteral, SaveOptions } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { pushTo } from '../../collections/push-to'
import { loadedRelation } from '../binding/entity-shards'
import { primaryKeyText, rowText } from '../binding/primary-key-text'
import { cascadesOf as declaredCascades, leadsApart } from '../binding/relation-apart'
import type { LoadOverride } from '../runners/guarded-broadcaster'
import type { ObjectSnapshots } from '../runners/object-snapshots'
import type { ShardRuntime } from '../runners/shard-runtime'
import { replaceRelations } from './replace-relations'

/**
 * An object of a reference table, or of another shard, that a save of sharded entities reaches by a cascade, and what the cascade may
 * do with it.
 */
export interface CascadedReference {
  readonly metadata: EntityMetadata
  readonly entity: ObjectLiteral
  readonly mayInsert: boolean
  readonly mayUpdate: boolean
}

/** What a relation of an object holds, by the object. */
export interface HeldRelation {
  readonly entity: ObjectLiteral
  readonly relation: RelationMetadata
}

interface CascadedReferences {
  /** Those that have to be saved before what refers to them. */
  readonly references: readonly CascadedReference[]
  /** What the save writes on shards. */
  readonly written: ReadonlySet<ObjectLiteral>
  /**
   * The relations of objects of reference tables, by which TypeORM would go on from a shard to rows that are not there. Those objects
   * are saved before, with what hangs on them.
   */
  readonly beyond: readonly HeldRelation[]
}

/** The objects of reference tables, and of relations that lead apart, to which entities refer by cascades of a save: those next to them. */
export function cascadedReferences(
  metadata: EntityMetadata,
  entities: readonly ObjectLiteral[],
  { references, bindingOf }: Pick<ShardRuntime, 'references' | 'bindingOf'>,
): CascadedReferences {
  const found: Noted = new Map()
  const ofReferences = new Set<ObjectLiteral>()
  const beyond: HeldRelation[] = []
  const seen = new Set<ObjectLiteral>()
  const visit = (at: EntityMetadata, entity: ObjectLiteral): void => {
    if (seen.has(entity)) return
    seen.add(entity)
    for (const { relation, object } of cascadesOf(at, entity)) {
      const inverse = relation.inverseEntityMetadata
      // Lists are saved last.
      if (leadsApart(relation) && isListed(relation)) continue
      if (leadsApart(relation)) note(found, referenceBy(relation, object))
      else if (bindingOf(inverse.target)) visit(inverse, object)
      else if (references.has(inverse.target)) {
        note(found, referenceBy(relation, object))
        if (!ofReferences.has(object)) beyond.push(...relationsOf(inverse, object))
        ofReferences.add(object)
      }
    }
  }
  for (const entity of entities) visit(metadata, entity)
  return { references: [...found.values()].filter(({ entity }) => !seen.has(entity)), beyond, written: seen }
}

export const noReferences: CascadedReferences = { references: [], beyond: [], written: new Set() }

/** But for those by which the object has its primary key. */
const relationsOf = ({ relations }: EntityMetadata, entity: ObjectLiteral): readonly HeldRelation[] =>
  relations
    .filter(({ joinColumns }) => !joinColumns.some(({ isPrimary }) => isPrimary))
    .map((relation) => ({ entity, relation }))

function* cascadesOf({ relations }: EntityMetadata, entity: ObjectLiteral) {
  for (const relation of relations) {
    const { isCascadeInsert, isCascadeUpdate } = declaredCascades(relation)
    if (isCascadeInsert || isCascadeUpdate)
      for (const object of loadedRelation(relation, entity)) yield { relation, object }
  }
}

/** What a relation holds, with what its cascades allow. */
export const referenceBy = (relation: RelationMetadata, entity: ObjectLiteral): CascadedReference => ({
  metadata: relation.inverseEntityMetadata,
  entity,
  mayInsert: declaredCascades(relation).isCascadeInsert,
  mayUpdate: declaredCascades(relation).isCascadeUpdate,
})

/** By the object, or by its row. */
type Noted = Map<ObjectLiteral | string, CascadedReference>

/** What several cascades reach may have what any of them allows. Of several objects of one row TypeORM takes the first. */
function note(found: Noted, one: CascadedReference): void {
  const { metadata, entity } = one
  const key = metadata.hasAllPrimaryKeys(entity) ? rowText(metadata, entity) : entity
  const known = found.get(key)
  found.set(key, {
    ...(known ?? one),
    mayInsert: one.mayInsert || known?.mayInsert === true,
    mayUpdate: one.mayUpdate || known?.mayUpdate === true,
  })
}

interface SaveParts {
  readonly manager: EntityManager
  readonly options: SaveOptions | undefined
  readonly snapshots: ObjectSnapshots
}

/**
 * Saves them where they belong, before the shards whose rows refer to them: there TypeORM then finds nothing to be changed. Each is
 * saved once, whatever the number of shards that refer to it.
 */
export async function saveReferences(references: readonly CascadedReference[], parts: SaveParts): Promise<void> {
  const { manager, options = {}, snapshots } = parts
  const saved = new Map<EntityMetadata, ObjectLiteral[]>()
  const below: Noted = new Map()
  for (const reference of references) {
    const { metadata, entity } = reference
    for (const one of reachedFrom(reference)) snapshots.keep(one.entity, one.metadata)
    const whole = await savedOf(reference, manager)
    if (whole) pushTo(saved, metadata, whole)
    if (whole === entity) continue
    for (const { relation, object } of cascadesOf(metadata, entity))
      if (!whole || !isListed(relation)) note(below, referenceBy(relation, object))
  }
  const { data, listeners } = options
  const own = { ...(data !== undefined && { data }), ...(listeners !== undefined && { listeners }) }
  for (const [{ target }, entities] of saved) await manager.save(target, entities, own)
  if (below.size > 0) await saveReferences([...below.values()], parts)
}

/**
 * What the cascade allows to be saved: of an object that it may only insert, a row that is there stays as it is, and its lists are saved; of one
 * that it may only update, nothing where there is no row.
 */
async function savedOf(reference: CascadedReference, manager: EntityManager): Promise<ObjectLiteral | undefined> {
  const { metadata, entity, mayInsert, mayUpdate } = reference
  if (mayInsert && mayUpdate) return entity
  const isThere = await isStored(reference, manager)
  if (isThere ? mayUpdate : mayInsert) return entity
  return isThere ? listsAlone(metadata, entity) : undefined
}

/** An object of the same row, with nothing but its lists. */
function listsAlone({ primaryColumns, relations }: EntityMetadata, entity: ObjectLiteral): ObjectLiteral {
  const alone: ObjectLiteral = {}
  for (const column of primaryColumns) column.setEntityValue(alone, column.getEntityValue(entity))
  const lists = relations
    .filter(isListed)
    .map((relation) => ({ entity: alone, relation, value: relation.getEntityValue(entity) }))
  replaceRelations(lists)
  return alone
}

/** Whether what the relation holds refers to the object, and not the reverse. */
const isListed = ({ isOwning, isManyToMany }: RelationMetadata): boolean => isManyToMany || !isOwning

/** Whether an object has a row. */
export async function isStored({ metadata, entity }: CascadedReference, manager: EntityManager): Promise<boolean> {
  const where = metadata.hasAllPrimaryKeys(entity) ? metadata.getEntityIdMap(entity) : undefined
  return where !== undefined && (await manager.exists(metadata.target, { where, withDeleted: true }))
}

/** An object, and those that it reaches by cascades. */
function reachedFrom(
  reference: CascadedReference,
  known = new Map<ObjectLiteral, CascadedReference>(),
): readonly CascadedReference[] {
  const { metadata, entity } = reference
  if (known.has(entity)) return []
  known.set(entity, reference)
  for (const { relation, object } of cascadesOf(metadata, entity)) reachedFrom(referenceBy(relation, object), known)
  return [...known.values()]
}

/** Rows of saved objects, to be shown with the objects' own values: what the database made of them (`1` of `1.00`) is no change. */
export const loadedAsSaved = (references: readonly CascadedReference[]): readonly LoadOverride[] =>
  references
    .flatMap((one) => reachedFrom(one))
    .map(({ metadata, entity }) => ({
      table: metadata.tableName,
      primaryKey: primaryKeyText(metadata, entity),
      show: (row) => {
        for (const column of metadata.columns) {
          const value: unknown = column.isVirtual ? undefined : column.getEntityValue(entity)
          if (value !== undefined) column.setEntityValue(row, value)
        }
      },
    }))
