import { isServerRefusal, sqlState } from '../endpoints/sql-state'
import type { ErrorCode } from '../errors/error-catalogue'
import { ShardedError } from '../errors/sharded-error'

/** SQLSTATEs that the steps of a commit in two phases meet where the node is not set up for it, and what the text of each says. */
const refusals: readonly { readonly state: string; readonly text: RegExp; readonly code: ErrorCode }[] = [
  { state: '53200', text: /prepared transactions/, code: 'PREPARED_TRANSACTIONS_FULL' },
  { state: '55000', text: /prepared transactions/, code: 'TWO_PHASE_UNAVAILABLE' },
  { state: '0A000', text: /PREPARE/, code: 'PREPARE_REFUSED' },
  { state: '42P01', text: /sharding_decision/, code: 'DECISION_LOG_MISSING' },
  { state: '42501', text: /sharding_decision/, code: 'PERMISSION_MISSING' },
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
