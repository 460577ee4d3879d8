import {
  CannotConnectAlreadyConnectedError,
  CannotExecuteNotConnectedError,
  type DataSource,
  type EntityMetadata,
  type EntityTarget,
  type ObjectLiteral,
  type QueryRunner,
  type ReplicationMode,
} from 'typeorm'
import type { AbsentDatabase } from '../../catalog/absent-database'
import { Catalog } from '../../catalog/catalog'
import { knownDatabase } from '../../catalog/known-database'
import type { CatalogNode } from '../../catalog/node-catalog'
import { withSchemaLock } from '../../catalog/schema-lock'
import type { NodePool } from '../../endpoints/node-pool'
import type { NodeSession } from '../../endpoints/node-session'
import type { StatementListener } from '../../endpoints/statement'
import { Refusals } from '../../errors/refusals'
import { ShardedError } from '../../errors/sharded-error'
import { loadHash } from '../../functions/hash'
import type { CursorSigner } from '../../merging/cursor'
import type { LoadStatistics } from '../../rebalancing/load-statistics'
import { isSwitching } from '../../rebalancing/move-log'
import { isOver } from '../../rebalancing/shard-move-state'
import { loadParser } from '../../sql/parser'
import type { Shard } from '../../topology/shard'
import { isSameMap, type ShardMap } from '../../topology/shard-map'
import { type ControlPointListener, ControlPoints } from '../../transactions/control-point'
import type { RecoveryReport } from '../../transactions/recover-transactions'
import { groupsOf } from '../binding/colocation-group'
import { canonicalValue } from '../binding/entity-binding'
import { shardOfKey } from '../binding/entity-shards'
import { postgresDriver } from '../binding/postgres-driver'
import { isReferenceTable } from '../binding/references'
import { keyValues } from '../find/with-key'
import {
  type BuilderArguments,
  createBuilder,
  type ShardedSelectQueryBuilder,
} from '../operations/sharded-query-builders'
import { ShardedQueryRunner } from '../operations/sharded-query-runner'
import { type FollowMap, lacksName } from '../runners/following-map'
import { pgFacade } from '../runners/pg-facade'
import { refuseSessionOf } from '../runners/refuse-session'
import type { ShardDataSource } from '../runners/shard-data-source'
import type { ShardRuntime, TransactionSettings } from '../runners/shard-runtime'
import { ShardedRelationLoader } from '../runners/sharded-relation-loader'
import { ShardedResultCache } from '../runners/sharded-result-cache'
import { useShardedSchemaBuilder } from '../schema/sharded-schema-builder'
import type { Statements } from '../statements/statements'
import { buildModel } from './build-model'
import { type ComposedDataSource, composeDataSource } from './compose-data-source'
import { currentRunnerOf } from './current-manager'
import { Federation } from './federation'
import { hasTables } from './has-tables'
import { MaintainedDataSource } from './maintained-data-source'
import { MapFollower } from './map-follower'
import { MissedNodes } from './missed-nodes'
import {
  eachNode,
  eachPresent,
  inTime,
  loadCollations,
  loadCollationsOf,
  type NodePools,
  type OpenedNodes,
  openNodePools,
  openTransactions,
} from './node-pools'
import { ObeyedEpoch } from './obeyed-epoch'
import { PeriodTimer } from './period-timer'
import { checkOptions, cursorSignerOf, loadStatisticsOf, makesTables } from './resolve-options'
import type { ShardedDataSourceOptions } from './sharded-data-source-options'
import { ShardedEntityManager } from './sharded-entity-manager'
import type { ShardedRepository } from './sharded-repository'
import { homeOf } from './stored-topology'
import { rollingGroups, syncPeriods, type TopologyChanges } from './sync-periods'
import { Topology } from './topology'

/** Databases count on so often, in milliseconds, while any process runs: what a backup of before lacks is noticed. */
const countEveryMs = 60_000

/** Processes that start at once count once, in milliseconds. */
const countAgainMs = 1_000

/** Where a key lives. */
export interface Location {
  readonly slot: number | undefined
  readonly shard: string
  readonly node: string
}

