import { isServerRefusal, sqlState } from '../endpoints/sql-state'
import type { StatementResult } from '../endpoints/statement-result'
import type { ErrorCode } from '../errors/error-catalogue'
import { ShardedError } from '../errors/sharded-error'

const prefix = 'typeorm_sharded'
const version = '1'
const pattern = new RegExp(`^${prefix}:${version}:([0-9a-f]{16}):([0-9a-f]{32}):([0-9a-f]{16})$`)

/** The beginning of the identifiers of our prepared transactions; those of other systems are never touched. */
export const preparedIdPrefix = `${prefix}:${version}:`

/**
 * The identifier of a prepared transaction. It names the database that decides: whoever finds it knows whom to ask, and
 * that it must leave it alone where that database is none of its own.
 */
export interface PreparedId {
  /** Identity of the database with the decision row. */
  readonly decider: string
  /** The transaction over all nodes. */
  readonly transaction: string
  /** Identity of the database that is prepared: identifiers are unique in a server, which may hold several nodes. */
  readonly participant: string
}

/** As PostgreSQL takes it: below 200 bytes, and safe inside a literal. */
export const formatPreparedId = ({ decider, transaction, participant }: PreparedId): string =>
  `${preparedIdPrefix}${decider}:${transaction}:${participant}`

/** undefined for an identifier that is not of this form, and so not ours. */
export function parsePreparedId(text: string): PreparedId | undefined {
  const [, decider, transaction, participant] = pattern.exec(text) ?? []
  if (decider === undefined || transaction === undefined || participant === undefined) return undefined
  return Object.freeze({ decider, transaction, participant })
}

/** Sends statements to one node, each in a transaction of its own. */
interface NodeStatements {
  query(text: string, values?: readonly unknown[]): Promise<StatementResult>
}

/** What became of a prepared transaction that is no longer there. */
export type PreparedOutcome = 'committed' | 'aborted' | 'unknown'

/** Goes before PREPARE TRANSACTION, in the same message. */
export const askXid = 'SELECT pg_current_xact_id()::text AS xid;'

/** What `askXid` was answered, among the results of its message. */
export function xidIn(results: readonly StatementResult[]): string {
  const [xid = ''] = results.flatMap(({ rows }) => rows.flatMap((row) => row?.['xid'] ?? []))
  return String(xid)
}

/**
 * Asks a node what became of a transaction that was prepared there, by its transaction id. The id of a prepared transaction is
 * on disk, so a crash cannot give it to another transaction; a server keeps the outcome until it freezes rows that old.
 *
 * @param xid what `askXid` gave
 */
export async function preparedOutcome(log: NodeStatements, xid: string): Promise<PreparedOutcome> {
  try {
    const { rows } = await log.query('SELECT pg_xact_status($1::xid8) AS status', [xid])
    const status: unknown = rows[0]?.['status']
    return status === 'committed' || status === 'aborted' ? status : 'unknown'
  } catch {
    // A node that does not answer, or whose xid counter is behind this one: it has lost transactions.
    return 'unknown'
  }
}

/** SQLSTATEs that the steps of a commit in two phases meet where the node is not set up for it, and what the text of each says. */
const refusals: readonly { readonly state: string; readonly text: RegExp; readonly code: ErrorCode }[] = [
  { state: '53200', text: /prepared transactions/, code: 'PREPARED_TRANSACTIONS_FULL' },
  { state: '55000', text: /prepared transactions/, code: 'TWO_PHASE_UNAVAILABLE' },
  { state: '0A000', text: /PREPARE/, code: 'PREPARE_REFUSED' },
  { state: '25006', text: /INSERT/, code: 'PREPARE_REFUSED' },
  { state: '42P01', text: /sharding\w*\.decisions/, code: 'DECISION_LOG_MISSING' },
  { state: '42501', text: /decisions|schema sharding/, code: 'PERMISSION_MISSING' },
]

/** The error of a step of a commit: with a code and its node, where the node is what has to be mended; else as it is. */
export function commitRefusal(error: unknown, node: string): unknown {
  if (!isServerRefusal(error)) return error
  const found = refusals.find(({ state, text }) => state === sqlState(error) && text.test(error.message))
  if (!found) return error
  return new ShardedError(found.code, `Node ${node} refused a commit in two phases: ${error.message}.`, {
    details: { node },
    cause: error,
  })
}

/**
 * Goes before what we do in a caller's transaction, in the same message. A caller may have taken another role in it (row
 * security does so), which may not write the decision, and would own what is prepared: nobody else could end that. Or it is
 * another user altogether. Deferred constraints are checked first, as the caller.
 */
export const asLogin = 'SET CONSTRAINTS ALL IMMEDIATE; SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL ROLE NONE;'

/** The results of the statements in one message: of several, pg makes a list. */
export const resultsOf = (answer: StatementResult): readonly StatementResult[] =>
  Array.isArray(answer) ? answer : [answer]
