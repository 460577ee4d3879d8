import type { DecisionLog } from './decision-log'

/** What became of a prepared transaction that is no longer there. */
export type PreparedOutcome = 'committed' | 'aborted' | 'unknown'

/** Goes before PREPARE TRANSACTION, in the same message. */
export const askXid = 'SELECT pg_current_xact_id()::text AS xid;'

/**
 * Asks a node what became of a transaction that was prepared there, by its transaction id. The id of a prepared transaction is
 * on disk, so a crash cannot give it to another transaction; a server keeps the outcome until it freezes rows that old.
 *
 * @param xid what `askXid` gave
 */
export async function preparedOutcome(log: Pick<DecisionLog, 'query'>, xid: string): Promise<PreparedOutcome> {
  try {
    const { rows } = await log.query('SELECT pg_xact_status($1::xid8) AS status', [xid])
    const status: unknown = rows[0]?.['status']
    return status === 'committed' || status === 'aborted' ? status : 'unknown'
  } catch {
    // A node that does not answer, or whose xid counter is behind this one: it has lost transactions.
    return 'unknown'
  }
}
