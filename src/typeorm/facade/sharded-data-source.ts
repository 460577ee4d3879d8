import {
  CannotConnectAlreadyConnectedError,
  CannotExecuteNotConnectedError,
  DataSource,
  type EntityMetadata,
  type EntityTarget,
  type ObjectLiteral,
  type QueryRunner,
  type ReplicationMode,
} from 'typeorm'
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver'
import { Catalog } from '../../catalog/catalog'
import { groupPrint } from '../../catalog/group-print'
import { reconcileTopology } from '../../catalog/reconcile-topology'
import { storedPlaces } from '../../catalog/stored-places'
import { atMost } from '../../endpoints/at-most'
import { defaultDestroyMs, NodePool } from '../../endpoints/node-pool'
import type { StatementListener } from '../../endpoints/statement-event'
import { TurnWaits } from '../../endpoints/transaction-turns'
import { Refusals } from '../../errors/refusals'
import { ShardedError } from '../../errors/sharded-error'
import { loadHash } from '../../functions/hash-slot'
import type { CursorSigner } from '../../merging/cursor'
import { buildShardedModel } from '../../model/build-sharded-model'
import { longestTimerMs } from '../../model/limits'
import type { LookupModel } from '../../model/lookup'
import { lookupArgsStorage } from '../../model/lookup-args-storage'
import { shardArgsStorage } from '../../model/shard-args-storage'
import type { ShardedEntity, ShardedModel } from '../../model/sharded-entity'
import { withLookups } from '../../model/with-lookups'
import { placeholderSchema } from '../../planning/bind-shard-names'
import { defaultCollation } from '../../query/collation-name'
import { collationReport } from '../../query/collation-report'
import { loadParser } from '../../sql/parser'
import type { Shard } from '../../topology/shard'
import { createShardMap, hasSamePlaces, type ShardMap } from '../../topology/shard-map'
import { type ControlPointListener, ControlPoints } from '../../transactions/control-point'
import type { RecoveryReport } from '../../transactions/recover-transactions'
import { TwoPhase } from '../../transactions/two-phase'
import { quoted } from '../../values/quoted'
import { bindMetadata, markGenerated } from '../binding/bind-metadata'
import { checkPhysicalNames } from '../binding/check-physical-names'
import { checkSharedTables } from '../binding/check-shared-tables'
import { colocationGroup } from '../binding/colocation-group'
import { describeEntities } from '../binding/describe-entities'
import { canonicalValue, type EntityBinding, shardOfKey } from '../binding/entity-binding'
import { EntityShards } from '../binding/entity-shards'
import { IdMakers } from '../binding/id-makers'
import { bindLookups } from '../binding/lookups'
import { slotColumnsOf } from '../binding/slot-columns'
import { buildTableCatalog } from '../binding/table-catalog'
import { tableKeys } from '../binding/table-keys'
import { keyValues } from '../find/with-key'
import { LookupAdministration } from '../lookups/lookup-administration'
import type { BuildLookupsOptions, LookupReport } from '../lookups/lookup-maintenance'
import { createBuilder, type ShardedSelectQueryBuilder } from '../operations/sharded-query-builders'
import { ShardedQueryRunner } from '../operations/sharded-query-runner'
import { locateRow } from '../reads/locate-rows'
import { type PlacementReport, type VerifyPlacementOptions, verifyPlacement } from '../reads/verify-placement'
import { KeyGuard } from '../runners/key-guard'
import { pgFacade, shardBinder } from '../runners/pg-facade'
import { refuseSessionOf } from '../runners/refuse-session'
import { ShardAccess } from '../runners/shard-access'
import { ShardDataSource } from '../runners/shard-data-source'
import { type ShardHandle, ShardRuntime, type TransactionSettings } from '../runners/shard-runtime'
import { ShardedRelationLoader } from '../runners/sharded-relation-loader'
import { ShardedResultCache } from '../runners/sharded-result-cache'
import { refuseForeignObjects } from '../schema/refuse-foreign-objects'
import { refuseKeyRewrite } from '../schema/refuse-key-rewrite'
import { SchemaDataSource } from '../schema/schema-data-source'
import { schemaMetadata } from '../schema/schema-metadata'
import { SchemaProgress } from '../schema/schema-progress'
import { shardObjects } from '../schema/shard-objects'
import { type SchemaLog, ShardedSchemaBuilder } from '../schema/sharded-schema-builder'
import { ClockDefaults } from '../statements/clock-defaults'
import { StatementWords } from '../statements/statement-words'
import { Statements } from '../statements/statements'
import { currentRunnerOf } from './current-manager'
import { nodesAtOnce } from './nodes-at-once'
import { type NodeSessions, openSessions } from './open-sessions'
import { refuseViews } from './refuse-views'
import {
  boundsOf,
  checkOptions,
  cursorSignerOf,
  limitsOf,
  lockTimeoutOf,
  maxPreparedOf,
  replacesOf,
} from './resolve-options'
import type { ShardedDataSourceOptions } from './sharded-data-source-options'
import { ShardedEntityManager } from './sharded-entity-manager'
import type { ShardedRepository } from './sharded-repository'

