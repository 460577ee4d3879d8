import type { QueryRunner } from 'typeorm'
import type { IsolationLevel } from 'typeorm/driver/types/IsolationLevel'
import type { BoundClient } from '../../endpoints/bound-client'
import { mayNameOtherTables } from '../../sql/reads-tables'
import { mayChangeSession } from '../../sql/session-text'
import type { Query } from './own-words-query-runner'
import { ShardQueryRunner, type ShardSource } from './shard-query-runner'
import type { ShardTransaction } from './shard-transaction'
import { StatementOfOneShard } from './statement-of-one-shard'
import type { RoundPart } from './write-round'

/**
 * A query runner of one shard inside a transaction over shards: it speaks on the connection of its node's transaction,
 * bound to its shard. To TypeORM it is in a transaction already, so that `save` opens none; the connection is not its to
 * give back.
 */
export class ParticipantQueryRunner extends ShardQueryRunner {
  /** What TypeORM's own start of a transaction does: it is told of the one that there is. */
  private told: (() => Promise<void>) | undefined
  private hasStarted = true
  /** Transactions inside of it that TypeORM has started here. */
  private nested = 0
  /** While its statement goes with those of other shards. */
  private round: { readonly part: RoundPart; readonly client: BoundClient } | undefined

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
    return this.round?.client ?? this.boundClient
  }

  /**
   * Runs the work with its first statement sent by a round.
   *
   * @throws StatementOfOneShard where the part is of several shards, and what this shard makes of the statement may be its own
   */
  async inRound<T>(part: RoundPart, work: () => Promise<T>): Promise<T> {
    this.round = { part, client: part.client(this.boundClient) }
    try {
      return await work()
    } finally {
      this.round = undefined
    }
  }

  override query(...given: Query): Promise<never> {
    const [text] = given
    const isOfMany = this.round !== undefined && this.round.part.shards.length > 1
    if (isOfMany && (mayNameOtherTables(text) || mayChangeSession(text)))
      return Promise.reject(new StatementOfOneShard())
    return super.query(...given)
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

/** Runs the work of a part of a write, whose first statement goes with those of the other parts. */
export const inRound = <T>(runner: QueryRunner | undefined, part: RoundPart, work: () => Promise<T>): Promise<T> =>
  runner instanceof ParticipantQueryRunner ? runner.inRound(part, work) : work()
