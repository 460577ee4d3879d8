import type { EntityManager, EntityMetadata, EntityTarget, FindManyOptions, ObjectLiteral } from 'typeorm'
import type { Explanation } from '../../planning/explain-plan'
import { isPlain } from './find-predicate'
import { conditionReadsTables, loadsComputedColumn } from './own-sql'

type Target = EntityTarget<ObjectLiteral>
type Options = FindManyOptions<ObjectLiteral>

/**
 * TypeORM's own reads over all shards as one database: the SQL that they make is routed and merged statement by statement.
 * They do what the planned reads do not, for a statement or two more.
 */
export interface WholeReads {
  /** The manager whose statements go over all shards. */
  readonly manager: EntityManager
  /** The same manager for entities of any group: a hint that it was given is left out, and limits hold. */
  readonly related: () => EntityManager
  readonly find: (target: Target, options: Options) => Promise<ObjectLiteral[]>
  readonly findAndCount: (target: Target, options: Options) => Promise<[ObjectLiteral[], number]>
  readonly findOne: (target: Target, options: Options) => Promise<ObjectLiteral | null>
  readonly count: (target: Target, options: Options) => Promise<number>
  readonly explain: (target: Target, options: Options) => Promise<Explanation>
  readonly exists: (target: Target, options: Options) => Promise<boolean>
  readonly aggregate: (
    method: 'sum' | 'average' | 'minimum' | 'maximum',
    target: Target,
    of: { readonly property: string; readonly where: Options['where'] },
  ) => Promise<number | null>
}

/** True for reads that TypeORM does over all shards as over one database. @param shards how many the read reaches */
export const isWholeRead = (metadata: EntityMetadata, options: Options, shards: number): boolean =>
  needsParsing(metadata, options) || (shards > 1 && needsWhole(metadata, options))

/** True for reads that even on one shard need their SQL read: it names tables as users do, or is kept in a cache. */
function needsParsing(metadata: EntityMetadata, options: Options): boolean {
  const { cache, where } = options
  const { cache: option } = metadata.dataSource.options
  const isAlways = typeof option === 'object' && option.alwaysEnabled === true
  if (option && cache !== false && (isAlways || cache !== undefined)) return true
  return loadsComputedColumn(metadata, options) || conditionReadsTables(where)
}

/** True for reads that are left to TypeORM where they reach several shards. */
function needsWhole(metadata: EntityMetadata, { lock, loadRelationIds, order }: Options): boolean {
  return lock !== undefined || Boolean(loadRelationIds) || ordersByMany(metadata, order)
}

/** Order by a to-many relation is an order of pairs, not of entities. */
function ordersByMany(metadata: EntityMetadata, order: unknown, prefix = ''): boolean {
  if (!isPlain(order)) return false
  return Object.entries(order).some(([name, value]) => {
    const path = prefix + name
    const relation = metadata.findRelationWithPropertyPath(path)
    if (relation)
      return relation.isOneToMany || relation.isManyToMany || ordersByMany(relation.inverseEntityMetadata, value)
    return metadata.findEmbeddedWithPropertyPath(path) ? ordersByMany(metadata, value, `${path}.`) : false
  })
}
