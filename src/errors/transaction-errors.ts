import { type ErrorDetails, ShardedError } from './sharded-error'

interface Options {
  readonly details?: ErrorDetails
  readonly cause?: unknown
}

/** Some shards have committed and others have not, by name; only where commits are best-effort. */
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

/** A COMMIT was not acknowledged. Over several nodes in two phases it has taken effect on all of them or on none. */
export class CommitOutcomeUnknownError extends ShardedError {
  constructor(message: string, options: Options = {}) {
    super('COMMIT_OUTCOME_UNKNOWN', message, options)
  }
}

/** Nothing was committed. */
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
