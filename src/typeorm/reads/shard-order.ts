import type { ObjectLiteral } from 'typeorm'
import type { ShardOrder } from '../../query/page-query'
import { ordersAsDatabase } from '../../values/compare-keys'
import type { EntityBinding } from '../binding/entity-binding'
import { knownType, sortColumn } from '../binding/sort-column'
import type { ArmQueryBuilder } from '../find/arm-query-builder'
import { type FindScope, factsOf } from './find-scope'

/**
 * The order of the shards under the builder's order, where its first term is the shard key and each shard owns one
 * interval of it. Rows with one key lie on one shard, so the terms after the key do not matter; a shard key is never NULL.
 *
 * @returns undefined where the shards' rows interleave
 */
export function shardOrder(scope: FindScope, builder: ArmQueryBuilder<ObjectLiteral>): ShardOrder | undefined {
  const { binding, shards } = scope
  const inOrder = binding.entity.fn.shardsInKeyOrder
  const [column, another] = binding.keyColumns
  if (!inOrder || !column || another) return undefined
  const [first] = Object.entries(builder.expressionMap.allOrderBys)
  if (first?.[0] !== `${builder.alias}.${column.propertyPath}`) return undefined
  if (!sortsByKey(scope, binding)) return undefined
  const descending = (typeof first[1] === 'string' ? first[1] : first[1].order) === 'DESC'
  const asked = new Set(shards.map((shard) => shard.index))
  const route = inOrder.filter((index) => asked.has(index))
  return {
    shards: descending ? route.reverse() : route,
    reason: `the shards follow each other in the order of ${column.propertyPath}`,
  }
}

/** True where the database sorts the key column as the sharding function orders its keys. */
function sortsByKey(scope: FindScope, { entity, keyColumns }: EntityBinding): boolean {
  const [column] = keyColumns
  const type = entity.keyColumns[0]?.type
  if (!column || !type) return false
  if (ordersAsDatabase(type)) return true
  return (
    type === 'text' && knownType(column).kind === 'base' && sortColumn(column, factsOf(scope)).kind === 'codepoints'
  )
}
