import { ShardedError } from '../errors/sharded-error'
import { PartialCommitError, TransactionAbortedError } from '../errors/transaction-errors'
import { type Participant, shardsOf } from './participant'
import { within } from './within'

/**
 * Commits participants one after the other, best effort. If the first refuses, the rest are rolled back and nothing has
 * happened: its own error is thrown. If a later one refuses, some have committed: PARTIAL_COMMIT says who.
 * One after the other, not at once: a node that has died is then most often met before anything is committed.
 *
 * @throws PartialCommitError, CommitOutcomeUnknownError, TransactionAbortedError; else the error of the first participant
 */
export async function commitAll(participants: readonly Participant[]): Promise<void> {
  const committed: Participant[] = []
  for (const [index, participant] of participants.entries()) {
    try {
      if (!(await participant.commit())) throw new TransactionAbortedError(participant.node)
      committed.push(participant)
    } catch (error) {
      const rest = participants.slice(index + 1)
      await rollBackAll(rest)
      const isInDoubt = isUnknown(error)
      if (committed.length === 0 && (!isInDoubt || participants.length === 1)) throw error
      throw new PartialCommitError(
        {
          committed: shardsOf(committed),
          failed: shardsOf(isInDoubt ? rest : [participant, ...rest]),
          unknown: shardsOf(isInDoubt ? [participant] : []),
        },
        error,
      )
    }
  }
}

/** Rolls back what is still open. A rollback that fails changes nothing: its connection is closed, which is one too. */
export async function rollBackAll(participants: readonly Participant[]): Promise<void> {
  await Promise.allSettled(participants.map((one) => within((cancellation) => one.rollback(cancellation))))
}

/** Whether an error leaves open what became of a commit. */
export const isUnknown = (error: unknown): boolean => error instanceof ShardedError && error.has('outcome-unknown')
