import type { SelectStmt } from '@pgsql/types'
import { unsupported } from '../../errors/sharded-error'
import type { Page } from '../../query/page'
import type { StatementAnalysis } from '../../routing/statement-analysis'
import { someNode } from '../../sql/tree'

/** Whether a query passes over rows that others have locked. */
export const passesOver = ({ lockingClause = [] }: SelectStmt): boolean =>
  lockingClause.some((node) => 'LockingClause' in node && node.LockingClause.waitPolicy === 'LockWaitSkip')

/**
 * Each shard locks a page of its own until the transaction ends. Others who wait for a row wait longer then; others who pass
 * over locked rows would pass over rows that nobody was given. All rows are no page, and none are locked for LIMIT 0.
 *
 * @param page of a query that passes over locked rows; undefined where PostgreSQL refuses it
 * @throws ShardedError STATEMENT_UNSUPPORTED
 */
export function refuseLockedPage(page: Page | undefined): void {
  if (!page || page.end === 0 || (page.offset === 0 && page.limit === undefined)) return
  throw unsupported(
    'A page beside SKIP LOCKED would lock a page of rows on every shard, which others then pass over. Ask one shard, by the shard key or onShard(…), or leave out SKIP LOCKED.',
  )
}

/**
 * A part that is run first locks its rows until its own statement ends, where there is no transaction: before the rest writes.
 *
 * @throws ShardedError STATEMENT_UNSUPPORTED
 */
export function refuseEarlyLocks({ detached }: StatementAnalysis): void {
  if (!detached.some(({ node }) => hasLock(node))) return
  throw unsupported(
    'A subquery that locks rows of other shards would let them go before the statement writes: without a transaction.',
  )
}

const hasLock = (tree: unknown): boolean => someNode(tree, (object) => 'LockingClause' in object)
