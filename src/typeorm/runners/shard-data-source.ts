import {
  DataSource,
  type EntityManager,
  type EntityTarget,
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
import type { EntityBinding } from '../binding/entity-binding'
import { ApplicationLogger } from './application-logger'
import { ShardQueryBuilder } from './array-insert-query-builder'
import type { KeyGuard } from './key-guard'
import type { OwnWords } from './own-words'
import { FacadePool, pgFacade } from './pg-facade'
import { refuseSessionOf } from './refuse-session'
import { ShardQueryRunner, type ShardSource } from './shard-query-runner'
import type { ShardTransaction } from './shard-transaction'
import { ShardedResultCache } from './sharded-result-cache'

/** What a shard's data source shares with all others. */
export interface ShardTemplate {
  readonly dataSource: DataSource
  readonly guard: KeyGuard
  readonly words: OwnWords
  readonly bindingOf: (target: unknown) => EntityBinding | undefined
  readonly openRunner: () => ShardTransaction
  readonly synchronizeShard: (shard: Shard, drop: boolean) => Promise<void>
  readonly dropShard: (shard: Shard) => Promise<void>
}

/**
 * The data source of one shard: the metadata, subscribers and logger of the whole, over the node's one pool, with every
 * statement bound to the shard. It costs some kilobytes and no connection, and is ready as soon as it is made.
 * Schema work needs the real catalog and goes to a short-lived full data source.
 */
export class ShardDataSource extends DataSource implements ShardSource {
  readonly shard: Shard
  readonly bind: BindText
  private readonly template: ShardTemplate
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
      // Those that TypeORM makes itself show no query runner to anybody.
      logger: isBrought(dataSource.options.logger) ? new ApplicationLogger(dataSource.logger) : dataSource.logger,
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

  /** For what inserts rows here. */
  bindingOf(target: unknown): EntityBinding | undefined {
    return this.template.bindingOf(target)
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

  get words(): OwnWords {
    return this.template.words
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

  /** A query runner of the application's data source: what users see of this shard's. */
  openApplicationRunner(): ShardTransaction {
    return this.template.openRunner()
  }

  get guard(): KeyGuard {
    return this.template.guard
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