/**
 * A TypeORM data source over several PostgreSQL databases. Sharded entities live on their shards, unsharded ones on the
 * home node; repositories, managers and Active Record are used as with a plain data source.
 *
 * @example
 * const dataSource = new ShardedDataSource({
 *   type: 'postgres',
 *   entities: [User, Order],
 *   nodes: { a: { url: 'postgres://…' }, b: { url: 'postgres://…' } },
 * })
 * await dataSource.initialize()
 */
export class ShardedDataSource extends MaintainedDataSource {
  declare readonly manager: ShardedEntityManager
  private readonly sharding: ShardedDataSourceOptions
  /** Signs the cursors of pages; for this package's own parts. */
  readonly cursorSigner: CursorSigner | undefined
  private pools: NodePools = new Map()
  private opened: OpenedNodes | undefined
  /** The pools while one more of them is checked: operations have it when that is done. */
  private checking: NodePools | undefined
  private isStarting = false
  private readonly listeners: Set<StatementListener> = new Set()
  private readonly loads: LoadStatistics | undefined
  private readonly controlPoints: ControlPoints = new ControlPoints((text) => this.warn(text))
  private readonly warn = (text: string): void => this.logger.log('warn', text)
  private transactions: TransactionSettings = { mode: 'best-effort', twoPhase: undefined }
  private openCatalog: Catalog | undefined
  /** For this package's own parts. */
  readonly follow: FollowMap = (map) => this.follower.isBehind(map)
  private readonly follower = new MapFollower({
    current: () => this.runtime.map,
    tick: () => this.obeyed.check(),
    hasChanged: () => this.obeyed.hasChanged(),
    take: () => this.takeStoredMap(),
    isSwitching: () => isSwitching(this.pool(this.runtime.map.home).background),
  })
  private schemaTurn: Promise<void> = Promise.resolve()
  private readonly periods = new PeriodTimer(
    () => this.syncTopology(),
    (text) => this.warn(text),
  )
  private missed: MissedNodes | undefined
  private readonly obeyed = new ObeyedEpoch({
    decider: () => this.built && this.decider,
    others: () =>
      [...this.pools.values()].flatMap(({ isAbsent, name, background }) =>
        isAbsent || name === this.parts.topology.decider ? [] : [background],
      ),
    hasDeferred: () => this.parts.topology.hasDeferred,
    fence: (reason) => {
      if (reason) this.warn(reason.message)
      if (this.sharding.selfFencing !== false) for (const pool of this.pools.values()) pool.fence = reason
    },
    warn: (text) => this.warn(text),
  })
  private counting: NodeJS.Timeout | undefined
  /** What initialisation has made. */
  private built: ComposedDataSource | undefined

  /** @throws ShardedError OPTIONS_INVALID */
  constructor(options: ShardedDataSourceOptions) {
    checkOptions(options)
    const late: { home: () => NodePool; isStarting: () => boolean } = {
      home: () => notConnected(),
      isStarting: () => false,
    }
    // Without a driver's options of its own, which TypeORM's type wants: nodes have them.
    // TypeORM would set parseInt8 on the module it is given, for every pool of the process: the node pools do it here.
    const driver = pgFacade(
      () => late.home(),
      () => late.isStarting(),
    )
    super({ ...options, parseInt8: undefined, driver, nativeDriver: false } as never)
    late.home = () => this.homePool
    late.isStarting = () => this.isStarting
    this.wrapCache()
    useShardedSchemaBuilder(this.driver, {
      isUsed: () => this.built?.runtime.hasShardedEntities === true,
      build: () => this.synchronize(),
      logs: () => this.parts.schemas.logs(),
    })
    this.sharding = options
    this.cursorSigner = cursorSignerOf(options)
    this.loads = loadStatisticsOf(options)
    if (this.loads) this.listeners.add(this.loads.statements.listener)
    Object.assign(this, { relationLoader: new ShardedRelationLoader(this, () => this.runtime) })
  }

  override setOptions(options: Parameters<DataSource['setOptions']>[0]): this {
    super.setOptions(options)
    if ('cache' in options && options.cache) this.wrapCache()
    return this
  }

  private wrapCache(): void {
    const { queryResultCache: cache } = this
    if (cache)
      Object.assign(this, {
        queryResultCache: new ShardedResultCache(
          () => cache,
          () => this.createQueryRunner(),
        ),
      })
  }

