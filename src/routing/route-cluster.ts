import type { Node } from '@pgsql/types'
import type { ShardedEntity } from '../model/sharded-entity'
import type { ShardIndexes } from '../topology/unit-owners'
import type { Cluster } from './analysis/findings'
import { type KeyList, type KeyOrSlot, type KeyReader, keyListOf, keyPredicate } from './key-predicate'
import type { Predicate } from './predicate'
import { type PlacedEntity, type Route, routePredicate } from './route'
import type { Scope, TableUse } from './scope'
import { isPlaced, type ShardedTable } from './table-catalog'

/** How conditions over the tables of a cluster are read. */
const readerOf =
  ({ uses }: Cluster, parameters: readonly unknown[]) =>
  (scope: Scope): KeyReader => ({
    parameter: (number) => parameters[number - 1],
    keyColumn: (expression: Node | undefined) => {
      const column = scope.column(expression)
      if (!column || !uses.has(column.use)) return undefined
      const { table } = column.use
      const index = table.keyColumns.indexOf(column.name)
      if (index >= 0) return { kind: 'key', table, index }
      const slotOf = table.slotColumns.get(column.name)
      return slotOf && { kind: 'slot', table, slotOf }
    },
  })

/** What the conditions of a query say of the shard key of tables that meet on one shard. */
export function clusterPredicate(cluster: Cluster, parameters: readonly unknown[]): Predicate {
  const reader = readerOf(cluster, parameters)
  return { kind: 'and', of: cluster.filters.map(({ condition, scope }) => keyPredicate(condition, reader(scope))) }
}

/**
 * What the conditions of a cluster say of some columns of one table, as if they were its shard key. Another use of the table
 * has other rows, whose values are their own.
 *
 * @param keyed the table with those columns in the place of its key
 */
export function usePredicate(
  { filters }: Cluster,
  parameters: readonly unknown[],
  { use, keyed }: { readonly use: TableUse; readonly keyed: ShardedTable },
): Predicate {
  const readerIn = (scope: Scope): KeyReader => ({
    parameter: (number) => parameters[number - 1],
    keyColumn: (expression) => {
      const column = scope.column(expression)
      const index = column?.use === use ? keyed.keyColumns.indexOf(column.name) : -1
      return index < 0 ? undefined : { kind: 'key', table: keyed, index }
    },
  })
  return { kind: 'and', of: filters.map(({ condition, scope }) => keyPredicate(condition, readerIn(scope))) }
}

/** A list of keys that the rows of a cluster must be in, with the numbers of the shards that each value may be on. */
export interface OwnedList extends KeyList {
  readonly condition: Node
  /** Its place among the conditions. */
  readonly position: number
  readonly owners: readonly ShardIndexes[]
}

/** The lists of keys among the conditions that all rows of a cluster meet. A shard needs no more of them than its own keys. */
export function ownedLists(cluster: Cluster, parameters: readonly unknown[]): readonly OwnedList[] {
  const reader = readerOf(cluster, parameters)
  return cluster.filters.flatMap(({ condition, scope }, position): OwnedList[] => {
    const list = keyListOf(condition, reader(scope))
    const table = list?.column.table
    if (!table || !isPlaced(table) || (list.column.kind === 'key' && table.entity.keyColumns.length !== 1)) return []
    return [{ ...list, condition, position, owners: list.says.map((said) => ownersOf(table, said)) }]
  })
}

function ownersOf({ entity, owners }: PlacedEntity, said: KeyOrSlot | undefined): ShardIndexes {
  if (said === undefined) return []
  if ('slot' in said) return owners.shardsOfSlots([said.slot])
  const owner = owners.shardOf(entity.fn.unitOf([said.key]))
  return owner === undefined ? [] : [owner]
}

/** The entity by whose function a cluster is placed; undefined where no table of it has the shard key. */
export const entityOf = (cluster: Cluster): ShardedEntity | undefined => placedTable(cluster)?.entity

function placedTable({ uses }: Cluster): (ShardedTable & PlacedEntity) | undefined {
  for (const { table } of uses) if (isPlaced(table)) return table
  return undefined
}

/**
 * The shards that hold rows of a cluster, as its conditions leave them.
 *
 * @throws ShardedError KEY_NOT_OWNED
 */
export function routeCluster(cluster: Cluster, parameters: readonly unknown[]): Route {
  const table = placedTable(cluster)
  if (table) return routePredicate(table, clusterPredicate(cluster, parameters))
  const [use] = cluster.uses
  return { shards: use?.table.owners.all ?? [], reason: 'its tables hold no shard key' }
}
