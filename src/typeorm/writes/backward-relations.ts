import type { EntityManager, ObjectLiteral } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { ShardedError } from '../../errors/sharded-error'
import { loadedRelation } from '../binding/entity-shards'
import { cascadesOf, leadsApart } from '../binding/relation-apart'
import type { ApartList } from './apart-lists'
import { type CascadedReference, isStored, referenceBy } from './cascaded-references'
import type { ReplacedRelation } from './replace-relations'

/** A row that refers to an object that the save writes after it. */
export interface BackwardOwner {
  /** The object that refers, as a cascade came to it. */
  readonly owner: CascadedReference
  readonly relation: RelationMetadata
  readonly object: ObjectLiteral
}

/** How what is saved first leads back to what the same save writes after it. */
export interface BackwardRelations {
  readonly lists: readonly ApartList[]
  readonly owners: readonly BackwardOwner[]
}

/**
 * Walks what cascades reach from objects that have to be saved first, up to what is written after them.
 *
 * @throws ShardedError CROSS_SHARD_RELATION where a relation inside a colocation group leads back
 */
export function backwardRelations(
  references: readonly CascadedReference[],
  written: ReadonlySet<ObjectLiteral>,
): BackwardRelations {
  const lists: ApartList[] = []
  const owners: BackwardOwner[] = []
  const seen = new Set<ObjectLiteral>()
  const visit = (owner: CascadedReference): void => {
    const { metadata, entity } = owner
    if (seen.has(entity)) return
    seen.add(entity)
    for (const relation of metadata.relations) {
      const objects = loadedRelation(relation, entity)
      const { isCascadeInsert, isCascadeUpdate } = cascadesOf(relation)
      const cascades = isCascadeInsert || isCascadeUpdate
      const back = objects.find((object) => written.has(object))
      if (!back) {
        if (cascades) for (const object of objects) visit(referenceBy(relation, object))
      } else if (!leadsApart(relation)) {
        if (cascades) refuseCircle(owner)
      } else if (relation.isOwning && !relation.isManyToMany) owners.push({ owner, relation, object: back })
      else if (cascades || relation.persistenceEnabled) lists.push({ entity, relation, objects })
    }
  }
  for (const reference of references) visit(reference)
  return { lists, owners }
}

/** How objects that refer back are saved. */
export interface BackwardTurns {
  readonly before: readonly CascadedReference[]
  /** Those whose rows get a key that the write makes. */
  readonly after: readonly CascadedReference[]
  /** What objects show until all is written: the keys of what they refer to, in place of the objects, so that no cascade leads there. */
  readonly shown: () => readonly ReplacedRelation[]
}

/**
 * Decides when objects that refer back are saved. A key that the database is to make is left out at first, and set by an update once it is known,
 * as TypeORM does it; an object that has a row already is saved once, when all keys are known.
 *
 * @throws ShardedError CROSS_SHARD_RELATION where a key has several columns, or one that is to be made cannot be NULL meanwhile
 */
export async function turnsOf(
  references: readonly CascadedReference[],
  owners: readonly BackwardOwner[],
  manager: EntityManager,
): Promise<BackwardTurns> {
  const late = new Set<ObjectLiteral>()
  const after: CascadedReference[] = []
  for (const one of owners.filter((each) => shownBy(each).value === undefined)) {
    const { owner, relation } = one
    const isThere = await isStored(owner, manager)
    if (!isThere && !relation.isNullable) refuseCircle(owner)
    if (isThere) late.add(owner.entity)
    if (!isThere || owner.mayUpdate) after.push({ ...owner, mayUpdate: true })
  }
  const before = references.filter(({ entity }) => !late.has(entity))
  return { before, after, shown: () => owners.map(shownBy) }
}

function shownBy({ owner, relation, object }: BackwardOwner): ReplacedRelation {
  const [column, ...others] = relation.joinColumns
  if (!column?.referencedColumn || others.length > 0) refuseCircle(owner)
  const value: unknown = column.referencedColumn.getEntityValue(object)
  return { entity: owner.entity, relation, value: value ?? undefined }
}

function refuseCircle({ metadata }: CascadedReference): never {
  throw new ShardedError(
    'CROSS_SHARD_RELATION',
    `A save reaches ${metadata.name} over shards by a cascade: the object refers back to one that is saved.`,
    { details: { entity: metadata.name } },
  )
}
