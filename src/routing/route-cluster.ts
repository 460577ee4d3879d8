import type { Node } from '@pgsql/types'
import type { ShardedEntity } from '../metadata/sharded-entity'
import { type KeyReader, keyPredicate } from './key-atoms'
import type { Predicate } from './predicate'
import { type Route, routePredicate } from './route'
import type { Scope } from './scope'
import type { Cluster } from './statement-analysis'

/** What the conditions of a query say of the shard key of tables that meet on one shard. */
export function clusterPredicate({ uses, filters }: Cluster, parameters: readonly unknown[]): Predicate {
  const reader = (scope: Scope): KeyReader => ({
    parameter: (number) => parameters[number - 1],
    keyColumn: (expression: Node | undefined) => {
      const column = scope.column(expression)
      if (!column || !uses.has(column.use)) return undefined
      const { table } = column.use
      const index = table.keyColumns.indexOf(column.name)
      return index < 0 ? undefined : { table, index }
    },
  })
  return { kind: 'and', of: filters.map(({ condition, scope }) => keyPredicate(condition, reader(scope))) }
}

/** The entity by whose function a cluster is placed; undefined where no table of it has the shard key. */
export function entityOf({ uses }: Cluster): ShardedEntity | undefined {
  for (const { table } of uses) if (table.entity) return table.entity
  return undefined
}

/**
 * The shards that hold rows of a cluster, as its conditions leave them.
 *
 * @param shardCount of the cluster's group
 * @throws ShardedError KEY_NOT_OWNED
 */
export function routeCluster(cluster: Cluster, parameters: readonly unknown[], shardCount: number): Route {
  const entity = entityOf(cluster)
  if (entity) return routePredicate(entity, clusterPredicate(cluster, parameters), shardCount)
  return { shards: Array.from({ length: shardCount }, (_, index) => index), reason: 'its tables hold no shard key' }
}
