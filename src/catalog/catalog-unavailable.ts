import { refusesCreation } from '../endpoints/sql-state'
import { ShardedError } from '../errors/sharded-error'

/** Names the node where its role may not use the catalog; any other error is thrown as it is. */
export function catalogUnavailable(node: string, error: unknown): unknown {
  if (!refusesCreation(error)) return error
  const reason = error instanceof Error ? error.message : String(error)
  return new ShardedError('CATALOG_UNAVAILABLE', `Node ${node} does not let its role use the catalog: ${reason}.`, {
    details: { node },
    cause: error,
  })
}
