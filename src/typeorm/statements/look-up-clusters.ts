import type { Cluster } from '../../routing/analysis/findings'
import { routeCluster, usePredicate } from '../../routing/route-cluster'
import { type LookupRoute, lookupRoute } from '../lookups/lookup-route'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { ReadStatement, StatementContext } from './statement-run'

/**
 * Reads the lookups that serve a statement: for each cluster of tables that its conditions leave on several shards, those of
 * its tables' rows.
 *
 * @returns the context with what was found; the same one where there is nothing to look up
 * @throws ShardedError KEY_NOT_OWNED
 */
export async function lookUpClusters(
  { lookups, map }: ShardRuntime,
  { analysis, statement }: ReadStatement,
  { parameters, context }: { readonly parameters: readonly unknown[]; readonly context: StatementContext },
): Promise<StatementContext> {
  const lookedUp = new Map<Cluster, LookupRoute>()
  for (const cluster of analysis.clusters) {
    const [first] = cluster.uses
    const group = first?.table.group ?? ''
    if (context.pinned?.group === group || !lookups.maintains(group)) continue
    // The rows of an INSERT have their shards from their own values.
    if ('InsertStmt' in statement && first?.rangeVar === statement.InsertStmt.relation) continue
    const found = await ofCluster(cluster)
    if (found) lookedUp.set(cluster, found)
  }
  return lookedUp.size > 0 ? { ...context, lookedUp } : context

  async function ofCluster(cluster: Cluster): Promise<LookupRoute | undefined> {
    const [first] = cluster.uses
    const count = map.groups.get(first?.table.group ?? '')?.length ?? 0
    if (routeCluster(cluster, parameters, count).shards.length < 2) return undefined
    for (const use of cluster.uses) {
      const { table } = use
      const { entity } = table
      if (!entity) continue
      const found = await lookupRoute(
        context.access,
        lookups.readyOf({ tableName: table.name }),
        ({ lookup, table: own }) =>
          usePredicate(cluster, parameters, {
            use,
            keyed: {
              ...table,
              keyColumns: own.columns.slice(0, own.valueCount).map(({ name }) => name),
              entity: { ...entity, keyColumns: lookup.columns, fn: lookup.fn },
            },
          }),
      )
      if (found) return found
    }
    return undefined
  }
}
