import type { EntityMetadata } from 'typeorm'
import type { ForeignKeyMetadata } from 'typeorm/metadata/ForeignKeyMetadata'
import type { RelationIdMetadata } from 'typeorm/metadata/RelationIdMetadata'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import type { ShardedModel } from '../../model/sharded-entity'

/** What a relation's declaration says of cascades. */
export type Cascades = Pick<
  RelationMetadata,
  'isCascadeInsert' | 'isCascadeUpdate' | 'isCascadeRemove' | 'isCascadeSoftRemove' | 'isCascadeRecover'
>

/** The relations that lead apart. */
const apart = new WeakSet<RelationMetadata>()

/** The foreign keys of such relations, of which none is made. */
const foreignKeys = new WeakMap<RelationMetadata, ForeignKeyMetadata>()

/** The foreign key that one database would have for a relation that leads apart. */
export const absentForeignKey = (relation: RelationMetadata): ForeignKeyMetadata | undefined =>
  foreignKeys.get(relation)

/** The properties of `@RelationId` whose ids TypeORM would read from tables elsewhere. */
const apartIds = new WeakMap<EntityMetadata, readonly RelationIdMetadata[]>()

/** Those of an entity: TypeORM, which reads and writes entities on one shard, is not told of them. */
export const idsApart = (metadata: EntityMetadata): readonly RelationIdMetadata[] => apartIds.get(metadata) ?? []

/** TypeORM reads the ids of a relation from the tables that it leads to, but for those that the row itself has. */
export const readsIdsApart = (relation: RelationMetadata): boolean =>
  leadsApart(relation) && (relation.isManyToMany || !relation.isOwning)

/** Of relations, the cascades that TypeORM is not told of. */
const declared = new WeakMap<RelationMetadata, Cascades>()

/**
 * True for a relation whose other row may lie elsewhere than the row that has it, as the model has decided it
 * (`model/relations-apart.ts`).
 */
export const leadsApart = (relation: RelationMetadata): boolean => apart.has(relation)

/** The cascades of a relation, as it is declared: TypeORM, which works on one shard, is told of none to rows of other databases. */
export const cascadesOf = (relation: RelationMetadata): Cascades => declared.get(relation) ?? relation

/** What can be reached from an entity by its relations. */
interface Reach {
  /** Some relation that leads apart. */
  readonly isApart: boolean
  /** Some entity with ids of relations that TypeORM would read elsewhere. */
  readonly hasIds: boolean
}

const reaches = new WeakMap<EntityMetadata, Reach>()

function reachOf(metadata: EntityMetadata): Reach {
  const known = reaches.get(metadata)
  if (known) return known
  const reached = new Set([metadata])
  for (const { relations } of reached) for (const one of relations) reached.add(one.inverseEntityMetadata)
  const all = [...reached]
  const reach = {
    isApart: all.some(({ relations }) => relations.some(leadsApart)),
    hasIds: all.some((one) => idsApart(one).length > 0),
  }
  reaches.set(metadata, reach)
  return reach
}

/** True where some relation leads apart that can be reached from an entity by its relations: of others no find needs to be looked at. */
export const reachesApart = (metadata: EntityMetadata): boolean => reachOf(metadata).isApart

/** True where an entity, or one that can be reached from it, has ids of relations that TypeORM would read from tables elsewhere. */
export const reachesIdsApart = (metadata: EntityMetadata): boolean => reachOf(metadata).hasIds

const noRemoval = { isCascadeRemove: false, isCascadeSoftRemove: false, isCascadeRecover: false }

const noCascades: Cascades = { ...noRemoval, isCascadeInsert: false, isCascadeUpdate: false }

/** Takes cascades away from what TypeORM is told. A child of single-table inheritance shares relations with its parent. */
function withhold(relation: RelationMetadata, none: Partial<Cascades>): void {
  if (declared.has(relation)) return
  const { isCascadeInsert, isCascadeUpdate, isCascadeRemove, isCascadeSoftRemove, isCascadeRecover } = relation
  declared.set(relation, { isCascadeInsert, isCascadeUpdate, isCascadeRemove, isCascadeSoftRemove, isCascadeRecover })
  Object.assign(relation, none)
}

/**
 * Marks the relations that lead apart, and takes away their foreign keys: no database has the rows of both tables.
 *
 * @param metadatas all of a data source; those of its shards are the same objects
 */
export function markRelationsApart(metadatas: readonly EntityMetadata[], { entities }: ShardedModel): void {
  const marked = metadatas.flatMap(({ target, relations }) => {
    const paths = entities.get(target)?.relationsApart
    return relations.filter(({ propertyPath }) => paths?.has(propertyPath))
  })
  for (const relation of marked) apart.add(relation)
  for (const metadata of metadatas) {
    const { target, relations } = metadata
    if (entities.get(target)?.kind !== 'sharded') continue
    // The rows of their junctions are written apart.
    metadata.manyToManyRelations = metadata.manyToManyRelations.filter((relation) => !apart.has(relation))
    const { relationIds } = metadata
    apartIds.set(
      metadata,
      relationIds.filter(({ relation }) => readsIdsApart(relation)),
    )
    metadata.relationIds = relationIds.filter(({ relation }) => !readsIdsApart(relation))
    for (const relation of relations) {
      if (apart.has(relation)) withhold(relation, noCascades)
      // What a save does to reference tables is done before, so that TypeORM finds nothing to do.
      else if (entities.get(relation.inverseEntityMetadata.target)?.kind === 'reference') withhold(relation, noRemoval)
    }
  }
  const dropped = new Set<ForeignKeyMetadata>()
  for (const relation of marked) {
    const key = keyToElsewhere(relation)
    if (!key) continue
    dropped.add(key)
    foreignKeys.set(relation, key)
  }
  // A child of single-table inheritance and its parent both list the keys of their table.
  for (const owner of [...metadatas, ...marked])
    owner.foreignKeys = owner.foreignKeys.filter((key) => !dropped.has(key))
}

/** Of a junction, the rows of its owner are where it is: its second foreign key leads elsewhere. */
const keyToElsewhere = ({ foreignKeys: keys, isManyToMany }: RelationMetadata): ForeignKeyMetadata | undefined =>
  keys[isManyToMany ? 1 : 0]
