import type { ShardedEntity } from '../../model/sharded-entity'
import { placeholderSchema } from '../../planning/bind-shard-names'
import { hasMistake } from '../../planning/statement-mistake'
import type { Cluster } from '../../routing/analysis/findings'
import { entityOf, routeCluster } from '../../routing/route-cluster'
import { checkScatter } from '../../routing/scatter-policy'
import type { TableUse } from '../../routing/scope'
import type { StatementAnalysis } from '../../routing/statement-analysis'
import type { Shard } from '../../topology/shard'
import { inBoth } from '../lookups/lookup-route'
import type { ShardRuntime } from '../runners/shard-runtime'
import { lookUpClusters } from './look-up-clusters'
import type { Place, ReadStatement, Run, StatementContext } from './statement-run'

/** Where a statement runs: the shards of its clusters, and the one node where all of it lies. */
export class StatementPlaces {
  constructor(private readonly runtime: ShardRuntime) {}

  /**
   * The one node where all that a statement reads and writes lies, each group's part on one shard; undefined where there
   * is none.
   */
  onePlace(read: ReadStatement, parameters: readonly unknown[], context: StatementContext): Place | undefined {
    // The rows of an INSERT are placed one by one.
    return 'InsertStmt' in read.statement ? undefined : this.placeOf(read, parameters, context)
  }

  /** The one place of all tables that a statement names; the rows that an INSERT brings are not looked at. */
  placeOf(
    { analysis }: ReadStatement,
    parameters: readonly unknown[],
    context: Pick<StatementContext, 'pinned' | 'own' | 'lookedUp'>,
  ): Place | undefined {
    const shards = new Map<string, Shard>()
    for (const cluster of analysis.clusters) {
      const [shard, another] = this.shardsOf(cluster, parameters, context)
      if (!shard || another) return undefined
      const known = shards.get(shard.group)
      if (known && known.name !== shard.name) return undefined
      shards.set(shard.group, shard)
    }
    const [first, ...others] = shards.values()
    // A WITH that nothing names is on no route; its tables would have to be there all the same.
    if (analysis.uses.some(({ table }) => !shards.has(table.group))) return undefined
    if (!first || others.some(({ node }) => node !== first.node)) return undefined
    if (analysis.homeTables.length > 0 && first.node !== this.runtime.map.home) return undefined
    return { shard: first, shards }
  }

  /** Where PostgreSQL is to refuse a statement that it certainly refuses: of too few or too many parameters, say. */
  placeOfMistake(
    { analysis, statement, parameterCount }: ReadStatement,
    parameters: readonly unknown[],
  ): Place | undefined {
    const isMistaken = parameterCount !== parameters.length || hasMistake(statement)
    const shard = isMistaken ? this.someShard(analysis) : undefined
    return shard && { shard, shards: new Map([[shard.group, shard]]) }
  }

  /** The context of a statement with what lookups say of it. A statement with too few parameters is not looked up. */
  async lookedUp(
    statement: ReadStatement,
    parameters: readonly unknown[],
    context: StatementContext,
  ): Promise<StatementContext> {
    if (!this.runtime.lookups.anyReady() || statement.parameterCount !== parameters.length) return context
    return lookUpClusters(this.runtime, statement, { parameters, context })
  }

  shardsOf(
    cluster: Cluster,
    parameters: readonly unknown[],
    { pinned, own, lookedUp }: Pick<StatementContext, 'pinned' | 'own' | 'lookedUp'>,
  ): readonly Shard[] {
    const [use] = cluster.uses
    if (pinned && pinned.group === use?.table.group) return [pinned]
    if (own && own.group === use?.table.group && [...cluster.uses].some(isTemplated)) return [own]
    const shards = this.runtime.map.groups.get(use?.table.group ?? '') ?? []
    const { shards: indexes } = routeCluster(cluster, parameters, shards.length)
    const found = lookedUp?.get(cluster)
    return (found ? inBoth(indexes, found) : indexes).flatMap((index) => shards[index] ?? [])
  }

  /** The shards of a statement over several, when the scatter policy allows them. */
  allowedShards(
    cluster: Cluster,
    { parameters, context }: Pick<Run, 'parameters' | 'context'>,
    writes: boolean,
  ): readonly Shard[] {
    const shards = this.shardsOf(cluster, parameters, context)
    this.askPolicy(entityOf(cluster), context, { width: shards.length, writes })
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
    return this.runtime.map.groups.get(uses[0]?.table.group ?? '')?.[0]
  }

  /** The shard whose types a query without sharded tables may use: it reads unsharded tables as well. */
  shardAtHome({ uses, homeTables }: StatementAnalysis): Shard | undefined {
    const shards = this.runtime.map.groups.get(uses[0]?.table.group ?? '') ?? []
    const atHome = shards.find(({ node }) => node === this.runtime.map.home)
    return atHome ?? (homeTables.length === 0 ? shards[0] : undefined)
  }
}

/** TypeORM's own name of a table, rather than the application's. */
const isTemplated = ({ rangeVar }: TableUse): boolean => rangeVar.schemaname === placeholderSchema
