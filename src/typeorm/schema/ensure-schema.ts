import { alone } from '../../catalog/own-table'
import type { NodePool } from '../../endpoints/node-pool'
import { sqlState } from '../../endpoints/sql-state'
import { ShardedError } from '../../errors/sharded-error'
import { isMarked, shardMark, withMark } from '../../planning/shard-mark'
import type { Shard } from '../../topology/shard'
import { literal } from '../../values/literal'
import { quoted } from '../../values/quoted'

/** Marks the schema of a shard, beside what its comment says. */
export const markText = (shard: Shard, comment: string | null): string =>
  `COMMENT ON SCHEMA ${quoted(shard.name)} IS ${literal(withMark(comment, shardMark(shard)))}`

/**
 * Makes the schema of a shard with its mark, or marks the one that is there: the caller has checked that it may be taken.
 *
 * @throws ShardedError OBJECT_NOT_OURS where somebody else owns it
 */
export async function ensureSchema(shard: Shard, pool: Pick<NodePool, 'query'>): Promise<void> {
  const { rows } = await pool.query(
    `SELECT pg_catalog.obj_description(oid, 'pg_namespace') AS comment FROM pg_catalog.pg_namespace WHERE nspname = $1`,
    [shard.name],
  )
  const [found]: { readonly comment: string | null }[] = rows
  const mark = markText(shard, found?.comment ?? null)
  if (!found) {
    await pool.query(alone(`CREATE SCHEMA IF NOT EXISTS ${quoted(shard.name)}; ${mark}`))
    return
  }
  if (isMarked(found.comment, shardMark(shard))) return
  try {
    await pool.query(alone(mark))
  } catch (error) {
    if (sqlState(error) !== insufficientPrivilege) throw error
    throw new ShardedError(
      'OBJECT_NOT_OURS',
      `The schema ${shard.name} of node ${shard.node} belongs to another role, which has to mark it: ${mark}`,
      { details: { node: shard.node, objects: [`SCHEMA ${quoted(shard.name)}`], statement: mark }, cause: error },
    )
  }
}

/** SQLSTATE of who does not own what he would change. */
const insufficientPrivilege = '42501'