  /** What initialisation has built; for this package's own parts. */
  override get runtime(): ShardRuntime {
    return this.parts.runtime
  }

  /** What runs statements over the shards; for this package's own parts. */
  get statements(): Statements {
    return this.parts.statements
  }

  /** The shards of all entities, or of one entity's colocation group, in order. @throws ShardedError NOT_SHARDED */
  shards(target?: EntityTarget<ObjectLiteral>): readonly Shard[] {
    if (target === undefined) return Object.freeze([...this.runtime.map.shards.values()])
    return this.bindingOf(target).shards
  }

  /** The data source of one shard, as plain TypeORM has it. @throws ShardedError SHARD_UNKNOWN */
  shard(name: string): ShardDataSource {
    return this.runtime.handle({ name }).dataSource
  }

  /** Which shard and node hold a shard key; a composite key is given as a list. @throws ShardedError KEY_INVALID, KEY_NOT_OWNED, NOT_SHARDED */
  locate(target: EntityTarget<ObjectLiteral>, key: unknown): Location {
    const { binding, canonical, shard } = this.placeOf(target, key)
    return Object.freeze({ slot: binding.entity.fn.slotOf(canonical), shard: shard.name, node: shard.node })
  }

  private placeOf(target: EntityTarget<ObjectLiteral>, key: unknown) {
    const binding = this.bindingOf(target)
    const values = keyValues(binding, key)
    const canonical = binding.keyColumns.map((_, index) => canonicalValue(binding, index, values[index]))
    return { binding, canonical, shard: shardOfKey(binding, canonical) }
  }

  /** Which shard lies on which node, with its epoch. */
  get shardMap(): ShardMap {
    return this.runtime.map
  }

  /** The shards as one database for programs that know nothing of them, by `postgres_fdw`. */
  get federation(): Federation {
    const { model, runtime } = this.parts
    const of = { groupOf: groupsOf(model), isReference: isReferenceTable(model) }
    return new Federation({ dataSource: this, options: this.sharding, runtime, ...of })
  }

  /** Where shards are, and how they come to other nodes. */
  readonly topology: Topology = new Topology({
    options: () => this.sharding,
    runtime: () => this.runtime,
    stored: () => this.parts.topology,
    schemas: () => this.parts.schemas,
    catalog: () => this.statements.catalog,
    keyOf: (target, key) => {
      const { canonical, shard } = this.placeOf(target, key)
      return { name: shard.name, canonical }
    },
    model: () => this.parts.model,
    loads: () => this.loads,
    points: this.controlPoints,
    warn: this.warn,
    follow: () => this.follower.follow(),
    obeyed: () => this.obeyed.current,
  })

  /** Calls `listener` after every statement to any node; the returned function ends that. */
  onStatement(listener: StatementListener): () => void {
    this.listeners.add(listener)
    const ends = [...this.pools.values()].map((pool) => pool.onStatement(listener))
    return () => {
      this.listeners.delete(listener)
      for (const end of ends) end()
    }
  }

  /**
   * Calls `listener` at every control point of writes over several nodes and of their recovery, and waits for it: for tests
   * that let a process or a server die there. The returned function ends that.
   */
  onControlPoint(listener: ControlPointListener): () => void {
    return this.controlPoints.listen(listener)
  }

  /**
   * Ends what commits over several nodes left prepared when a process or a node died in the middle: what was decided is
   * committed, all else rolled back. It also runs when the data source is initialised and every few seconds after that;
   * any number of processes may do it at once.
   *
   * @throws ShardedError TWO_PHASE_UNAVAILABLE where transactions are not committed in two phases
   */
  async recoverTransactions(): Promise<RecoveryReport> {
    const { mode, twoPhase } = this.runtime.transactions
    if (twoPhase) return twoPhase.recover()
    throw new ShardedError('TWO_PHASE_UNAVAILABLE', `Transactions here are ${mode}, and leave nothing prepared.`, {
      details: { mode, nodes: this.pools.size },
    })
  }

