import { ShardedError } from '../errors/sharded-error'

/** What commit needs of one participant. */
export interface Participant {
  readonly node: string
  /** The shards of the node that the transaction touched. */
  readonly shards: readonly string[]
  /** A statement failed there: COMMIT would roll back. */
  readonly isFailed: boolean
  /** Resolves to false where the server rolled back instead. */
  commit(): Promise<boolean>
  rollback(): Promise<void>
}

/**
 * Commits participants one after the other, best effort. If the first refuses, the rest are rolled back and nothing has
 * happened: its own error is thrown. If a later one refuses, some have committed: PARTIAL_COMMIT says who.
 * One after the other, not at once: a node that has died is then most often met before anything is committed.
 *
 * @throws ShardedError PARTIAL_COMMIT, COMMIT_OUTCOME_UNKNOWN, TRANSACTION_ABORTED; else the error of the first participant
 */
export async function commitAll(participants: readonly Participant[]): Promise<void> {
  const failed = participants.length > 1 ? participants.find((one) => one.isFailed) : undefined
  if (failed) {
    await Promise.allSettled(participants.map((one) => one.rollback()))
    throw aborted(failed)
  }
  const committed: Participant[] = []
  for (const [index, participant] of participants.entries()) {
    try {
      const isCommitted = await participant.commit()
      // Alone, a failed transaction ends as in plain TypeORM; with others, it must not end half committed.
      if (!isCommitted && participants.length > 1) throw aborted(participant)
      committed.push(participant)
    } catch (error) {
      const rest = participants.slice(index + 1)
      await Promise.allSettled(rest.map((one) => one.rollback()))
      const isUnknown = error instanceof ShardedError && error.has('outcome-unknown')
      if (committed.length === 0 && (!isUnknown || participants.length === 1)) throw error
      throw partialCommit(
        { committed, failed: isUnknown ? rest : [participant, ...rest], unknown: isUnknown ? [participant] : [] },
        error,
      )
    }
  }
}

function aborted({ node }: Participant): ShardedError {
  return new ShardedError(
    'TRANSACTION_ABORTED',
    `Node ${node} rolled back: a statement of the transaction had failed there.`,
    { details: { node } },
  )
}

function partialCommit(
  outcome: Record<'committed' | 'failed' | 'unknown', readonly Participant[]>,
  cause: unknown,
): ShardedError {
  const names = (list: readonly Participant[]) =>
    list.flatMap((one) => (one.shards.length > 0 ? one.shards : [`node ${one.node}`]))
  const details = {
    committed: names(outcome.committed),
    failed: names(outcome.failed),
    unknown: names(outcome.unknown),
  }
  const text = Object.entries(details).map(([state, list]) => `${state}: ${list.join(', ') || 'none'}`)
  return new ShardedError(
    'PARTIAL_COMMIT',
    `A write over several shards was not committed everywhere (${text.join('; ')}).`,
    { details, cause },
  )
}
