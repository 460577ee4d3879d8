import { Cancellation } from '../endpoints/cancellation'
import type { StatementResult } from '../endpoints/statement-result'
import type { NodeTransaction } from './node-transaction'

/** One node's part of a transaction, as commit needs it. */
export interface Participant {
  readonly node: string
  /** The shards of the node that the transaction touched. */
  readonly shards: readonly string[]
  /** A statement failed there: COMMIT would roll back. */
  readonly isFailed: boolean
  /** Its server has an open transaction, failed or not. */
  readonly isOpen: boolean
  /** It has done what a prepared transaction may not have done: it decides, and is not prepared. */
  readonly mustDecide: boolean
  /** Its connection is gone. */
  readonly hasEnded: boolean
  /** Whether the server has given it a transaction id: without one there is nothing to commit. */
  hasWritten(cancellation?: Cancellation): Promise<boolean>
  /** Resolves to false where the server rolled back instead. */
  commit(cancellation?: Cancellation): Promise<boolean>
  rollback(cancellation?: Cancellation): Promise<void>
  /** A statement on its connection, in its transaction until that ends. */
  query(text: string, values?: readonly unknown[], cancellation?: Cancellation): Promise<StatementResult>
}

/** The shards of participants; a node by its name, where no shard of it took part. */
export const shardsOf = (participants: readonly Participant[]): readonly string[] =>
  participants.flatMap(({ node, shards }) => (shards.length > 0 ? shards : [`node ${node}`]))

/** A node that does not answer a step of a commit for so long, in milliseconds, is taken for lost. */
const stepDeadlineMs = 30_000

/** Bounds a step of a commit: a statement that its server does not answer is ended, and its connection closed where that fails. */
export async function within<T>(
  work: (cancellation: Cancellation) => Promise<T>,
  deadlineMs = stepDeadlineMs,
): Promise<T> {
  const cancellation = new Cancellation({ deadline: { at: performance.now() + deadlineMs, deadlineMs } })
  try {
    return await work(cancellation)
  } finally {
    cancellation.close()
  }
}

/** One node, as the commit over several sees it. */
export function participantOf(
  { transaction, shards }: { readonly transaction: NodeTransaction; readonly shards: ReadonlySet<string> },
  { mustDecide }: { readonly mustDecide: boolean },
): Participant {
  const { node, connection } = transaction
  return {
    node,
    shards: [...shards],
    isFailed: connection.isTransactionFailed,
    mustDecide,
    get isOpen() {
      return connection.inTransaction
    },
    get hasEnded() {
      return connection.hasEnded
    },
    hasWritten: (cancellation) => transaction.hasWritten(cancellation),
    commit: (cancellation) => transaction.commit(cancellation),
    rollback: (cancellation) => transaction.rollback(cancellation),
    query: (...statement) => transaction.query(...statement),
  }
}