  /**
   * Connects to all nodes, checks the entities and makes their shards' data sources. A failure closes what was opened.
   * @throws ShardedError SHARD_UNAVAILABLE, SESSION_SETTINGS_DIFFER, TOPOLOGY_MISMATCH, CATALOG_UNAVAILABLE, TWO_PHASE_UNAVAILABLE, ID_COLUMN_INVALID and the errors of `buildShardedModel`
   */
  override async initialize(): Promise<this> {
    if (this.isInitialized) throw new CannotConnectAlreadyConnectedError()
    await Promise.all([loadHash(), loadParser()])
    const { sharding: options, listeners, warn } = this
    const opened = await openNodePools(options, { warn, listeners })
    const { absent } = opened
    this.opened = opened
    this.pools = opened.pools
    this.isStarting = true
    try {
      for (const { error } of absent.values()) if (makesTables(options)) throw error
      await eachPresent(this.pools, (pool) => pool.loadFacts())
      this.openCatalog = await Catalog.open((work) => eachNode(this.checking ?? this.pools, work), absent)
      await this.openCatalog.refuseLost(this.accepted)
      const { facts } = this.homePool
      Object.assign(this.driver, { version: facts.version, database: facts.database, searchSchema: facts.searchSchema })
      const points = this.controlPoints
      this.transactions = await openTransactions(options.transactions, this.pools, { points, warn, absent })
      await super.initialize()
      await this.parts.lookups.load()
      this.transactions.twoPhase?.start()
      await this.parts.references.load()
      // From one node no shard can go to another that this process knows.
      const hasSeveral = this.runtime.hasShardedEntities && this.pools.size > 1
      this.obeyed.current = this.catalog.epoch
      if (this.hasPeriods || hasSeveral) {
        // It is said that this process serves by its map, before it does. What changed since the map was read is taken over.
        const isThere = !this.pool(this.parts.topology.decider).isAbsent
        if (isThere && (await this.obeyed.hasChangedAtStart())) await this.follower.follow()
        this.follower.start()
      }
      if (hasSeveral) {
        await this.remember(opened.said)
        this.counting = setInterval(() => void this.count(), countEveryMs).unref()
      }
      if (this.hasPeriods) this.periods.start()
      for (const [name, { error }] of absent) warn(`The start lacks node ${name}. ${error.message}`)
      this.missed = new MissedNodes({
        admit: (name) => this.admit(name),
        refused: (name, error) => this.refuse(name, error),
      })
      this.missed.start(absent.keys())
      return this
    } catch (error) {
      await this.endPools()
      throw error
    } finally {
      this.isStarting = false
    }
  }

  /** Keeps what the nodes were now for starts that lack one of them. A role that may not is no reason to end this one. */
  private async remember(said: OpenedNodes['said']): Promise<void> {
    const databases = [...said].map(([name, session]) => [name, knownDatabase(session, this.pool(name).facts)] as const)
    try {
      for (const line of await this.catalog.remember(new Map(databases))) this.warn(line)
      await this.catalog.advance(countAgainMs)
    } catch (error) {
      if (!(error instanceof ShardedError) || error.code !== 'CATALOG_UNAVAILABLE') throw error
      this.warn(`A start that lacks a node will not know what it was. ${error.message}`)
    }
  }

  /** Nodes whose loss is accepted. */
  private get accepted(): ReadonlySet<string> {
    return new Set(this.sharding.acceptRestored)
  }

  /** Beside what operations do. What fails is done by the next process, or the next time. */
  private async count(): Promise<void> {
    await this.openCatalog
      ?.advance(countEveryMs, (work) => eachNode(this.pools, (pool) => work(pool.background)))
      .catch(() => undefined)
  }

  /**
   * Takes over a node that did not answer at the start. All that a start checks is checked before the first statement of an operation goes there.
   *
   * @throws ShardedError SHARD_UNAVAILABLE where it still does not answer; what a start throws
   */
  private async admit(name: string): Promise<void> {
    const { opened } = this
    const missed = opened?.absent.get(name)
    if (!opened || !missed) return
    const { pool, session } = await opened.open(name)
    try {
      await pool.loadFacts()
      await this.follower.alone(() => this.admitPool(pool, missed, session))
    } catch (error) {
      await pool.end()
      throw error
    }
  }

