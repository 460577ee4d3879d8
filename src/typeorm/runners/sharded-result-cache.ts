import type { QueryRunner } from 'typeorm'
import type { QueryResultCache } from 'typeorm/cache/QueryResultCache'
import type { QueryResultCacheOptions } from 'typeorm/cache/QueryResultCacheOptions'
import { isShardTransaction, releasedAfter } from './shard-transaction'

/**
 * TypeORM's cache of results, which lies on the home node. What was read on one shard alone is kept apart under the shard's
 * name: its SQL and its identifiers are the same on every shard.
 */
export class ShardedResultCache implements QueryResultCache {
  constructor(
    private readonly cache: () => QueryResultCache,
    /** Opens a query runner of the application's data source. */
    private readonly openRunner: () => QueryRunner,
    /** The shard whose data source reads. */
    private readonly shard?: string,
  ) {}

  connect(): Promise<void> {
    return this.cache().connect()
  }

  disconnect(): Promise<void> {
    return this.cache().disconnect()
  }

  synchronize(queryRunner?: QueryRunner): Promise<void> {
    return this.cache().synchronize(queryRunner)
  }

  async getFromCache(
    options: QueryResultCacheOptions,
    queryRunner?: QueryRunner,
  ): Promise<QueryResultCacheOptions | undefined> {
    if (this.isApart(queryRunner)) return undefined
    return this.onRunner(queryRunner, (runner) => this.cache().getFromCache(this.scoped(options, queryRunner), runner))
  }

  async storeInCache(
    options: QueryResultCacheOptions,
    savedCache: QueryResultCacheOptions | undefined,
    queryRunner?: QueryRunner,
  ): Promise<void> {
    if (this.isApart(queryRunner)) return
    await this.onRunner(queryRunner, (runner) =>
      this.cache().storeInCache(this.scoped(options, queryRunner), savedCache, runner),
    )
  }

  isExpired(savedCache: QueryResultCacheOptions): boolean {
    return this.cache().isExpired(savedCache)
  }

  clear(queryRunner?: QueryRunner): Promise<void> {
    return this.cache().clear(inTransaction(queryRunner))
  }

  remove(identifiers: string[], queryRunner?: QueryRunner): Promise<void> {
    const { shard } = this
    const own = shard === undefined ? identifiers : identifiers.map((identifier) => scopedName(shard, identifier))
    return this.cache().remove(own, inTransaction(queryRunner))
  }

  /**
   * Outside of a transaction a cache has a query runner for one call: its connection is given back before the shards are
   * asked. Who waits for a turn on a node holds no connection.
   */
  private async onRunner<T>(given: QueryRunner | undefined, work: (runner: QueryRunner) => Promise<T>): Promise<T> {
    const transaction = inTransaction(given)
    return transaction ? work(transaction) : releasedAfter(this.openRunner(), work)
  }

  /** A transaction of a shard does not hold the home node: what it has not committed must not be cached for others. */
  private isApart(queryRunner: QueryRunner | undefined): boolean {
    return !isShardTransaction(queryRunner) && queryRunner?.isTransactionActive === true
  }

  private scoped(options: QueryResultCacheOptions, queryRunner: QueryRunner | undefined): QueryResultCacheOptions {
    const scope = this.shard ?? (isShardTransaction(queryRunner) ? queryRunner.narrowing?.cacheScope : undefined)
    if (scope === undefined) return options
    const { identifier, query } = options
    return {
      ...options,
      ...(identifier && { identifier: scopedName(scope, identifier) }),
      ...(query && { query: scopedName(scope, query) }),
    }
  }
}

const scopedName = (shard: string, name: string): string => `${shard}:${name}`

const inTransaction = (queryRunner: QueryRunner | undefined): QueryRunner | undefined =>
  isShardTransaction(queryRunner) && queryRunner.isInTransaction ? queryRunner : undefined
