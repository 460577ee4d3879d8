import { unsupported } from '../../errors/sharded-error'
import type { ShardedEntity } from '../../model/sharded-entity'
import { hasTypes, placeholderSchema } from '../../planning/bind-shard-names'
import { hasMistake } from '../../planning/statement-mistake'
import type { Cluster } from '../../routing/analysis/findings'
import { entityOf, routeCluster, usePredicate } from '../../routing/route-cluster'
import { checkScatter } from '../../routing/scatter-policy'
import type { TableUse } from '../../routing/scope'
import type { StatementAnalysis } from '../../routing/statement-analysis'
import type { Shard } from '../../topology/shard'
import { inBoth, type LookupRoute, lookupRoute } from '../lookups/lookup-route'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { Place, Run, StatementContext } from './statement-run'

/** Where a statement runs: the shards of its clusters, and the one node where all of it lies. */
export class StatementPlaces {
  constructor(private readonly runtime: ShardRuntime) {}

  /**
   * The one node where all that a statement reads and writes lies, each group's part on one shard; undefined where there
   * is none.
   */
  onePlace(run: Run): Place | undefined {
    // The rows of an INSERT are placed one by one.
    return 'InsertStmt' in run.statement ? undefined : this.placeOf(run)
  }

  /** The one place of all tables that a statement names; the rows that an INSERT brings are not looked at. */
  placeOf(run: Placed & Pick<Run, 'analysis'>): Place | undefined {
    const { clusters, uses, homeTables, locksCopies, writesCopies } = run.analysis
    const shards = new Map<string, Shard>()
    for (const cluster of clusters) {
      const [shard, another] = this.shardsOf(cluster, run)
      if (!shard || another) return undefined
      const known = shards.get(shard.group)
      if (known && known.name !== shard.name) return undefined
      shards.set(shard.group, shard)
    }
    const [first, ...others] = shards.values()
    // A WITH that nothing names is on no route; its tables would have to be there all the same.
    if (uses.some(({ table }) => !shards.has(table.group))) return undefined
    if (!first || others.some(({ node }) => node !== first.node)) return undefined
    // Rows of reference tables are written on the home node, and from there on all others, which is no write of a shard.
    if (writesCopies) return undefined
    if ((homeTables.length > 0 || locksCopies) && first.node !== this.runtime.map.home) return undefined
    return { shard: first, shards }
  }

  /** Where PostgreSQL is to refuse a statement that it certainly refuses: of too few or too many parameters, say. */
  placeOfMistake({ analysis, statement, parameterCount, parameters }: Run): Place | undefined {
    const isMistaken = parameterCount !== parameters.length || hasMistake(statement)
    const shard = isMistaken ? this.someShard(analysis) : undefined
    return shard && { shard, shards: new Map([[shard.group, shard]]) }
  }

  shardsOf(cluster: Cluster, { parameters, context: { pinned, own, lookedUp } }: Placed): readonly Shard[] {
    const group = groupOf(cluster)
    if (pinned?.group === group) return [pinned]
    if (own?.group === group && [...cluster.uses].some(isTemplated)) return [own]
    const shards = this.shardsOfGroup(group)
    const { shards: indexes } = routeCluster(cluster, parameters)
    const found = lookedUp?.get(cluster)
    return (found ? inBoth(indexes, found) : indexes).flatMap((index) => shards[index] ?? [])
  }

  /** The shards of a statement over several, when the scatter policy allows them. */
  allowedShards(cluster: Cluster, run: Pick<Run, 'parameters' | 'context'>, writes: boolean): readonly Shard[] {
    const shards = this.shardsOf(cluster, run)
    this.askPolicy(entityOf(cluster), run.context, { width: shards.length, writes })
    return shards
  }

  /** Asks the scatter policy whether a statement may reach so many shards. @throws ShardedError SCATTER_FORBIDDEN, SCATTER_TOO_WIDE */
  askPolicy(
    entity: ShardedEntity | undefined,
    { isExplicit = false }: Pick<StatementContext, 'isExplicit'>,
    { width, writes }: { readonly width: number; readonly writes: boolean },
  ): void {
    const warning = entity && checkScatter(entity, { name: 'query', writes, width, explicit: isExplicit })
    if (warning) this.runtime.warn(warning)
  }

