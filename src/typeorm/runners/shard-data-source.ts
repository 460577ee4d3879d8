import {
  DataSource,
  type EntityTarget,
  type ObjectLiteral,
  type QueryRunner,
  type ReplicationMode,
  type SelectQueryBuilder,
} from 'typeorm'
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver'
import type { NodePool } from '../../execution/node-pool'
import type { Shard } from '../../topology/shard'
import type { EntityBinding } from '../binding/entity-binding'
import { ShardQueryBuilder } from './array-insert-query-builder'
import type { BindText } from './bound-client'
import { GuardedBroadcaster, type KeyGuard } from './key-guard'
import type { OwnWords } from './own-words'
import { FacadePool, pgFacade } from './pg-facade'
import { refuseSessionOf } from './refuse-session'
import { ShardQueryRunner } from './shard-query-runner'
import { ShardedResultCache } from './sharded-result-cache'

/** What a shard's data source shares with all others. */
export interface ShardTemplate {
  readonly dataSource: DataSource
  readonly guard: KeyGuard
  readonly words: OwnWords
  readonly bindingOf: (target: unknown) => EntityBinding | undefined
  readonly synchronizeShard: (shard: Shard, drop: boolean) => Promise<void>
  readonly dropShard: (shard: Shard) => Promise<void>
}

/**
 * The data source of one shard: the metadata, subscribers and logger of the whole, over the node's one pool, with every
 * statement bound to the shard. It costs some kilobytes and no connection, and is ready as soon as it is made.
 * Schema work needs the real catalog and goes to a short-lived full data source.
 */
export class ShardDataSource extends DataSource {
  readonly shard: Shard
  private readonly template: ShardTemplate

  constructor(template: ShardTemplate, shard: Shard, pool: () => NodePool, bind: BindText) {
    const { dataSource } = template
    super({
      ...dataSource.options,
      type: 'postgres',
      logging: false,
      cache: false,
      driver: pgFacade(pool),
      nativeDriver: false,
    } as never)
    this.shard = shard
    this.template = template
    const { queryResultCache: cache } = dataSource
    const { facts } = pool()
    const driver = this.driver as PostgresDriver
    driver.master = new FacadePool(pool, bind, shard.name)
    driver.version = facts.version
    driver.database = facts.database
    driver.searchSchema = facts.searchSchema
    driver.schema = facts.searchSchema
    driver.isGeneratedColumnsSupported = true
    Object.assign(this, {
      logger: dataSource.logger,
      namingStrategy: dataSource.namingStrategy,
      entityMetadatas: dataSource.entityMetadatas,
      entityMetadatasMap: dataSource.entityMetadatasMap,
      subscribers: dataSource.subscribers,
      options: { ...this.options, cache: dataSource.options.cache },
      queryResultCache: cache && new ShardedResultCache(() => dataSource.queryResultCache ?? cache, shard.name),
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
    if (alias) return super.createQueryBuilder(entityOrRunner as EntityTarget<ObjectLiteral>, alias, queryRunner)
    return new ShardQueryBuilder(this, entityOrRunner as QueryRunner | undefined)
  }

  override createQueryRunner(mode: ReplicationMode = 'master'): QueryRunner {
    const runner = new ShardQueryRunner(this, mode, this.words)
    return this.guarded(Object.assign(runner, { manager: this.createEntityManager(runner) }))
  }

  get words(): OwnWords {
    return this.template.words
  }

  /** Lets the guard look at what a query runner of this shard writes. */
  guarded<Runner extends QueryRunner>(runner: Runner): Runner {
    return Object.assign(runner, { broadcaster: new GuardedBroadcaster(runner, this.template.guard, this.shard) })
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
