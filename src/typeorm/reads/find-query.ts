import type { PageQuery } from '../../query/page-query'
import type { ShardAccess } from '../runners/shard-access'
import { pageOf } from './builder-page'
import { FindArms } from './find-arms'
import { type FindOptions, type FindScope, newBuilder } from './find-scope'
import { shardOrder } from './shard-order'

/** A read of one operation: what it is about, and how it reaches the shards. */
export interface ReadScope extends FindScope {
  readonly access: ShardAccess
}

/** A find over several shards, lowered to what the planner reads. */
export interface FindQuery extends PageQuery {
  readonly arms: FindArms
}

/** Lowers find options. @throws ShardedError ORDER_UNSUPPORTED, COLLATION_DIFFERS, once arms are made */
export function findQuery(scope: FindScope, options: FindOptions, rowBudget: number): FindQuery {
  const builder = newBuilder(scope, options)
  const { page, isPaged } = pageOf(builder)
  return Object.freeze({
    entity: scope.binding.entity.name,
    shards: scope.shards,
    page,
    givesKeys: builder.needsReload,
    isOrdered: Object.keys(builder.expressionMap.allOrderBys).length > 0,
    rowBudget,
    shardOrder: page.limit ? shardOrder(scope, builder) : undefined,
    arms: new FindArms(scope, options, { builder, isPaged }),
  })
}
