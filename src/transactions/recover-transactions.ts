import { sqlState } from '../endpoints/sql-state'
import type { CommitContext } from './commit-two-phase'
import { type Decision, type DecisionLog, keepDecisionMs, type PreparedTransaction } from './decision-log'

/** Younger ones belong to commits that are under way, and would only be met in the middle, in milliseconds. */
const graceMs = 200

/** What a recovery did. */
export interface RecoveryReport {
  /** Prepared transactions that were committed, since they had been decided. */
  readonly committed: number
  /** Prepared transactions that were rolled back, since they never can be. */
  readonly rolledBack: number
  /** Decision rows that nobody needs any more. */
  readonly cleaned: number
  /** What is left for the next time, and why. */
  readonly pending: readonly PendingTransaction[]
}

/** A prepared transaction that recovery could not end yet, or a node that did not answer. */
export interface PendingTransaction {
  readonly node: string
  /** The identifier of the prepared transaction; undefined where the node itself did not answer. */
  readonly id: string | undefined
  readonly reason: string
}

type RecoveryContext = Pick<CommitContext, 'reach'>

/**
 * Ends what commits in two phases left prepared: commits what was decided, rolls back what can no longer be. Any number of
 * processes may do this at once, while others commit: a decision is asked for in a way that waits for a transaction that
 * may still make it, ending a transaction twice is an error of the server that says so, and a decision row goes only
 * when every participant was seen to be ended. Transactions of other systems, and of our own kind whose deciding
 * database is none of these, are left alone.
 */
export async function recoverTransactions(
  logs: readonly DecisionLog[],
  context: RecoveryContext,
): Promise<RecoveryReport> {
  const pending: PendingTransaction[] = []
  const give = (node: string, id?: string) => (error: unknown) => {
    pending.push({ node, id, reason: error instanceof Error ? error.message : String(error) })
    return undefined
  }
  // Before the prepared ones are listed: what is decided here is prepared, or ended, there.
  const decided = await Promise.all(logs.map((log) => log.decisions(keepDecisionMs).catch(give(log.node))))
  const listed = await Promise.all(logs.map((log) => log.prepared().catch(give(log.node))))
  const byIdentity = new Map(logs.map((log) => [log.identity, log]))
  const ended = { committed: 0, rolledBack: 0 }
  const left = new Set<string>()

  const end = async (log: DecisionLog, { text, id }: PreparedTransaction, decider: DecisionLog): Promise<void> => {
    await context.reach('recovery:before-resolve', log.node)
    const hasDecided = await decider.hasDecided(id.transaction)
    if (hasDecided === undefined) throw new Error(`Its commit on node ${decider.node} is still under way.`)
    await context.reach('recovery:resolved', log.node)
    if (await endPrepared(log, text, hasDecided)) ended[hasDecided ? 'committed' : 'rolledBack'] += 1
  }

  await Promise.all(
    logs.map(async (log, index) => {
      for (const one of listed[index] ?? []) {
        left.add(one.id.transaction)
        const decider = byIdentity.get(one.id.decider)
        if (!decider || one.ageMs < graceMs) continue
        await end(log, one, decider).catch(give(log.node, one.text))
      }
    }),
  )

  const isSeen = (identity: string) =>
    logs.some((log, index) => log.identity === identity && listed[index] !== undefined)
  const isOver = ({ transaction, participants }: Decision) => !left.has(transaction) && participants.every(isSeen)
  const over = decided.map((rows) => (rows ?? []).filter(isOver).map(({ transaction }) => transaction))
  await Promise.all(logs.map((log, index) => log.clean(over[index] ?? []).catch(give(log.node))))
  return Object.freeze({ ...ended, cleaned: over.flat().length, pending: Object.freeze(pending) })
}

/** SQLSTATEs: it is not there any more; another session ends it at this moment. */
const endedByOthers = new Set(['42704', '55000'])

/** @returns false where somebody else has ended it */
async function endPrepared(log: DecisionLog, text: string, isCommit: boolean): Promise<boolean> {
  try {
    await log.query(`${isCommit ? 'COMMIT' : 'ROLLBACK'} PREPARED '${text}'`)
    return true
  } catch (error) {
    if (endedByOthers.has(sqlState(error) ?? '')) return false
    throw error
  }
}
