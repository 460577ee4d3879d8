import type { IsolationLevel } from 'typeorm/driver/types/IsolationLevel'
import type { BoundClient } from '../../endpoints/bound-client'
import { ShardQueryRunner, type ShardSource } from './shard-query-runner'
import type { ShardTransaction } from './shard-transaction'

/**
 * A query runner of one shard for one piece of work inside a transaction over shards: it speaks on the connection of its node's transaction,
 * bound to its shard. To TypeORM it is in a transaction already, so that `save` opens none; the connection is not its to
 * give back.
 */
export class ParticipantQueryRunner extends ShardQueryRunner {
  /** What TypeORM's own start of a transaction does: it is told of the one that there is. */
  private told: (() => Promise<void>) | undefined
  private hasStarted = true
  /** Transactions inside of it that TypeORM has started here. */
  private nested = 0

  constructor(
    source: ShardSource,
    private readonly boundClient: BoundClient,
    private readonly part: ShardTransaction,
    { hasOwnWords = true }: { readonly hasOwnWords?: boolean } = {},
  ) {
    super(source, { client: boundClient, application: part, hasOwnWords })
  }

  override get transaction(): ShardTransaction {
    return this.part
  }

  protected override get isActive(): boolean {
    return this.hasStarted && !this.isReleased
  }

  override async connect(): Promise<unknown> {
    return this.boundClient
  }

  /** Its transaction's end releases it. */
  override async release(): Promise<void> {}

  /**
   * Reports the runner as idle, so that TypeORM calls `startTransaction()`, which it does where it has work. That call joins the
   * outer transaction, and the matching commit does nothing.
   */
  onStart(told: () => Promise<void>): void {
    this.told = told
    this.hasStarted = false
  }

  override async startTransaction(isolationLevel?: IsolationLevel): Promise<void> {
    if (this.hasStarted) {
      await super.startTransaction(isolationLevel)
      this.nested += 1
      return
    }
    await this.told?.()
    this.hasStarted = true
  }

  override async commitTransaction(): Promise<void> {
    if (this.endsNested()) return super.commitTransaction()
  }

  override async rollbackTransaction(): Promise<void> {
    if (this.endsNested()) return super.rollbackTransaction()
  }

  /** False where what TypeORM ends is the transaction that it was told of: that one is ended by who opened it. */
  private endsNested(): boolean {
    if (this.nested === 0) return this.told === undefined
    this.nested -= 1
    return true
  }

  /** After the transaction's end: TypeORM then refuses to use the runner. */
  end(): void {
    this.isReleased = true
  }
}
