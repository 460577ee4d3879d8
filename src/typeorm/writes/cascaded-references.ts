import type { EntityManager, EntityMetadata, ObjectLiteral, SaveOptions } from 'typeorm'
import { pushTo } from '../../collections/push-to'
import { loadedRelation } from '../binding/entity-shards'
import { primaryKeyText } from '../binding/primary-key-text'
import type { LoadOverride } from '../runners/guarded-broadcaster'
import type { ObjectSnapshots } from '../runners/object-snapshots'
import type { ShardRuntime } from '../runners/shard-runtime'

/** An object of a reference table that a save of sharded entities reaches by a cascade, and what the cascade may do with it. */
export interface CascadedReference {
  readonly metadata: EntityMetadata
  readonly entity: ObjectLiteral
  readonly mayInsert: boolean
  readonly mayUpdate: boolean
}

/** The objects of reference tables that hang on entities by cascades of a save, those next to sharded ones. */
export function cascadedReferences(
  metadata: EntityMetadata,
  entities: readonly ObjectLiteral[],
  { references, bindingOf }: Pick<ShardRuntime, 'references' | 'bindingOf'>,
): readonly CascadedReference[] {
  if (references.all.length === 0) return []
  const found = new Map<ObjectLiteral, CascadedReference>()
  const seen = new Set<ObjectLiteral>()
  const visit = (at: EntityMetadata, entity: ObjectLiteral): void => {
    if (seen.has(entity)) return
    seen.add(entity)
    for (const { relation, object } of cascadesOf(at, entity)) {
      const inverse = relation.inverseEntityMetadata
      if (bindingOf(inverse.target)) visit(inverse, object)
      else if (references.has(inverse.target)) note(found, referenceBy(relation, object))
    }
  }
  for (const entity of entities) visit(metadata, entity)
  return [...found.values()]
}

type Relation = EntityMetadata['relations'][number]

function* cascadesOf({ relations }: EntityMetadata, entity: ObjectLiteral) {
  for (const relation of relations)
    if (relation.isCascadeInsert || relation.isCascadeUpdate)
      for (const object of loadedRelation(relation, entity)) yield { relation, object }
}

const referenceBy = (relation: Relation, entity: ObjectLiteral): CascadedReference => ({
  metadata: relation.inverseEntityMetadata,
  entity,
  mayInsert: relation.isCascadeInsert,
  mayUpdate: relation.isCascadeUpdate,
})

/** An object that several cascades reach may have what any of them allows. */
function note(found: Map<ObjectLiteral, CascadedReference>, one: CascadedReference): void {
  const known = found.get(one.entity)
  found.set(one.entity, {
    ...one,
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
 * Saves them on the home node, before the shards whose rows refer to them: there TypeORM then finds nothing to be changed. Each is
 * saved once, whatever the number of shards that refer to it.
 */
export async function saveReferences(references: readonly CascadedReference[], parts: SaveParts): Promise<void> {
  const { manager, options = {}, snapshots } = parts
  const saved = new Map<EntityMetadata, ObjectLiteral[]>()
  const below = new Map<ObjectLiteral, CascadedReference>()
  for (const reference of references) {
    const { metadata, entity } = reference
    for (const one of reachedFrom(reference)) snapshots.keep(one.entity, one.metadata)
    if (await isSaved(reference, manager)) pushTo(saved, metadata, entity)
    else for (const { relation, object } of cascadesOf(metadata, entity)) note(below, referenceBy(relation, object))
  }
  const { data, listeners } = options
  const own = { ...(data !== undefined && { data }), ...(listeners !== undefined && { listeners }) }
  for (const [{ target }, entities] of saved) await manager.save(target, entities, own)
  if (below.size > 0) await saveReferences([...below.values()], parts)
}

/** What the cascade allows: of an object that it may only insert a row that is there stays as it is, and the reverse. */
async function isSaved(
  { metadata, entity, mayInsert, mayUpdate }: CascadedReference,
  manager: EntityManager,
): Promise<boolean> {
  if (mayInsert && mayUpdate) return true
  const where = metadata.hasAllPrimaryKeys(entity) ? metadata.getEntityIdMap(entity) : undefined
  const isThere = where !== undefined && (await manager.exists(metadata.target, { where, withDeleted: true }))
  return isThere ? mayUpdate : mayInsert
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
