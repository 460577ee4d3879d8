import type { ShardAccess } from './shard-access'
import type { ShardTransaction } from './shard-transaction'

/**
 * Runs work that must happen on all its shards or on none: inside the caller's transaction where there is one, else in one
 * of its own, committed after the work and rolled back when it throws.
 *
 * @throws what the work throws, after the rollback; what committing throws
 */
export async function inTransaction<T>(
  access: ShardAccess,
  openRunner: () => ShardTransaction,
  work: (access: ShardAccess, transaction: ShardTransaction) => Promise<T>,
): Promise<T> {
  if (access.transaction) return work(access, access.transaction)
  const leave = await access.runtime.lookups.enterWrite()
  let runner: ShardTransaction | undefined
  try {
    runner = openRunner()
    await runner.startTransaction()
    try {
      const result = await work(access.within(runner), runner)
      await runner.commitTransaction()
      return result
    } catch (error) {
      if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined)
      throw error
    }
  } finally {
    // Whatever the release throws: a place that is not given back is lost for as long as the process lives.
    await Promise.resolve(runner?.release()).finally(leave)
  }
}

/** As `inTransaction`; inside the caller's transaction it is undone by itself when it throws, whatever the caller does then. */
export async function inSavepoint<T>(
  access: ShardAccess,
  openRunner: () => ShardTransaction,
  work: (access: ShardAccess, transaction: ShardTransaction) => Promise<T>,
): Promise<T> {
  const { transaction } = access
  if (!transaction) return inTransaction(access, openRunner, work)
  return transaction.atomically(() => work(access, transaction))
}
