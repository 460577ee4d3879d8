import { wordSet } from '../collections/words'
import type { ErrorCode } from '../errors/error-catalogue'
import { ShardedError } from '../errors/sharded-error'
import { CommitOutcomeUnknownError } from '../errors/transaction-errors'
import { isRead } from './is-read'
import { sqlState } from './sql-state'

/** Where a statement ran: for messages. */
export interface Place {
  readonly node: string
  readonly shard: string | undefined
}

const placeText = ({ node, shard }: Place): string =>
  shard === undefined ? `Node ${node}` : `Shard ${shard} on node ${node}`

const socketCodes = wordSet('ECONNREFUSED ECONNRESET EPIPE ETIMEDOUT ENOTFOUND EHOSTUNREACH ENETUNREACH EAI_AGAIN')

/** SQLSTATEs with which a server ends or refuses a connection: admin shutdown, crash shutdown, cannot connect now, idle timeouts. */
const serverGoneCodes = wordSet('57P01 57P02 57P03 57P05 25P03 08000 08001 08003 08006 53300')

/** True when an error says that there is no (longer a) connection, rather than that the statement is wrong. */
export function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  if (code !== undefined) return socketCodes.has(code) || serverGoneCodes.has(code)
  return /connection terminated|connection error|not queryable|timeout exceeded when trying to connect|client was closed/i.test(
    error.message,
  )
}

/** Of a host that is not reached at all: of all other failures to connect, somebody told us. */
const silentCodes = new Set(['ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN'])

/** True when an error of connecting is an answer: the server's refusal, or its host's. */
export const answersOf = (error: Error): boolean =>
  'code' in error && typeof error.code === 'string'
    ? !silentCodes.has(error.code)
    : /^SASL|password|^Connection terminated unexpectedly/i.test(error.message)

/** Causes that retrying does not mend, by the SQLSTATE with which a server refuses a login. */
const loginRefusals: Readonly<Record<string, ErrorCode>> = {
  '28P01': 'AUTHENTICATION_FAILED',
  '28000': 'AUTHENTICATION_FAILED',
  '3D000': 'DATABASE_MISSING',
  '42501': 'PERMISSION_MISSING',
  '53300': 'SERVER_FULL',
  // What the server's own idle_in_transaction_session_timeout ended, before the next statement came.
  '25P03': 'TRANSACTION_IDLE',
}

function causeCode(cause: unknown): ErrorCode {
  if (!(cause instanceof Error)) return 'SHARD_UNAVAILABLE'
  const code = sqlState(cause)
  if (code !== undefined) return loginRefusals[code] ?? 'SHARD_UNAVAILABLE'
  // Of pg itself: the server asks for a password that was not given, or proves that it does not know the one that was.
  return cause.message.startsWith('SASL') ? 'AUTHENTICATION_FAILED' : 'SHARD_UNAVAILABLE'
}

/** A connection could not be had: nothing was sent. */
export function unavailable(place: Place, cause: unknown): ShardedError {
  if (cause instanceof ShardedError) return cause
  const text = (cause instanceof Error ? cause.message || cause.constructor.name : String(cause)).replace(/\.$/, '')
  return new ShardedError(causeCode(cause), `${placeText(place)} gave no connection: ${text}.`, {
    details: { ...place },
    cause,
  })
}

/** The ends of a transaction at which nothing is written, whether they took effect or not. */
const writesNothing = /^\s*(?:BEGIN|START TRANSACTION|ROLLBACK(?!\s+PREPARED))\b/i

/**
 * The error of a connection that broke during a statement, by what is then known: a read had no effect, a transaction
 * that did not reach COMMIT is rolled back by the server, a COMMIT or a single write may have taken effect.
 */
export function connectionBroke(place: Place, text: string, inTransaction: boolean, cause: unknown): ShardedError {
  const details = { ...place, statement: text.slice(0, 500) }
  if (/^\s*COMMIT/i.test(text)) {
    return new CommitOutcomeUnknownError(`${placeText(place)} did not acknowledge COMMIT.`, { details, cause })
  }
  if (cause instanceof ShardedError && inTransaction) return cause
  const why = cause instanceof Error ? `: ${cause.message.replace(/\.$/, '')}` : ''
  if (inTransaction || isRead(text) || writesNothing.test(text)) {
    return new ShardedError('SHARD_UNAVAILABLE', `${placeText(place)} broke the connection during a statement${why}.`, {
      details,
      cause,
    })
  }
  return new ShardedError('CONNECTION_LOST', `${placeText(place)} broke the connection during a write.`, {
    details,
    cause,
  })
}

/** The error of pg for options that are none, such as a URL that cannot be read; it tells no password. */
export function badConnectionOptions(node: string, cause: unknown): ShardedError {
  const text = cause instanceof Error ? cause.message : String(cause)
  return new ShardedError('OPTIONS_INVALID', `The options of node ${node} give no connection: ${text}.`, {
    details: { node },
  })
}
