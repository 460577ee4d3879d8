import { ShardedError } from '../errors/sharded-error'
import type { Row } from '../merging/row'
import { assertNever } from '../planning/read-plan'
import type { NodeStatement } from '../planning/scatter-statement'
import type { MovePlan, TransactionPlan, WriteParts, WritePlan } from '../planning/write-plan'
import type { Shard } from '../topology/shard'

/** What the executor asks of the operation that it runs for. */
export interface WriteHost<T> {
  /** Writes each shard's part. @returns the results in the order of the shards, or one for all that are alike */
  write(parts: WriteParts): Promise<readonly T[]>
  /** Moves rows to the shards of their new keys, and keeps the lookups of these. */
  move(plan: MovePlan): Promise<readonly T[]>
  /** Runs work in a transaction, which is committed when the work has succeeded and rolled back when it throws. */
  inTransaction(plan: TransactionPlan, work: (host: WriteHost<T>) => Promise<readonly T[]>): Promise<readonly T[]>
  /** Writes to the lookups what the triggers of shards have noted. */
  keepLookups(shards: readonly Shard[]): Promise<void>
  /** Sends statements, all nodes at once; the answers come in the order of the statements. */
  query(statements: readonly NodeStatement[]): Promise<readonly (readonly Row[])[]>
  /** Waits until each shard's own statement may be sent. False where no node has refused one of several shards. */
  hasRefused(): Promise<boolean>
}

/**
 * Runs a plan: a fold over its nodes.
 *
 * @returns the results of the shards, in their order
 * @throws what the host throws, and what the answers of a sequence forbid
 */
export async function executeWrite<T>(plan: WritePlan, host: WriteHost<T>): Promise<readonly T[]> {
  switch (plan.kind) {
    case 'write':
      return host.write(plan)
    case 'move':
      return host.move(plan)
    case 'transaction':
      return inTransaction(plan, host)
    case 'lookups': {
      const results = await executeWrite(plan.source, host)
      await host.keepLookups(plan.shards)
      return results
    }
    case 'sequence':
      return executeWrite(plan.rest.plan(await host.query(plan.first)), host)
    default:
      return assertNever(plan)
  }
}

async function inTransaction<T>(plan: TransactionPlan, host: WriteHost<T>): Promise<readonly T[]> {
  try {
    return await host.inTransaction(plan, (inner) => executeWrite(plan.source, inner))
  } catch (error) {
    // Nothing is left of it.
    if (plan.otherwise && (await host.hasRefused())) return executeWrite(plan.otherwise, host)
    if (plan.pace === 'at-once-first' && hasWaited(error)) return inTransaction({ ...plan, pace: 'in-turn' }, host)
    throw error
  }
}

const hasWaited = (error: unknown): boolean => error instanceof ShardedError && error.code === 'LOCK_TIMEOUT'
