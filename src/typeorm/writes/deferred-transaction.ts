import type { EntityManager } from 'typeorm'
import { BroadcasterResult } from 'typeorm/subscriber/BroadcasterResult'
import { copyWith } from '../../collections/copy-with'
import { ParticipantQueryRunner } from '../runners/participant-query-runner'
import { RestingBroadcaster } from '../runners/resting-broadcaster'
import type { ShardTransaction } from '../runners/shard-transaction'
import type { ShardWrite } from './run-works'

/** Tells subscribers of a transaction when something is to be written in it, and of its end if they were told. */
class DeferredBroadcaster extends RestingBroadcaster {
  private begun: Promise<void> | undefined
  private hasBegun = false

  /** Asked for by several shards, it tells once. */
  begin(): Promise<void> {
    this.begun ??= this.tellStart()
    return this.begun
  }

  private async tellStart(): Promise<void> {
    const before = new BroadcasterResult()
    super.broadcastBeforeTransactionStartEvent(before)
    await before.wait()
    this.hasBegun = true
    const after = new BroadcasterResult()
    super.broadcastAfterTransactionStartEvent(after)
    await after.wait()
  }

  override broadcastBeforeTransactionStartEvent(): void {}
  override broadcastAfterTransactionStartEvent(): void {}
  override broadcastBeforeTransactionCommitEvent(result: BroadcasterResult): void {
    if (this.hasBegun) super.broadcastBeforeTransactionCommitEvent(result)
  }
  override broadcastAfterTransactionCommitEvent(result: BroadcasterResult): void {
    if (this.hasBegun) super.broadcastAfterTransactionCommitEvent(result)
  }
  override broadcastBeforeTransactionRollbackEvent(result: BroadcasterResult): void {
    if (this.hasBegun) super.broadcastBeforeTransactionRollbackEvent(result)
  }
  override broadcastAfterTransactionRollbackEvent(result: BroadcasterResult): void {
    if (this.hasBegun) super.broadcastAfterTransactionRollbackEvent(result)
  }
}

/**
 * A transaction that subscribers hear of when it has work: on one database TypeORM reads what it saves, and starts none where
 * nothing has changed.
 */
export const deferred =
  (openRunner: () => ShardTransaction): (() => ShardTransaction) =>
  () => {
    const runner = openRunner()
    return Object.assign(runner, { broadcaster: new DeferredBroadcaster(runner) })
  }

/** A write in such a transaction: TypeORM starts one when it has work, and subscribers are told then. */
export function begins<T>({ broadcaster }: ShardTransaction, write: ShardWrite<T>): ShardWrite<T> {
  if (!(broadcaster instanceof DeferredBroadcaster)) return write
  const work = (manager: EntityManager): Promise<T> => {
    const { queryRunner } = manager
    if (queryRunner instanceof ParticipantQueryRunner) queryRunner.onStart(() => broadcaster.begin())
    return write.work(manager)
  }
  return copyWith(write, { work })
}
