import { type ErrorDetails, ShardedError } from './sharded-error'

interface Options {
  readonly details?: ErrorDetails
  readonly cause?: unknown
}

/**
 * Some shards have committed and others have not, by name: where commits are best-effort, or somebody has ended a prepared transaction by hand.
 *
 * @example
 * catch (error) {
 *   if (error instanceof PartialCommitError) await repair(error.details.failed) // names of shards
 * }
 */
export class PartialCommitError extends ShardedError {
  declare readonly details: Readonly<Record<'committed' | 'failed' | 'unknown', readonly string[]>>

  constructor(outcome: PartialCommitError['details'], cause: unknown) {
    const text = Object.entries(outcome).map(([state, list]) => `${state}: ${list.join(', ') || 'none'}`)
    super('PARTIAL_COMMIT', `A write over several shards was not committed everywhere (${text.join('; ')}).`, {
      details: { ...outcome },
      cause,
    })
  }
}

/**
 * A COMMIT was not acknowledged. Over several nodes in two phases it has taken effect on all of them or on none.
 *
 * @example
 * catch (error) {
 *   if (error instanceof CommitOutcomeUnknownError) await readAgain() // before anything is repeated
 * }
 */
export class CommitOutcomeUnknownError extends ShardedError {
  constructor(message: string, options: Options = {}) {
    super('COMMIT_OUTCOME_UNKNOWN', message, options)
  }
}

/**
 * Nothing was committed.
 *
 * @example
 * catch (error) {
 *   if (error instanceof TransactionAbortedError && error.labels.includes('retryable')) await transfer() // once more
 * }
 */
export class TransactionAbortedError extends ShardedError {
  /** @param retryable the transaction was not at fault: the same again may succeed */
  constructor(
    node: string,
    { cause, retryable = false }: { readonly cause?: unknown; readonly retryable?: boolean } = {},
  ) {
    const why = retryable
      ? 'lost the connection before it had committed'
      : 'rolled back: a statement of the transaction had failed there'
    super('TRANSACTION_ABORTED', `Node ${node} ${why}.`, {
      details: { node },
      ...(cause !== undefined && { cause }),
      labels: retryable ? ['no-writes', 'retryable'] : ['no-writes'],
    })
  }
}
