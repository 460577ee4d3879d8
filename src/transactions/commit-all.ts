import { ShardedError } from '../errors/sharded-error'
import { PartialCommitError, TransactionAbortedError } from '../errors/transaction-errors'
import type { Participant } from './participant'
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
      const isUnknown = error instanceof ShardedError && error.has('outcome-unknown')
      if (committed.length === 0 && (!isUnknown || participants.length === 1)) throw error
      const outcome = {
        committed,
        failed: isUnknown ? rest : [participant, ...rest],
        unknown: isUnknown ? [participant] : [],
      }
      throw new PartialCommitError(
        {
          committed: namesOf(outcome.committed),
          failed: namesOf(outcome.failed),
          unknown: namesOf(outcome.unknown),
        },
        error,
      )
    }
  }
}

/** Rolls back what is still open. A rollback that fails changes nothing: its connection is closed, which is one too. */
export async function rollBackAll(participants: readonly Participant[]): Promise<void> {
  await Promise.allSettled(participants.map((one) => within((fuse) => one.rollback(fuse))))
}

/** The shards of participants; a node by its name, where no shard of it took part. */
function namesOf(participants: readonly Participant[]): readonly string[] {
  return participants.flatMap(({ node, shards }) => (shards.length > 0 ? shards : [`node ${node}`]))
}