  shardOn(node: string): Shard | undefined {
    return [...this.runtime.map.groups.values()].flat().find((shard) => shard.node === node)
  }

  someShard({ uses }: StatementAnalysis): Shard | undefined {
    return this.shardsOfGroup(uses[0]?.table.group)[0]
  }

  get home(): string {
    return this.runtime.map.home
  }

  /** Whether a shard of each of these groups is on the home node. */
  hasTypesAtHome(groups: ReadonlySet<string>): boolean {
    const { home, shards } = this.runtime.map
    return groups.size === 0 || [...shards.values()].some((shard) => shard.node === home && hasTypes(shard, groups))
  }

  /**
   * The shard by which the types of groups are found that a query without sharded tables names.
   *
   * @param isAtHome it asks the home node for something: the shard is one of that node
   * @throws ShardedError STATEMENT_UNSUPPORTED where there is none
   */
  typesFor(groups: ReadonlySet<string>, isAtHome: boolean): Shard {
    const shards = [...groups].flatMap((group) => this.shardsOfGroup(group)).filter((shard) => hasTypes(shard, groups))
    const atHome = shards.find(({ node }) => node === this.runtime.map.home)
    const shard = atHome ?? (isAtHome ? undefined : shards[0])
    if (shard) return shard
    const names = [...groups].join(', ')
    throw unsupported(
      isAtHome
        ? `An unsharded table, or a volatile function of yours, stands beside a value of a type (an enum) that only the shards of ${names} have, and its node does not have a shard of each. Cast the value to text.`
        : `Values of types (enums) that only the shards of ${names} have are needed at one place, and no node has a shard of each. Cast them to text.`,
      { groups: [...groups] },
    )
  }

  /**
   * A run with what lookups say: for each cluster of tables that its conditions leave on several shards, those of its tables' rows.
   * A statement with too few parameters is not looked up.
   *
   * @throws ShardedError KEY_NOT_OWNED
   */
  async lookedUp(run: Run): Promise<Run> {
    const { statement, analysis, parameters, context } = run
    const { lookups } = this.runtime
    if (!lookups.anyReady() || run.parameterCount !== parameters.length) return run
    const lookedUp = new Map<Cluster, LookupRoute>()
    for (const cluster of analysis.clusters) {
      const [first] = cluster.uses
      const group = groupOf(cluster)
      if (context.pinned?.group === group || !lookups.maintains(group)) continue
      // The rows of an INSERT have their shards from their own values.
      if ('InsertStmt' in statement && first?.rangeVar === statement.InsertStmt.relation) continue
      const found = await this.lookUp(cluster, run)
      if (found) lookedUp.set(cluster, found)
    }
    return lookedUp.size > 0 ? { ...run, context: { ...context, lookedUp } } : run
  }

  private async lookUp(cluster: Cluster, { parameters, context }: Run): Promise<LookupRoute | undefined> {
    if (routeCluster(cluster, parameters).shards.length < 2) return undefined
    for (const use of cluster.uses) {
      const { table } = use
      const { entity } = table
      if (!entity) continue
      const ready = this.runtime.lookups.readyOf({ tableName: table.name })
      const found = await lookupRoute(context.access, ready, ({ lookup, table: own }) =>
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

  private shardsOfGroup(group: string | undefined): readonly Shard[] {
    return this.runtime.map.groups.get(group ?? '') ?? []
  }
}

/** What says the shards of a statement, beside its conditions. */
interface Placed {
  readonly parameters: readonly unknown[]
  readonly context: Pick<StatementContext, 'pinned' | 'own' | 'lookedUp'>
}

function groupOf({ uses }: Cluster): string {
  const [first] = uses
  return first?.table.group ?? ''
}

/** TypeORM's own name of a table, rather than the application's. */
const isTemplated = ({ rangeVar }: TableUse): boolean => rangeVar.schemaname === placeholderSchema
