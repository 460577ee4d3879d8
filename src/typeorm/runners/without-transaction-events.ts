import { RestingBroadcaster } from './resting-broadcaster'
import type { ShardTransaction } from './shard-transaction'

/** Tells subscribers of rows, and not of the transaction around them. */
class RowEventsBroadcaster extends RestingBroadcaster {
  override broadcastBeforeTransactionStartEvent(): void {}
  override broadcastAfterTransactionStartEvent(): void {}
  override broadcastBeforeTransactionCommitEvent(): void {}
  override broadcastAfterTransactionCommitEvent(): void {}
  override broadcastBeforeTransactionRollbackEvent(): void {}
  override broadcastAfterTransactionRollbackEvent(): void {}
}

/** A transaction that subscribers do not hear of: on one database, one statement needs none. */
export const withoutTransactionEvents =
  (openRunner: () => ShardTransaction): (() => ShardTransaction) =>
  () => {
    const runner = openRunner()
    return Object.assign(runner, { broadcaster: new RowEventsBroadcaster(runner) })
  }
