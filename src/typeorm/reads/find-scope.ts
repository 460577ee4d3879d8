import type { FindManyOptions, ObjectLiteral } from 'typeorm'
import type { NodeSortFacts } from '../../query/node-sort-facts'
import type { Shard } from '../../topology/shard'
import type { EntityBinding } from '../binding/entity-binding'
import { ArmQueryBuilder } from '../find/arm-query-builder'
import type { ShardAccess } from '../runners/shard-access'
import type { ShardRuntime } from '../runners/shard-runtime'

export type FindOptions = FindManyOptions<ObjectLiteral>

/** What a read over several shards is about: the entity and the shards of the route. */
export interface FindScope {
  readonly access: { readonly runtime: ShardRuntime }
  readonly binding: EntityBinding
  readonly shards: readonly Shard[]
}

/** A read of one operation: what it is about, and how it reaches the shards. */
export interface ReadScope extends FindScope {
  readonly access: ShardAccess
}

/** A builder with the find options in it, from the data source of the first shard. */
export function newBuilder(
  { access, binding, shards }: FindScope,
  options: FindOptions,
): ArmQueryBuilder<ObjectLiteral> {
  const [first] = shards
  if (!first) throw new RangeError('A read has at least one shard.')
  return ArmQueryBuilder.find<ObjectLiteral>(access.runtime.handle(first).dataSource, binding.metadata, options)
}

/** What says which rows a find is about, without their order and what is loaded with them. */
export const rowOptions = ({ where, withDeleted }: FindOptions): FindOptions => ({
  loadEagerRelations: false,
  ...(where !== undefined && { where }),
  ...(withDeleted !== undefined && { withDeleted }),
})

export const nodesOf = ({ shards }: Pick<FindScope, 'shards'>): readonly string[] => [
  ...new Set(shards.map((shard) => shard.node)),
]

/** How the nodes that are asked sort. */
export const factsOf = (scope: FindScope): readonly NodeSortFacts[] =>
  nodesOf(scope).map((node) => scope.access.runtime.pool(node).sortFacts)
