import type { EntityManager } from 'typeorm'
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver'
import { PostgresQueryRunner } from 'typeorm/driver/postgres/PostgresQueryRunner'
import type { Lease } from '../../execution/node-pool'
import type { BoundClient } from './bound-client'
import type { ShardDataSource } from './shard-data-source'

/**
 * A query runner of one shard on a connection that was taken for it: TypeORM's own runner takes its connection by itself,
 * and cannot be told of limits.
 */
export class LeasedQueryRunner extends PostgresQueryRunner {
  declare readonly manager: EntityManager

  constructor(
    dataSource: ShardDataSource,
    client: BoundClient,
    private readonly lease: Lease,
  ) {
    super(dataSource.driver as PostgresDriver, 'master')
    this.databaseConnection = client
    dataSource.guarded(this)
    dataSource.createEntityManager(this)
  }

  override async release(): Promise<void> {
    if (this.isReleased) return
    this.isReleased = true
    this.lease.release()
  }
}
