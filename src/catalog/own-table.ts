import type { NodePool } from '../endpoints/node-pool'
import { ShardedError } from '../errors/sharded-error'
import type { Row } from '../merging/row'

/** A node that holds tables of this package's own: of ids and lookups it is the home node. */
export type HomeNode = Pick<NodePool, 'name' | 'query'>

/** Nobody else's lock: what creates this package's own tables waits for each other. */
const lockNumber = 7_265_338_115_602_114n

/** Another one: who holds it makes tables of this package's own, too. */
export const schemaLockNumber = lockNumber + 1n

/**
 * Creates a table of this package's own on a node where it is missing. Processes that start at once wait for each other:
 * CREATE TABLE IF NOT EXISTS alone can fail when two of them run together.
 */
export async function createOnce(node: HomeNode, table: string, create: string): Promise<void> {
  const { rows } = await node.query('SELECT to_regclass($1) IS NOT NULL AS exists', [table])
  const [row]: readonly Row[] = rows
  if (row?.['exists'] === true) return
  await node.query(alone(create))
}

/** Statements that no other process runs at the same time. One text of several is one transaction, whose end frees the lock. */
export const alone = (statements: string): string => `SELECT pg_advisory_xact_lock(${lockNumber}); ${statements}`

/**
 * A connection that broke while ids were reserved: whether they are is of no account, they are not used. To the caller the
 * node was away, and nothing was written.
 */
export function asUnavailable(error: unknown, node: string): unknown {
  if (!(error instanceof ShardedError) || error.code !== 'CONNECTION_LOST') return error
  return new ShardedError('SHARD_UNAVAILABLE', `Node ${node} was lost while ids were reserved.`, {
    details: { node },
    cause: error,
  })
}
