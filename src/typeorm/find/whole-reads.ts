import { type EntityMetadata, type EntityTarget, type FindManyOptions, FindOperator, type ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import type { Explanation } from '../../planning/explanation'
import { isPlain } from './find-predicate'

type Target = EntityTarget<ObjectLiteral>
type Options = FindManyOptions<ObjectLiteral>

/**
 * TypeORM's own reads over all shards as one database: the SQL that they make is routed and merged statement by statement.
 * They do what the planned reads do not, for a statement or two more.
 */
export interface WholeReads {
  /** Whether a piece of SQL may name a sharded table. */
  readonly mentions: (sql: string) => boolean
  readonly find: (target: Target, options: Options) => Promise<ObjectLiteral[]>
  readonly findAndCount: (target: Target, options: Options) => Promise<[ObjectLiteral[], number]>
  readonly findOne: (target: Target, options: Options) => Promise<ObjectLiteral | null>
  readonly count: (target: Target, options: Options) => Promise<number>
  readonly explain: (target: Target, options: Options) => Promise<Explanation>
  readonly exists: (target: Target, options: Options) => Promise<boolean>
  readonly aggregate: (
    method: 'sum' | 'average' | 'minimum' | 'maximum',
    target: Target,
    property: string,
    where: Options['where'],
  ) => Promise<number | null>
}

/** True for reads that even on one shard need their SQL read: it names tables as users do, or is kept in a cache. */
export function needsParsing({ mentions }: WholeReads, metadata: EntityMetadata, { cache, where }: Options): boolean {
  const { cache: option } = metadata.dataSource.options
  const isAlways = typeof option === 'object' && option.alwaysEnabled === true
  if (option && cache !== false && (isAlways || cache !== undefined)) return true
  const isComputedOf = ({ isVirtualProperty, query }: ColumnMetadata): boolean =>
    isVirtualProperty && query !== undefined && mentions(query(metadata.name))
  return metadata.columns.some(isComputedOf) || namesTables(where, mentions)
}

/** True where a `Raw` in a condition may name a sharded table. */
function namesTables(where: unknown, mentions: WholeReads['mentions']): boolean {
  if (where instanceof FindOperator) {
    if (where.type === 'raw') return mentions(where.getSql ? where.getSql('column') : String(where.value))
    return (
      namesTables(where.child, mentions) ||
      (Array.isArray(where.value) && where.value.some((one: unknown) => namesTables(one, mentions)))
    )
  }
  if (Array.isArray(where)) return where.some((branch) => namesTables(branch, mentions))
  return isPlain(where) && Object.values(where).some((value) => namesTables(value, mentions))
}

/** True for reads that are left to TypeORM where they reach several shards. */
export function needsWhole(metadata: EntityMetadata, { lock, loadRelationIds, order }: Options): boolean {
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
