import type { DataSource } from 'typeorm'
import { isShardTransaction, type ShardTransaction } from '../runners/shard-transaction'

/** A new query runner of a sharded data source. To TypeORM's types it is that of any data source. */
export function openRunner(dataSource: DataSource): ShardTransaction {
  const runner = dataSource.createQueryRunner()
  if (isShardTransaction(runner)) return runner
  throw new RangeError('A sharded data source made a query runner that is not its own.')
}
