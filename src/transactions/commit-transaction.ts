import { TransactionAbortedError } from '../errors/transaction-errors'
import { commitAll, isUnknown, rollBackAll } from './commit-all'
import { type CommitContext, commitTwoPhase } from './commit-two-phase'
import type { Participant } from './participant'
import { within } from './within'

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