  private async admitPool(pool: NodePool, missed: AbsentDatabase, session: NodeSession): Promise<void> {
    const { built, catalog, pools: before } = this
    if (!built) return pool.end()
    const { map } = built.runtime
    const pools = new Map(before).set(pool.name, pool)
    this.checking = pools
    try {
      await catalog.arrive(pool, this.accepted)
      await built.topology.reconcile(this.entityMetadatas, { mapOf: () => built.topology.map(map) })
      for (const line of await loadCollationsOf(pool, { others: before, sharded: this.onNodes(built) })) this.warn(line)
      const next = await built.over(built.topology.map(map), pools)
      await next.references.load(() => this.runnerOver(() => next))
      const goOn = await this.transactions.twoPhase?.prepare(pool)
      // It was destroyed meanwhile.
      if (this.built !== built) return pool.end()
      goOn?.()
      this.pools = pools
      this.built = next
      this.obeyed.current = catalog.epoch
    } catch (error) {
      catalog.leave(pool.name, missed)
      throw error
    } finally {
      this.checking = undefined
    }
    this.warn(`Node ${pool.name} answers, and has been checked.`)
    await before.get(pool.name)?.end()
    try {
      await this.remember(new Map([[pool.name, session]]))
      if (pool.name === map.home) await this.parts.ids.open()
    } catch (error) {
      // The next start, and the first id, do it again.
      this.warn(`Node ${pool.name} could not be told all that a start tells it. ${String(error)}`)
    }
  }

  /** Of a node that answers, and is not what it has to be. */
  private refuse(name: string, error: ShardedError): void {
    const pool = this.pools.get(name)
    if (!pool?.isAbsent) return
    if (pool.refuse(error)) this.warn(`Node ${name} answers, and is not used. ${error.message}`)
  }

  /** Closes every connection that was opened. */
  override async destroy(): Promise<void> {
    if (!this.isInitialized) throw new CannotExecuteNotConnectedError()
    try {
      await inTime(this.built?.ids.close(), this.sharding.timeouts?.destroyMs)
      await super.destroy()
    } finally {
      await this.endPools()
    }
  }

  /**
   * Brings the schema of every shard, and of the home node's own tables, in line with the entities. Processes that do so at once wait for each other.
   *
   * @throws ShardedError OBJECT_NOT_OURS, TOPOLOGY_MISMATCH, SCHEMA_INCOMPLETE, SYNCHRONIZE_BUSY
   */
  override async synchronize(dropBeforeSync = false): Promise<void> {
    if (!this.isInitialized) throw new CannotExecuteNotConnectedError()
    await this.schemaWork(async () => {
      if (this.hasPeriods) await this.syncAlone()
      await this.synchronizeAlone(dropBeforeSync)
    })
  }

  /**
   * Makes the shards of periods that are due, and drops or detaches those of periods that are no longer kept, of `time` with `ahead`. A timer
   * of the data source does it at the start and every hour; any number of processes may do it at once.
   *
   * @param options.now the time to go by; default: that of the home node
   * @throws ShardedError OBJECT_NOT_OURS, SYNCHRONIZE_BUSY, SHARD_UNAVAILABLE
   * @example
   * const { added, dropped, kept } = await dataSource.syncTopology()
   */
  async syncTopology({ now }: { readonly now?: Date } = {}): Promise<TopologyChanges> {
    if (!this.isInitialized) throw new CannotExecuteNotConnectedError()
    return this.schemaWork(() => this.syncAlone(now))
  }

  /**
   * Work on schemas, alone in this process and among all others. Of one process only one waits for the lock: what waits holds a connection
   * that the work of the one that has it needs.
   */
  private schemaWork<T>(work: () => Promise<T>): Promise<T> {
    const begun = this.schemaTurn.then(() => withSchemaLock(this.homePool, work))
    this.schemaTurn = begun.then(
      () => undefined,
      () => undefined,
    )
    return begun
  }

  private syncAlone(now?: Date): Promise<TopologyChanges> {
    return syncPeriods({
      now,
      built: () => this.parts,
      follow: () => this.follower.follow(),
      pools: () => this.pools,
      moving: async () =>
        new Set((await this.topology.moves()).flatMap(({ shard, state }) => (isOver(state) ? [] : [shard]))),
    })
  }

  private get hasPeriods(): boolean {
    return rollingGroups(this.parts.model.groups).length > 0
  }

