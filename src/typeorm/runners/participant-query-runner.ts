import type { IsolationLevel } from 'typeorm/driver/types/IsolationLevel'
import type { BoundClient } from './bound-client'
import type { ShardDataSource } from './shard-data-source'
import { ShardQueryRunner } from './shard-query-runner'
import type { ShardTransaction } from './shard-transaction'

/**
 * A query runner of one shard inside a transaction over shards: it speaks on the connection of its node's transaction,
 * bound to its shard. To TypeORM it is in a transaction already, so that `save` opens none; the connection is not its to
 * give back.
 */
export class ParticipantQueryRunner extends ShardQueryRunner {
  /** What TypeORM's own start of a transaction does: it is told of the one that there is. */
  private told: (() => Promise<void>) | undefined

  /** @param transaction what it is a part of; undefined for the statements of a scatter, which write nothing */
  constructor(dataSource: ShardDataSource, client: BoundClient, transaction?: ShardTransaction) {
    // The statements of a scatter are bound already.
    super(dataSource, 'master', transaction && dataSource.words, transaction)
    this.databaseConnection = client
    this.isTransactionActive = true
    this.transactionDepth = 1
    dataSource.guarded(this)
    dataSource.createEntityManager(this)
  }

  override async release(): Promise<void> {}

  /** Lets the next operation start a transaction, as it does where it has work; it then is in this one, and so does not end it. */
  onStart(told: () => Promise<void>): void {
    this.told = told
    this.isTransactionActive = false
  }

  override async startTransaction(isolationLevel?: IsolationLevel): Promise<void> {
    if (this.isTransactionActive || !this.told) return super.startTransaction(isolationLevel)
    await this.told()
    this.isTransactionActive = true
  }

  override async commitTransaction(): Promise<void> {
    if (!this.isOutermost) return super.commitTransaction()
  }

  override async rollbackTransaction(): Promise<void> {
    if (!this.isOutermost) return super.rollbackTransaction()
  }

  private get isOutermost(): boolean {
    return this.told !== undefined && this.transactionDepth === 1
  }

  /** After the transaction's end: TypeORM then refuses to use the runner. */
  end(): void {
    this.isTransactionActive = false
    this.isReleased = true
  }
}