type SchemaWork = (schema: SchemaDataSource, shard: Shard | undefined) => Promise<void>

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
export class ShardedDataSource extends DataSource {
  declare readonly manager: ShardedEntityManager
  private readonly sharding: ShardedDataSourceOptions
  /** Signs the cursors of pages; for this package's own parts. */
  readonly cursorSigner: CursorSigner | undefined
  private pools: ReadonlyMap<string, NodePool> = new Map()
  private readonly listeners: Set<StatementListener> = new Set()
  private readonly controlPoints: ControlPoints = new ControlPoints((text) => this.logger.log('warn', text))
  private transactions: TransactionSettings = { mode: 'best-effort', twoPhase: undefined }
  private built: ShardRuntime | undefined
  private builtStatements: Statements | undefined
  private ids: IdMakers | undefined
  private openCatalog: Catalog | undefined

  /** @throws ShardedError OPTIONS_INVALID */
  constructor(options: ShardedDataSourceOptions) {
    checkOptions(options)
    const late: { home: () => NodePool } = { home: () => notConnected() }
    // TypeORM would set parseInt8 on the module it is given, for every pool of the process: the node pools do it here.
    super({ ...options, parseInt8: undefined, driver: pgFacade(() => late.home()), nativeDriver: false } as never)
    late.home = () => this.pool(this.home)
    this.wrapCache()
    this.wrapSchemaBuilder()
    this.sharding = options
    this.cursorSigner = cursorSignerOf(options)
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

  /** TypeORM's command line and its migrations ask the driver for the schema. */
  private wrapSchemaBuilder(): void {
    const plain = this.driver.createSchemaBuilder.bind(this.driver)
    const sharded = new ShardedSchemaBuilder({ build: () => this.synchronize(), logs: () => this.schemaLogs() })
    Object.assign(this.driver, {
      createSchemaBuilder: () => (this.built?.hasShardedEntities ? sharded : plain()),
    })
  }

  private async schemaLogs(): Promise<readonly SchemaLog[]> {
    const { map } = this.runtime
    const logs: SchemaLog[] = []
    await this.eachSchema(async (schema, shard) => {
      logs.push({ node: shard?.node ?? map.home, shard: shard?.name, statements: await schema.log() })
    })
    const places = [undefined, ...map.shards.keys()]
    return logs.sort((a, b) => places.indexOf(a.shard) - places.indexOf(b.shard))
  }

  /** What initialisation has built; for this package's own parts. */
  get runtime(): ShardRuntime {
    return this.built ?? notConnected()
  }

  /** What runs statements over the shards; for this package's own parts. */
  get statements(): Statements {
    return this.builtStatements ?? notConnected()
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
    const binding = this.bindingOf(target)
    const values = keyValues(binding, key)
    const canonical = binding.keyColumns.map((_, index) => canonicalValue(binding, index, values[index]))
    const shard = shardOfKey(binding, canonical)
    return Object.freeze({ slot: binding.entity.fn.slotOf(canonical), shard: shard.name, node: shard.node })
  }

  /** Which shard lies on which node, with its epoch. */
  get shardMap(): ShardMap {
    return this.runtime.map
  }

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
    throw new ShardedError('TWO_PHASE_UNAVAILABLE', `Transactions are ${mode} here, over ${this.pools.size} node(s).`, {
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
    const sessions = await openSessions(this.sharding, (text) => this.logger.log('warn', text))
    this.pools = this.createPools(sessions)
    try {
      await this.eachNode((pool) => pool.loadFacts())
      this.openCatalog = await Catalog.open((work) => this.eachNode(work))
      const { facts } = this.pool(this.home)
      Object.assign(this.driver, { version: facts.version, database: facts.database, searchSchema: facts.searchSchema })
      this.transactions = await this.openTransactions()
      await super.initialize()
      await this.lookups.load()
      this.transactions.twoPhase?.start()
      return this
    } catch (error) {
      await this.endPools()
      throw error
    }
  }

  /** Closes every connection that was opened. */
  override async destroy(): Promise<void> {
    if (!this.isInitialized) throw new CannotExecuteNotConnectedError()
    try {
      await this.inTime(this.ids?.close())
      await super.destroy()
    } finally {
      await this.endPools()
    }
  }

  /**
   * Brings the schema of every shard, and of the home node's own tables, in line with the entities.
   *
   * @throws ShardedError OBJECT_NOT_OURS, TOPOLOGY_MISMATCH, SCHEMA_INCOMPLETE
   */
  override async synchronize(dropBeforeSync = false): Promise<void> {
    if (!this.isInitialized) throw new CannotExecuteNotConnectedError()
    await this.refuseForeignObjects(this.runtime)
    if (dropBeforeSync) await this.lookups.dropStates()
    // Other processes may have dropped it meanwhile, with the tables.
    await this.catalog.read()
    if (!dropBeforeSync) await this.refuseKeyRewrite(this.runtime)
    await this.reconcileTopology(this.model, () => this.runtime.map)
    await this.changeEachSchema('synchronize()', (schema, shard) =>
      this.synchronizeSchema(schema, shard, dropBeforeSync),
    )
    await this.lookups.settle()
  }

  /**
   * Drops every shard, and the home node's own tables of this data source's entities; nothing else.
   *
   * @throws ShardedError OBJECT_NOT_OURS, SCHEMA_INCOMPLETE
   */
  override async dropDatabase(): Promise<void> {
    if (!this.isInitialized) throw new CannotExecuteNotConnectedError()
    await this.refuseForeignObjects(this.runtime)
    await this.lookups.dropStates()
    await this.changeEachSchema('dropDatabase()', (schema, shard) => this.dropSchema(schema, shard))
    await this.catalog.forget([...this.model.groups.keys()])
  }

  /**
   * Makes the tables and triggers of lookups where they are missing, enters the rows that were there before, and then lets
   * reads use them. It may be run beside writes, and again after it was ended: it goes on where it was.
   *
   * @throws ShardedError LOOKUP_DUPLICATES where rows have one value of a `@GlobalUnique`; the reason of the signal
   * @example
   * await dataSource.buildLookups({ onProgress: ({ lookup, shardsDone, shards }) => console.log(lookup, shardsDone, shards) })
   */
  async buildLookups(options: BuildLookupsOptions = {}): Promise<void> {
    if (this.runtime.lookups.all.length > 0) await this.refuseForeignObjects(this.runtime)
    await this.lookups.build(options)
  }

  /**
   * Compares every lookup with the rows that it finds, and changes nothing: one report a lookup. Beside writes it looks again
   * at what differs, so that a transaction that is just committing is no difference.
   */
  async verifyLookups(): Promise<readonly LookupReport[]> {
    return this.lookups.verify()
  }

  /**
   * Compares every lookup with the rows that it finds, enters what is missing and removes what dangles. The reports say what
   * was wrong; `duplicates` are rows that could not be entered.
   */
  async repairLookups(): Promise<readonly LookupReport[]> {
    return this.lookups.repair()
  }

  /**
   * Brings lookups in line with what other programs have written past this data source, which triggers have noted. Returns the
   * number of notes that were taken. To be called from time to time where there are such programs.
   */
  async drainLookups(): Promise<number> {
    return this.lookups.drain()
  }

  /**
   * Looks at every row of every sharded entity, or of one, and reports those that do not lie on the shard of their key, or that
   * are not found by their id: written past this data source, restored to the wrong place, or written by an earlier version.
   * Nothing is changed. Shards are read by cursors, nodes at once: a batch of 1,000 rows a node is held in memory.
   *
   * @throws ShardedError NOT_SHARDED; the reason of the signal
   * @example
   * const [report] = await dataSource.verifyPlacement(User, { onProgress: ({ shard, rows }) => console.log(shard, rows) })
   */
  async verifyPlacement(
    target?: EntityTarget<ObjectLiteral>,
    options: VerifyPlacementOptions = {},
  ): Promise<readonly PlacementReport[]> {
    const { runtime } = this
    const all = this.entityMetadatas
      // Children of single-table inheritance stand in their parent's table.
      .filter(({ tableType }) => tableType !== 'entity-child')
      .flatMap((metadata) => runtime.bindingOf(metadata.target) ?? [])
    const reports: PlacementReport[] = []
    for (const binding of target === undefined ? all : [this.bindingOf(target)]) {
      options.signal?.throwIfAborted()
      reports.push(await verifyPlacement(new ShardAccess(runtime, undefined), binding, options))
    }
    return Object.freeze(reports)
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
  override createQueryBuilder(
    entityOrRunner?: EntityTarget<ObjectLiteral> | QueryRunner,
    alias?: string,
    queryRunner?: QueryRunner,
  ): ShardedSelectQueryBuilder<ObjectLiteral> {
    if (!alias) return createBuilder(this, (entityOrRunner as QueryRunner | undefined) ?? this.currentRunner())
    return createBuilder(this, queryRunner ?? this.currentRunner(), {
      target: entityOrRunner as EntityTarget<ObjectLiteral>,
      alias,
    })
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
    if (!queryRunner) await refuseSessionOf(query, parameters)
    return super.query(query, parameters, queryRunner)
  }

  /** The query runner of the present transaction; for this package's own parts. @throws ShardedError CURRENT_MANAGER_INVALID */
  currentRunner(): QueryRunner | undefined {
    return currentRunnerOf(this, this.sharding.currentManager)
  }

  override createQueryRunner(mode: ReplicationMode = 'master'): QueryRunner {
    const runner = new ShardedQueryRunner({
      driver: this.driver as PostgresDriver,
      mode,
      runtime: () => this.runtime,
      statements: () => this.builtStatements,
    })
    this.createEntityManager(runner)
    return runner
  }

  protected override async buildMetadatas(): Promise<void> {
    await super.buildMetadatas()
    const entities = describeEntities(this.entityMetadatas)
    const refusals = new Refusals()
    const defaults = {
      refusals,
      layout: this.sharding.layout ?? 'schema',
      scatter: this.sharding.scatter ?? {},
      primaryKeyCheck: this.sharding.primaryKeyCheck ?? true,
      groups: this.sharding.groups ?? {},
    } as const
    const sharded = buildShardedModel(entities, shardArgsStorage(), defaults)
    const model = withLookups(sharded, entities, lookupArgsStorage(), defaults)
    // Before names and places are checked: of a model that is refused in part they would be refused for reasons that follow.
    refusals.throwAny()
    bindMetadata(
      this.entityMetadatas.filter((metadata) => groupOf(metadata, model) !== undefined),
      (metadata) => ({ schema: placeholderSchema, name: metadata.tableName }),
    )
    this.checkGroups(model)
    checkSharedTables(this.entityMetadatas, model, (metadata) => groupOf(metadata, model))
    const runtime = await this.settledRuntime(model)
    this.built = runtime
    const { searchSchema: searched } = runtime.pool(runtime.map.home).facts
    this.builtStatements = new Statements(
      runtime,
      buildTableCatalog(
        this.entityMetadatas,
        { searched, sharded: (this.driver as PostgresDriver).options.schema ?? searched },
        (metadata) => groupOf(metadata, model),
        (target) => runtime.bindingOf(target),
        (group) => runtime.map.groups.get(group)?.[0]?.layout,
      ),
      new ClockDefaults(this.entityMetadatas),
    )
    const views = this.entityMetadatas.filter(
      ({ tableType, target }) => tableType === 'view' && !runtime.bindingOf(target),
    )
    await refuseViews(this, views, { statements: this.builtStatements, refusals })
    refusals.throwAny()
    await this.loadCollations()
    await this.ids?.open()
  }

  /** Asks every node how it sorts, and reports what is not the same on all: orders by it are refused when asked for. */
  private async loadCollations(): Promise<void> {
    const sharded = this.entityMetadatas.filter((metadata) => groupOf(metadata, this.model) !== undefined)
    const declared = sharded.flatMap((metadata) => metadata.columns).flatMap(({ collation }) => collation ?? [])
    const names = [defaultCollation, ...new Set(declared.map(quoted))]
    await this.eachNode((pool) => pool.loadSortFacts(names))
    const facts = [...this.pools.values()].map((pool) => pool.sortFacts)
    // Those of users that all nodes have: raw SQL may sort by them. What one node alone has is its own affair.
    const isCommon = (name: string) => facts.every(({ collations }) => collations.has(name))
    const common = [...(facts[0]?.collations.keys() ?? [])].filter((name) => {
      // Of the two names of one that the search path finds, the short one.
      const bare = name.replace(/^"(?:[^"]|"")*"\./, '')
      return isCommon(name) && (bare === name || !isCommon(bare))
    })
    for (const line of collationReport(facts, [...names, ...common])) this.logger.log('warn', line)
  }

  /** What is stored was checked before; and where another process stores its topology first, the runtime is of that. */
  private async settledRuntime(model: LookupModel): Promise<ShardRuntime> {
    const runtime = this.buildRuntime(model, this.buildMap(model))
    const { synchronize, dropSchema } = this.options
    // What schema work will refuse is not stored: who is refused goes back to the options of before.
    const refuse = async (): Promise<void> => {
      await this.refuseForeignObjects(runtime)
      await this.refuseKeyRewrite(runtime)
    }
    await this.reconcileTopology(model, () => this.buildMap(model), synchronize && !dropSchema ? refuse : undefined)
    const settled = this.buildMap(model)
    return hasSamePlaces(runtime.map, settled) ? runtime : this.buildRuntime(model, settled)
  }

  private buildRuntime(model: LookupModel, map: ShardMap): ShardRuntime {
    const tablesOf = (group: string | undefined) =>
      this.entityMetadatas.filter((metadata) => groupOf(metadata, model) === group)
    checkPhysicalNames(
      [...map.groups].map(([group, shards]) => ({ shards, metadatas: tablesOf(group) })),
      tablesOf(undefined),
    )
    const bindings = new Map<unknown, EntityBinding>()
    const ids = new IdMakers({
      home: this.pool(map.home).background,
      nodeOf: (name) => this.pool(name).background,
      parseInt8: this.sharding.parseInt8 ?? false,
    })
    this.ids = ids
    for (const entity of model.entities.values())
      bindings.set(entity.target, this.bindEntity(entity, { map, model, ids }))
    const entityShards = new EntityShards((target) => bindings.get(target))
    const handles = new Map<string, ShardHandle>()
    const template = {
      dataSource: this,
      bindingOf: (target: unknown) => bindings.get(target),
      openRunner: () => this.createQueryRunner() as ShardedQueryRunner,
      guard: new KeyGuard({
        bindingOf: (target) => bindings.get(target),
        isLoaded: (entity) => entityShards.of(entity) !== undefined,
        locate: async (binding, entity, transaction) => {
          const located = await locateRow(new ShardAccess(this.runtime, transaction), binding, entity)
          return located?.shard
        },
      }),
      words: new StatementWords(
        () => this.statements,
        () => this.createQueryRunner() as ShardedQueryRunner,
      ),
      synchronizeShard: (shard: Shard, drop: boolean) =>
        this.onShardSchema(shard, async (schema) => {
          if (!drop) await this.refuseKeyRewrite(this.runtime, shard)
          await this.synchronizeSchema(schema, shard, drop)
        }),
      dropShard: (shard: Shard) => this.onShardSchema(shard, (schema) => this.dropSchema(schema, shard)),
    }
    for (const shard of map.shards.values()) {
      const bind = shardBinder(shard, map.shards.size)
      handles.set(shard.name, {
        shard,
        bind,
        dataSource: new ShardDataSource(template, shard, () => this.pool(shard.node), bind),
      })
    }
    this.model = model
    const warn = (text: string): void => this.logger.log('warn', text)
    const lookups = bindLookups(model, {
      map,
      bindings,
      pools: [...this.pools.values()],
      askReady: async () => this.lookups.askReady(),
    })
    const transactions = { ...this.transactions, points: this.controlPoints }
    const limits = limitsOf(this.sharding)
    return new ShardRuntime(map, this.pools, handles, bindings, entityShards, warn, limits, transactions, lookups)
  }

  private model: ShardedModel = { entities: new Map(), groups: new Map() }

  private bindEntity(
    entity: ShardedEntity,
    { map, model, ids }: { readonly map: ShardMap; readonly model: ShardedModel; readonly ids: IdMakers },
  ): EntityBinding {
    const metadata = this.getMetadata(entity.target as EntityTarget<ObjectLiteral>)
    const keyColumns = entity.keyColumns.map(({ propertyPath }) => {
      const column = metadata.findColumnWithPropertyPath(propertyPath)
      if (!column) throw new RangeError(`${entity.name} has no column ${propertyPath}`)
      return column
    })
    const shards = map.groups.get(entity.group) ?? []
    const id = ids.idOf(entity, metadata, shards)
    if (id) markGenerated(id.column)
    return Object.freeze({
      entity,
      metadata,
      shards,
      keyColumns: Object.freeze(keyColumns),
      id,
      slotColumns: slotColumnsOf(metadata, (target) => model.entities.get(target)),
    })
  }

  private get catalog(): Catalog {
    return this.openCatalog ?? notConnected()
  }

  /** The node of the unsharded entities: what the options say, or else the databases know, or else the first. */
  private get home(): string {
    const { home, nodes } = this.sharding
    return home ?? this.openCatalog?.home ?? Object.keys(nodes)[0] ?? ''
  }

  /** Nothing is read or written before the databases were asked whether the options are those that they know. */
  private async reconcileTopology(
    model: ShardedModel,
    mapOf: () => ShardMap,
    beforeGrowth?: () => Promise<void>,
  ): Promise<void> {
    const { catalog } = this
    if (model.groups.size === 0) return
    const keys = tableKeys(model, this.entityMetadatas)
    const wanted = () => {
      const { groups, home } = mapOf()
      const { identities } = catalog
      return [...model.groups.values()].map((group) => ({
        name: group.name,
        print: groupPrint({
          group,
          keys: keys.get(group.name) ?? {},
          shards: groups.get(group.name) ?? [],
          home,
          identities,
        }),
      }))
    }
    await reconcileTopology(catalog, wanted, {
      beforeGrowth,
      replaces: replacesOf(this.sharding),
      tablesOf: (group) =>
        this.entityMetadatas.flatMap((metadata) => (groupOf(metadata, model) === group ? [metadata.tableName] : [])),
    })
  }

  private checkGroups(model: ShardedModel): void {
    for (const name of Object.keys(this.sharding.groups ?? {})) {
      if (!model.groups.has(name)) {
        throw new ShardedError('OPTIONS_INVALID', `groups names "${name}", and no entity is of that group.`, {
          details: { group: name },
        })
      }
    }
  }

  private buildMap(model: ShardedModel): ShardMap {
    const { nodes, groups = {} } = this.sharding
    return createShardMap({
      nodes: Object.entries(nodes).map(([name, { weight }]) => ({ name, ...(weight !== undefined && { weight }) })),
      home: this.home,
      groups: [...model.groups.values()].map((group) => {
        const placement = groups[group.name]?.placement
        const [copy] = this.catalog.copiesOf(group.name).values()
        const stored = storedPlaces(group, copy, this.catalog.names)
        return { ...group, stored, ...(placement !== undefined && { placement }) }
      }),
    })
  }

  private createPools(sessions: ReadonlyMap<string, NodeSessions>): ReadonlyMap<string, NodePool> {
    const pools = new Map<string, NodePool>()
    const turnWaits = new TurnWaits()
    for (const [name, { config, pooling }] of sessions) {
      const pool = new NodePool({
        name,
        pool: config,
        pooling,
        maxPrepared: maxPreparedOf(this.sharding, pooling),
        concurrency: this.sharding.scatter?.concurrencyPerNode,
        parseInt8: this.sharding.parseInt8,
        lockTimeoutMs: lockTimeoutOf(this.sharding),
        warn: (text) => this.logger.log('warn', text),
        bounds: boundsOf(this.sharding),
        turnWaits,
        onPoolError:
          this.sharding.poolErrorHandler ??
          ((error) => this.logger.log('warn', `Node ${name}: an idle connection failed. ${error}`)),
      })
      for (const listener of this.listeners) pool.onStatement(listener)
      pools.set(name, pool)
    }
    return pools
  }

  /** The mode that the options ask for, or else the best that all nodes allow. */
  private async openTransactions(): Promise<TransactionSettings> {
    const { transactions: asked } = this.sharding
    const isSeveral = this.pools.size > 1
    if (asked === 'best-effort' || asked === 'single-shard') return { mode: asked, twoPhase: undefined }
    if (!isSeveral) return { mode: 'two-phase', twoPhase: undefined }
    const warn = (text: string): void => this.logger.log('warn', text)
    try {
      const twoPhase = await TwoPhase.open([...this.pools.values()], { points: this.controlPoints, warn })
      return { mode: 'two-phase', twoPhase }
    } catch (error) {
      if (asked === 'two-phase' || !(error instanceof ShardedError) || error.code !== 'TWO_PHASE_UNAVAILABLE')
        throw error
      warn(`Writes over several nodes are best-effort. ${error.message}`)
      return { mode: 'best-effort', twoPhase: undefined }
    }
  }

  /** What is tidied up at the end does not wait for a silent node: others find what is left. */
  private async inTime(work: Promise<unknown> | undefined): Promise<void> {
    if (!work) return
    let failure: unknown
    await atMost(
      Math.min(this.sharding.timeouts?.destroyMs ?? defaultDestroyMs, longestTimerMs),
      work.catch((error: unknown) => {
        failure = error
      }),
    )
    if (failure) throw failure
  }

  private async endPools(): Promise<void> {
    const { twoPhase } = this.transactions
    this.transactions = { mode: 'best-effort', twoPhase: undefined }
    await this.inTime(twoPhase?.stop())
    const pools = [...this.pools.values()]
    this.pools = new Map()
    this.built = undefined
    this.builtStatements = undefined
    await Promise.all(pools.map((pool) => pool.end()))
  }

  private pool(name: string): NodePool {
    return this.pools.get(name) ?? notConnected()
  }

  private async eachNode(work: (pool: NodePool) => Promise<unknown>): Promise<void> {
    const limit = nodesAtOnce()
    const settled = await Promise.allSettled([...this.pools.values()].map((pool) => limit(() => work(pool))))
    const failed = settled.find((one) => one.status === 'rejected')
    if (failed) throw failed.reason
  }

  /** Nodes at once, the schemas of a node in turn: what they create (extensions, types) would collide. */
  private async eachSchema(work: SchemaWork, progress: SchemaProgress = new SchemaProgress()): Promise<void> {
    const { map } = this.runtime
    const { model } = this
    await this.eachNode(async ({ name: node }) => {
      const shards = [...map.shards.values()].filter((shard) => shard.node === node)
      for (const shard of node === map.home ? [undefined, ...shards] : shards)
        await progress.follow({ node, shard: shard?.name }, () => this.onSchema(node, model, shard, work))
    })
  }

  /** @throws ShardedError SCHEMA_INCOMPLETE where one schema of several fails */
  private async changeEachSchema(call: string, work: SchemaWork): Promise<void> {
    const progress = new SchemaProgress()
    try {
      await this.eachSchema(work, progress)
    } catch (error) {
      throw this.runtime.hasShardedEntities ? progress.failureOf(call, error) : error
    }
  }

  private onSchema(node: string, model: ShardedModel, shard: Shard | undefined, work: SchemaWork): Promise<void> {
    const own = this.entityMetadatas.filter((metadata) => groupOf(metadata, model) === shard?.group)
    const idColumnOf = ({ target }: EntityMetadata) => this.runtime.bindingOf(target)?.id?.column
    const metadatas = shard ? schemaMetadata(own, { shard, idColumnOf }) : own
    const lookups = shard ? this.runtime.lookups.ofGroup(shard.group) : []
    return SchemaDataSource.run({ template: this, pool: this.pool(node), metadatas, shard, lookups }, (schema) =>
      work(schema, shard),
    )
  }

  private async onShardSchema(shard: Shard, work: SchemaWork): Promise<void> {
    await this.refuseForeignObjects(this.runtime, shard)
    await this.onSchema(shard.node, this.model, shard, work)
  }

  /** All nodes are looked at before one is changed. @throws ShardedError OBJECT_NOT_OURS */
  private async refuseForeignObjects({ map, lookups }: ShardRuntime, only?: Shard): Promise<void> {
    const { model } = this
    const tablesOf = (group: string) => this.entityMetadatas.filter((metadata) => groupOf(metadata, model) === group)
    await this.eachNode(async (pool) => {
      const shards = (only ? [only] : [...map.shards.values()]).filter(({ node }) => node === pool.name)
      if (shards.length === 0) return
      const objects = shards.map((shard) => shardObjects(shard, tablesOf(shard.group), lookups))
      await refuseForeignObjects(pool, objects, this.sharding.adoptShards ?? false)
    })
  }

  /** All nodes are looked at before one is changed. @throws ShardedError TOPOLOGY_MISMATCH */
  private async refuseKeyRewrite(runtime: ShardRuntime, only?: Shard): Promise<void> {
    const { map } = runtime
    const bindings = this.entityMetadatas.flatMap(({ target }) => runtime.bindingOf(target) ?? [])
    await this.eachNode(async (pool) => {
      const shards = (only ? [only] : [...map.shards.values()]).filter(({ node }) => node === pool.name)
      if (shards.length > 0) await refuseKeyRewrite(pool, shards, bindings)
    })
  }

  private async synchronizeSchema(schema: SchemaDataSource, shard: Shard | undefined, drop: boolean): Promise<void> {
    if (shard && drop) await this.lookups.uninstall(shard)
    await schema.synchronize(drop)
    if (shard) await this.lookups.install(shard)
  }

  private async dropSchema(schema: SchemaDataSource, shard: Shard | undefined): Promise<void> {
    if (shard) await this.lookups.uninstall(shard)
    await schema.dropDatabase()
  }

  private get lookups(): LookupAdministration {
    return new LookupAdministration({
      runtime: this.runtime,
      openRunner: () => this.createQueryRunner() as ShardedQueryRunner,
      eachNode: (work) => this.eachNode(work),
    })
  }

  private bindingOf(target: EntityTarget<ObjectLiteral>): EntityBinding {
    const { target: known, name } = this.getMetadata(target)
    const binding = this.runtime.bindingOf(known)
    if (binding) return binding
    throw new ShardedError('NOT_SHARDED', `${name} is not sharded.`, { details: { entity: name } })
  }

  private refuseMigrations(): void {
    if (!this.runtime.hasShardedEntities) return
    throw new ShardedError('MIGRATIONS_UNSUPPORTED', 'The data source has sharded entities.', {})
  }
}

function notConnected(): never {
  throw new CannotExecuteNotConnectedError()
}

const groupOf = (metadata: EntityMetadata, { entities }: ShardedModel): string | undefined =>
  colocationGroup(metadata, (target) => entities.get(target)?.group)