  private async synchronizeAlone(dropBeforeSync: boolean): Promise<void> {
    const { lookups, references, runtime, schemas, statements, topology } = this.parts
    await schemas.refuseForeignObjects()
    if (dropBeforeSync) await lookups.dropStates()
    if (dropBeforeSync) await references.drop()
    // Other processes may have dropped it meanwhile, with the tables.
    await this.catalog.read()
    if (!dropBeforeSync) await schemas.refuseKeyRewrite()
    await topology.reconcile(this.entityMetadatas, { mapOf: () => runtime.map })
    await schemas.synchronize(dropBeforeSync)
    await lookups.settle()
    await references.build()
    statements.schemaChanged()
  }

  /**
   * Drops every shard, and the home node's own tables of this data source's entities; nothing else.
   *
   * @throws ShardedError OBJECT_NOT_OURS, SCHEMA_INCOMPLETE, SYNCHRONIZE_BUSY
   */
  override async dropDatabase(): Promise<void> {
    if (!this.isInitialized) throw new CannotExecuteNotConnectedError()
    await this.schemaWork(() => this.dropAlone())
  }

  private async dropAlone(): Promise<void> {
    const { lookups, references, schemas, topology } = this.parts
    await schemas.refuseForeignObjects()
    await lookups.dropStates()
    await references.drop()
    await schemas.drop()
    await topology.forget()
  }

  /** @throws ShardedError MIGRATIONS_UNSUPPORTED where entities are sharded */
  override async runMigrations(options?: Parameters<DataSource['runMigrations']>[0]) {
    this.refuseMigrations()
    return super.runMigrations(options)
  }

  /** @throws ShardedError MIGRATIONS_UNSUPPORTED where entities are sharded */
  override async undoLastMigration(options?: Parameters<DataSource['undoLastMigration']>[0]) {
    this.refuseMigrations()
    return super.undoLastMigration(options)
  }

  override getRepository<Entity extends ObjectLiteral>(target: EntityTarget<Entity>): ShardedRepository<Entity> {
    return this.manager.getRepository(target)
  }

  override createEntityManager(queryRunner?: QueryRunner): ShardedEntityManager {
    return new ShardedEntityManager(this, queryRunner)
  }

