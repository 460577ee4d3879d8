import type { SelectStmt } from '@pgsql/types'
import { ShardedError } from '../../errors/sharded-error'
import type { StatementAnalysis } from '../../routing/statement-analysis'
import { visit } from '../../sql/tree'

/** Each shard would lock a page of its own, and hold it until the transaction ends. @throws ShardedError STATEMENT_UNSUPPORTED */
export function refuseLockedPage({ lockingClause, limitCount, limitOffset }: SelectStmt): void {
  if (!lockingClause || !(limitCount || limitOffset)) return
  throw new ShardedError(
    'STATEMENT_UNSUPPORTED',
    'A LIMIT beside FOR UPDATE or FOR SHARE would lock a page of rows on every shard.',
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
