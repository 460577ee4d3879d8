import { ShardedError } from '../errors/sharded-error'
import { PartialCommitError, TransactionAbortedError } from '../errors/transaction-errors'
import { type CommitContext, commitTwoPhase } from './commit-two-phase'
import { type Participant, shardsOf, within } from './participant'

/**
 * Commits participants one after the other, best effort. If the first refuses, the rest are rolled back and nothing has
 * happened: its own error is thrown. If a later one refuses, some have committed: PARTIAL_COMMIT says who.
 * One after the other, not at once: a node that has died is then most often met before anything is committed.
 *
 * @throws PartialCommitError, CommitOutcomeUnknownError, TransactionAbortedError; else the error of the first participant
 */
async function commitAll(participants: readonly Participant[]): Promise<void> {
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
async function rollBackAll(participants: readonly Participant[]): Promise<void> {
  await Promise.allSettled(participants.map((one) => within((cancellation) => one.rollback(cancellation))))
}

/** Whether an error leaves open what became of a commit. */
const isUnknown = (error: unknown): boolean => error instanceof ShardedError && error.has('outcome-unknown')

/**
 * Commits a transaction over nodes. One node: COMMIT. Several: those that have only read first, where serializable
 * transactions may still be refused; then the writers, in two phases where there are several and `twoPhase` is given, one
 * after the other where not.
 *
 * @throws PartialCommitError (best-effort only), CommitOutcomeUnknownError, TransactionAbortedError; else the error of
 *   the participant that refused, and nothing is committed
 */
export async function commitTransaction(participants: readonly Participant[], twoPhase?: CommitContext): Promise<void> {
  const [only, another] = participants
  if (!only) return
  if (!another) {
    // As in plain TypeORM: a failed transaction ends by COMMIT, and the server rolls back.
    await only.commit()
    return
  }
  const failed = participants.find((one) => one.isFailed)
  if (failed) {
    await rollBackAll(participants)
    throw new TransactionAbortedError(failed.node)
  }
  const { readers, writers } = await split(participants)
  for (const reader of readers) {
    try {
      await within((cancellation) => reader.commit(cancellation))
    } catch (error) {
      await rollBackAll([...readers, ...writers].filter((one) => one.isOpen))
      throw isUnknown(error) ? new TransactionAbortedError(reader.node, { cause: error, retryable: true }) : error
    }
  }
  return twoPhase && writers.length > 1 ? commitTwoPhase(writers, twoPhase) : commitAll(writers)
}

interface Sides {
  readonly readers: readonly Participant[]
  readonly writers: readonly Participant[]
}

async function split(participants: readonly Participant[]): Promise<Sides> {
  try {
    const haveWritten = await Promise.all(
      participants.map((one) => within((cancellation) => one.hasWritten(cancellation))),
    )
    return {
      readers: participants.filter((_, index) => !haveWritten[index]),
      // The first decides.
      writers: participants
        .filter((_, index) => haveWritten[index])
        .sort((a, b) => Number(b.mustDecide) - Number(a.mustDecide)),
    }
  } catch (error) {
    await rollBackAll(participants)
    throw error
  }
}
