import { ShardedError } from '../errors/sharded-error'
import { sqlState } from '../execution/sql-state'

/** SQLSTATEs: no privilege, a read-only database, no schema to create tables in. */
const lacking = new Set(['42501', '25006', '3F000'])

/** Names the node where its role may not use the catalog; any other error is thrown as it is. */
export function catalogUnavailable(node: string, error: unknown): unknown {
  if (!lacking.has(sqlState(error) ?? '')) return error
  const reason = error instanceof Error ? error.message : String(error)
  return new ShardedError('CATALOG_UNAVAILABLE', `Node ${node} does not let its role use the catalog: ${reason}.`, {
    details: { node },
    cause: error,
  })
}
