import type { Cancellation } from '../endpoints/cancellation'
import type { StatementResult } from '../endpoints/statement-result'

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
