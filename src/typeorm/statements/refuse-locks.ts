import type { SelectStmt } from '@pgsql/types'
import { ShardedError } from '../../errors/sharded-error'
import type { StatementAnalysis } from '../../routing/statement-analysis'
import { visit } from '../../sql/tree'

/**
 * Each shard locks a page of its own until the transaction ends. Others who wait for a row wait longer then; others who pass
 * over locked rows would pass over rows that nobody was given.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED
 */
export function refuseLockedPage({ lockingClause = [], limitCount, limitOffset }: SelectStmt): void {
  const passesOver = lockingClause.some(
    (node) => 'LockingClause' in node && node.LockingClause.waitPolicy === 'LockWaitSkip',
  )
  if (!passesOver || !(limitCount || limitOffset)) return
  throw new ShardedError(
    'STATEMENT_UNSUPPORTED',
    'A LIMIT beside SKIP LOCKED would lock a page of rows on every shard, which others then pass over.',
    {},
  )
}

/**
 * A part that is run first locks its rows until its own statement ends, where there is no transaction: before the rest writes.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED
 */
export function refuseEarlyLocks({ detached }: StatementAnalysis): void {
  if (!detached.some(({ node }) => hasLock(node))) return
  throw new ShardedError(
    'STATEMENT_UNSUPPORTED',
    'A subquery that locks rows of other shards would let them go before the statement writes: without a transaction.',
    {},
  )
}

function hasLock(tree: unknown): boolean {
  let found = false
  visit(tree, (object) => {
    if ('LockingClause' in object) found = true
    return !found
  })
  return found
}
