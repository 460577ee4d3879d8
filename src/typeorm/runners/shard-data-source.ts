import {
  DataSource,
  type EntityManager,
  type EntityTarget,
  type Logger,
  type ObjectLiteral,
  type QueryRunner,
  type ReplicationMode,
  type SelectQueryBuilder,
} from 'typeorm'
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver'
import type { BindText } from '../../endpoints/bound-client'
import type { NodePool } from '../../endpoints/node-pool'
import { PooledClient, type PooledClientSettings } from '../../endpoints/pooled-client'
import type { Shard } from '../../topology/shard'
import { ShardQueryBuilder } from './array-insert-query-builder'
import { FacadePool, pgFacade } from './pg-facade'
import { refuseSessionOf } from './refuse-session'
import { ShardQueryRunner, type ShardSource, type ShardTemplate } from './shard-query-runner'
import type { ShardTransaction } from './shard-transaction'
import { ShardedResultCache } from './sharded-result-cache'

/**
 * The data source of one shard: the metadata, subscribers and logger of the whole, over the node's one pool, with every
 * statement bound to the shard. It costs some kilobytes and no connection, and is ready as soon as it is made.
 * Schema work needs the real catalog and goes to a short-lived full data source.
 */
export class ShardDataSource extends DataSource implements ShardSource {
  readonly shard: Shard
  readonly bind: BindText
  /** For this package's own parts. */
  readonly template: ShardTemplate
  private readonly pool: () => NodePool

  constructor(template: ShardTemplate, shard: Shard, pool: () => NodePool, bind: BindText) {
    const { dataSource } = template
    super({
      ...dataSource.options,
      type: 'postgres',
      logging: false,
      cache: false,
      driver: pgFacade(pool),
      nativeDriver: false,
      // The options of all drivers are one union, of which a spread is none.
    } as never)
    this.shard = shard
    this.bind = bind
    this.pool = pool
    this.template = template
    const { queryResultCache: cache } = dataSource
    const { facts } = pool()
    // The type above says which driver it is.
    const driver = this.driver as PostgresDriver
    driver.master = new FacadePool(pool, bind, shard.name)
    driver.version = facts.version
    driver.database = facts.database
    driver.searchSchema = facts.searchSchema
    driver.schema = facts.searchSchema
    driver.isGeneratedColumnsSupported = true
    Object.assign(this, {
      logger: isBrought(dataSource.options.logger) ? applicationLogger(dataSource.logger) : dataSource.logger,
      namingStrategy: dataSource.namingStrategy,
      entityMetadatas: dataSource.entityMetadatas,
      entityMetadatasMap: dataSource.entityMetadatasMap,
      subscribers: dataSource.subscribers,
      options: { ...this.options, cache: dataSource.options.cache },
      queryResultCache:
        cache && new ShardedResultCache(() => dataSource.queryResultCache ?? cache, template.openRunner, shard.name),
      isInitialized: true,
    })
  }

  /**
   * True where a statement shows its query runner to the application: to subscribers, or to a logger that the application brought.
   * TypeORM's own loggers show it to nobody.
   */
  get showsRunner(): boolean {
    return this.subscribers.length > 0 || isBrought(this.options.logger)
  }

  override async initialize(): Promise<this> {
    return this
  }

  /** Inserts, which TypeORM makes by a builder without an alias, are of array parameters where they can be. */
  override createQueryBuilder<Entity extends ObjectLiteral>(
    entityClass: EntityTarget<Entity>,
    alias: string,
    queryRunner?: QueryRunner,
  ): SelectQueryBuilder<Entity>
  // TypeORM's own default type.
  // biome-ignore lint/suspicious/noExplicitAny: the signature is TypeORM's
  override createQueryBuilder(queryRunner?: QueryRunner): SelectQueryBuilder<any>
  override createQueryBuilder(
    entityOrRunner?: EntityTarget<ObjectLiteral> | QueryRunner,
    alias?: string,
    queryRunner?: QueryRunner,
  ): SelectQueryBuilder<ObjectLiteral> {
    // With an alias the first argument is an entity, and without one a query runner: see the overloads.
    if (alias) return super.createQueryBuilder(entityOrRunner as EntityTarget<ObjectLiteral>, alias, queryRunner)
    // As above.
    return new ShardQueryBuilder(this, entityOrRunner as QueryRunner | undefined)
  }

  /** A session of this shard: a query runner that keeps the connection that it takes. */
  override createQueryRunner(mode?: ReplicationMode): QueryRunner {
    return new ShardQueryRunner(this, mode ? { mode } : {})
  }

  /** A query runner for one operation, which holds a connection only while it sends a statement, or is in a transaction. */
  operationRunner(limits: Pick<PooledClientSettings, 'cancellation' | 'permits' | 'held'> = {}): ShardQueryRunner {
    const { bind, shard } = this
    const client = new PooledClient({ pool: this.pool(), bind, shard: shard.name, ...limits })
    return new ShardQueryRunner(this, { client, cancellation: limits.cancellation })
  }

  /** A manager of this shard inside a transaction, which opens the shard's node when it is first used. */
  joining(transaction: ShardTransaction): EntityManager {
    return new ShardQueryRunner(this, { application: transaction }).manager
  }

  /** @throws ShardedError SESSION_NEEDS_RUNNER for what would stay in a session of the pool */
  // TypeORM's own default type of a raw result.
  // biome-ignore lint/suspicious/noExplicitAny: the signature is TypeORM's
  override async query<T = any>(
    query: string,
    parameters?: unknown[] | ObjectLiteral,
    queryRunner?: QueryRunner,
  ): Promise<T> {
    if (!queryRunner) await refuseSessionOf(query, parameters)
    return super.query(query, parameters, queryRunner)
  }

  /** Closes nothing: the connections are the node's. */
  override async destroy(): Promise<void> {}

  override synchronize(dropBeforeSync = false): Promise<void> {
    return this.template.synchronizeShard(this.shard, dropBeforeSync)
  }

  override dropDatabase(): Promise<void> {
    return this.template.dropShard(this.shard)
  }

  protected override async buildMetadatas(): Promise<void> {}
}

const isBrought = (logger: unknown): boolean => typeof logger === 'object' && logger !== null

/** Tells a logger that the application brought of its own query runner, in place of a shard's. */
const applicationLogger = (logger: Logger): Logger =>
  new Proxy(logger, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name)
      if (typeof method !== 'function') return method
      return (...given: readonly unknown[]): unknown => Reflect.apply(method, target, given.map(applicationOf))
    },
  })

const applicationOf = (given: unknown): unknown => (given instanceof ShardQueryRunner ? given.application : given)
