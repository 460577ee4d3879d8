import type { NodePool } from '../endpoints/node-pool'
import { ShardedError } from '../errors/sharded-error'
import type { Row } from '../merging/row'
import { quoted } from '../values/quoted'

/** A node that holds tables of this package's own: of ids and lookups it is the home node. */
export type HomeNode = Pick<NodePool, 'name' | 'query' | 'ownSchema'>

/** Nobody else's lock: what creates this package's own tables waits for each other. */
const lockNumber = 7_265_338_115_602_114n

/** Another one: who holds it makes tables of this package's own, too. */
export const schemaLockNumber = lockNumber + 1n

/** The tables of this package's own. What belongs to a shard, or to a reference table, is beside that instead. */
export type OwnTable =
  | 'nodes'
  | 'groups'
  | 'epochs'
  | 'databases'
  | 'decisions'
  | 'moves'
  | 'lookups'
  | 'workers'
  | 'sequences'
  | 'processes'

/** A table of this package's own, as statements name it. */
export const ownTable = ({ ownSchema }: Pick<NodePool, 'ownSchema'>, name: OwnTable): string =>
  `${quoted(ownSchema)}.${quoted(name)}`

/** Makes the schema of those tables. Every role may look into it: the tables have privileges of their own. */
export const createOwnSchema = ({ ownSchema }: Pick<NodePool, 'ownSchema'>): string =>
  // CREATE SCHEMA IF NOT EXISTS wants the privilege to create it also where it is there.
  `DO $own$ BEGIN IF to_regnamespace('${quoted(ownSchema)}') IS NULL THEN
     CREATE SCHEMA ${quoted(ownSchema)}; GRANT USAGE ON SCHEMA ${quoted(ownSchema)} TO PUBLIC;
   END IF; END $own$`

/**
 * Creates a table of this package's own on a node where it is missing. Processes that start at once wait for each other:
 * CREATE TABLE IF NOT EXISTS alone can fail when two of them run together.
 */
export async function createOnce(node: HomeNode, name: OwnTable, create: string): Promise<void> {
  const { rows } = await node.query('SELECT to_regclass($1) IS NOT NULL AS exists', [ownTable(node, name)])
  const [row]: readonly Row[] = rows
  if (row?.['exists'] === true) return
  await node.query(alone(`${createOwnSchema(node)}; ${create}`))
}

/** Brings a table up to date that an earlier version has made. @param lacks a column that it then has not */
export async function upgradeOnce(
  node: HomeNode,
  name: OwnTable,
  { lacks, statements }: { readonly lacks: string; readonly statements: string },
): Promise<void> {
  const { rows } = await node.query(
    'SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = $2 AND NOT attisdropped) AS exists',
    [ownTable(node, name), lacks],
  )
  const [row]: readonly Row[] = rows
  if (row?.['exists'] !== true) await node.query(alone(statements))
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