  /** TypeORM's query builder, which reaches all shards as one database and can be narrowed; see `explain`. */
  override createQueryBuilder<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    alias: string,
    queryRunner?: QueryRunner,
  ): ShardedSelectQueryBuilder<Entity>
  override createQueryBuilder(queryRunner?: QueryRunner): ShardedSelectQueryBuilder<ObjectLiteral>
  override createQueryBuilder(...given: BuilderArguments): ShardedSelectQueryBuilder<ObjectLiteral> {
    return createBuilder(this, given, () => this.currentRunner())
  }

  /**
   * Raw SQL over the shards as one database; in the present transaction, where the option `currentManager` names one.
   *
   * @throws ShardedError SESSION_NEEDS_RUNNER for what would stay in a session of the pool, and what a statement throws
   */
  // TypeORM's own default type of a raw result.
  // biome-ignore lint/suspicious/noExplicitAny: the signature is TypeORM's
  override async query<T = any>(
    query: string,
    parameters?: unknown[] | ObjectLiteral,
    queryRunner: QueryRunner | undefined = this.currentRunner(),
  ): Promise<T> {
    const otherwise = () => super.query<T>(query, parameters, queryRunner)
    const again = queryRunner ? undefined : this.built?.statements.again(query, parameters, otherwise)
    // TypeORM lets the caller say of what type raw rows are.
    if (again)
      return (await again.catch((error: unknown) => (lacksName(error) ? otherwise() : Promise.reject(error)))) as T
    if (!queryRunner) await refuseSessionOf(query, parameters)
    return otherwise()
  }

  /** The query runner of the present transaction; for this package's own parts. @throws ShardedError CURRENT_MANAGER_INVALID */
  currentRunner(): QueryRunner | undefined {
    const { currentManager } = this.sharding
    return currentManager && currentRunnerOf(this, currentManager)
  }

  override createQueryRunner(mode: ReplicationMode = 'master'): QueryRunner {
    return this.runnerOver(() => this.built, mode)
  }

  private runnerOver(
    built: () => ComposedDataSource | undefined,
    mode: ReplicationMode = 'master',
  ): ShardedQueryRunner {
    const runner = new ShardedQueryRunner({
      driver: postgresDriver(this),
      mode,
      runtime: () => (built() ?? notConnected()).runtime,
      statements: () => built()?.statements,
      follow: this.follow,
    })
    this.createEntityManager(runner)
    return runner
  }

  protected override async buildMetadatas(): Promise<void> {
    await super.buildMetadatas()
    const refusals = new Refusals()
    const model = buildModel(this.entityMetadatas, this.sharding, refusals)
    const { pools, sharding: options, catalog, warn } = this
    const pool = (name: string): NodePool => this.pool(name)
    const transactions = { ...this.transactions, points: this.controlPoints }
    const { loads } = this
    const parts = { dataSource: this, options, pools, pool, transactions, catalog, model, warn, refusals, loads }
    const built = await composeDataSource(parts)
    this.built = built
    const { ids } = built
    for (const line of await loadCollations(pools, this.onNodes(built))) warn(line)
    // What is missing is made when the first id is needed.
    if (!this.homePool.isAbsent) await ids.open()
  }

  /** The entities whose tables are on several nodes. */
  private onNodes({ model }: Pick<ComposedDataSource, 'model'>): readonly EntityMetadata[] {
    const groupOf = groupsOf(model)
    const isReference = isReferenceTable(model)
    return this.entityMetadatas.filter((one) => groupOf(one) !== undefined || isReference(one))
  }

  /** Goes on by the map that the home node has stored by now. Operations that run have the map that they began with. */
  private async takeStoredMap(): Promise<void> {
    const { built } = this
    if (!built) return
    const { map: before } = built.runtime
    await built.topology.readAgain(this.decider)
    await built.topology.deferUnmade((shard) =>
      hasTables(this.pool(shard.node), shard, built.schemas.tablesOf(shard.group)),
    )
    const { epoch } = this.catalog
    const map = built.topology.map(before)
    if (isSameMap(before, map)) {
      this.obeyed.current = epoch
      return
    }
    const moved = [...map.shards.values()].filter(({ name, node }) => before.shards.get(name)?.node !== node)
    // Their new nodes have not said yet which of their tables have rules.
    const targets = [...new Set(moved.map(({ node }) => node))].map((node) => this.pool(node))
    await Promise.all(targets.flatMap((pool) => (pool.isAbsent ? [] : [pool.loadFacts()])))
    const next = await built.over(map)
    if (this.built !== built) return
    this.built = next
    this.obeyed.current = epoch
  }

  protected override get parts(): ComposedDataSource {
    return this.built ?? notConnected()
  }

  /** Asked beside what operations do. */
  private get decider(): CatalogNode {
    return this.pool(this.parts.topology.decider).background
  }

  private get catalog(): Catalog {
    return this.openCatalog ?? notConnected()
  }

  private async endPools(): Promise<void> {
    clearInterval(this.counting)
    await inTime(this.missed?.stop(), this.sharding.timeouts?.destroyMs)
    await inTime(this.periods.stop(), this.sharding.timeouts?.destroyMs)
    await inTime(this.follower.stop(), this.sharding.timeouts?.destroyMs)
    await this.topology.close()
    const { twoPhase } = this.transactions
    this.transactions = { mode: 'best-effort', twoPhase: undefined }
    await inTime(twoPhase?.stop(), this.sharding.timeouts?.destroyMs)
    await inTime(this.obeyed.end(), this.sharding.timeouts?.destroyMs)
    const pools = [...this.pools.values()]
    this.pools = new Map()
    this.built = undefined
    await Promise.all(pools.map((pool) => pool.end()))
  }

  private get homePool(): NodePool {
    return this.pool(homeOf(this.sharding, this.openCatalog))
  }

  private pool(name: string): NodePool {
    return this.pools.get(name) ?? notConnected()
  }

  private refuseMigrations(): void {
    if (!this.runtime.hasShardedEntities) return
    throw new ShardedError(
      'MIGRATIONS_UNSUPPORTED',
      'Migrations of TypeORM change one database, and the data source has sharded entities.',
      {},
    )
  }
}

function notConnected(): never {
  throw new CannotExecuteNotConnectedError()
}
