import type { Lease } from '../../execution/node-pool'
import type { BoundClient } from './bound-client'
import type { ShardDataSource } from './shard-data-source'
import { ShardQueryRunner } from './shard-query-runner'

/**
 * A query runner of one shard on a connection that was taken for it: TypeORM's own runner takes its connection by itself,
 * and cannot be told of limits.
 */
export class LeasedQueryRunner extends ShardQueryRunner {
  constructor(
    dataSource: ShardDataSource,
    client: BoundClient,
    private readonly lease: Lease,
  ) {
    super(dataSource, 'master', dataSource.words)
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
