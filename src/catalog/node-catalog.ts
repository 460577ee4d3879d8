import { randomBytes } from 'node:crypto'
import type { NodePool } from '../endpoints/node-pool'
import type { ProbedNode } from '../endpoints/probe-session'
import { sqlState, undefinedTable } from '../endpoints/sql-state'
import type { Row } from '../merging/row'
import { quoted } from '../values/quoted'
import type { GroupPrint } from './group-print'
import { formatPrint, parsePrint } from './group-print'
import { createOnce } from './own-table'

export type CatalogNode = Pick<NodePool, 'name' | 'facts' | 'query'>

/** What one node's catalog holds. */
export interface NodeCatalog {
  /** Names the database, whichever application connects to it, and by whatever name. */
  readonly identity: string
  readonly groups: ReadonlyMap<string, GroupPrint>
}

/** A group that is to be stored. */
export interface NamedPrint {
  readonly name: string
  readonly print: GroupPrint
}

const tablesOf = ({ facts }: Pick<ProbedNode, 'facts'>) => {
  const schema = quoted(facts.searchSchema)
  return { identities: `${schema}."sharding_node"`, groups: `${schema}."sharding_group"` }
}

/** Reads a node's catalog, in one statement; undefined where there is none yet. @throws the database's error */
export async function readNodeCatalog(node: ProbedNode): Promise<NodeCatalog | undefined> {
  const { identities, groups } = tablesOf(node)
  try {
    // As texts: a user may have changed how `pg` reads JSON.
    const { rows } = await node.query(
      `SELECT n.id, ARRAY(SELECT name FROM ${groups} ORDER BY name) AS names,
         ARRAY(SELECT fingerprint::text FROM ${groups} ORDER BY name) AS prints FROM ${identities} n`,
    )
    const [row]: readonly Row[] = rows
    if (!row) return undefined
    const prints = textsOf(row['prints'])
    const stored = textsOf(row['names']).map((name, index) => [name, parsePrint(prints[index] ?? '')] as const)
    return Object.freeze({ identity: String(row['id']), groups: new Map(stored) })
  } catch (error) {
    if (sqlState(error) === undefinedTable) return undefined
    throw error
  }
}

const textsOf = (array: unknown): readonly string[] => (Array.isArray(array) ? array.map(String) : [])

/** Creates a node's catalog where it is not there. @throws the database's error */
export async function createCatalog(node: CatalogNode): Promise<void> {
  const { groups } = tablesOf(node)
  await createIdentity(node)
  await createOnce(
    node,
    groups,
    `CREATE TABLE IF NOT EXISTS ${groups} (
      name text PRIMARY KEY, fingerprint jsonb NOT NULL, epoch bigint NOT NULL DEFAULT 1,
      changed_at timestamptz NOT NULL DEFAULT clock_timestamp())`,
  )
}

/** Gives the database an identity where it has none. Two processes may do this at once: the first identity stays. */
export async function createIdentity(node: CatalogNode): Promise<void> {
  const { identities } = tablesOf(node)
  await createOnce(
    node,
    identities,
    `CREATE TABLE IF NOT EXISTS ${identities} (
      id text NOT NULL, is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only))`,
  )
  await node.query(`INSERT INTO ${identities} (id) VALUES ($1) ON CONFLICT DO NOTHING`, [
    randomBytes(8).toString('hex'),
  ])
}

/** Stores groups that are not there; one that is stays as it is. */
export async function insertPrints(node: CatalogNode, prints: readonly NamedPrint[]): Promise<void> {
  if (prints.length === 0) return
  await node.query(
    `INSERT INTO ${tablesOf(node).groups} (name, fingerprint) SELECT name, fingerprint::jsonb
     FROM unnest($1::text[], $2::text[]) AS given(name, fingerprint) ON CONFLICT DO NOTHING`,
    [prints.map(({ name }) => name), prints.map(({ print }) => formatPrint(print))],
  )
}

/**
 * Stores another print of a group, with the next epoch.
 *
 * @param before what must be stored now; undefined: whatever is
 * @returns false where something else was stored
 */
export async function replacePrint(
  node: CatalogNode,
  { name, print }: NamedPrint,
  before: GroupPrint | undefined,
): Promise<boolean> {
  const { rowCount } = await node.query(
    `UPDATE ${tablesOf(node).groups} SET fingerprint = $2::jsonb, epoch = epoch + 1, changed_at = clock_timestamp()
     WHERE name = $1 AND ($3::jsonb IS NULL OR fingerprint = $3::jsonb)`,
    [name, formatPrint(print), before === undefined ? null : formatPrint(before)],
  )
  return (rowCount ?? 0) > 0
}

/** Forgets groups: their tables were dropped. */
export async function deletePrints(node: CatalogNode, names: readonly string[]): Promise<void> {
  if (names.length > 0) await node.query(`DELETE FROM ${tablesOf(node).groups} WHERE name = ANY($1::text[])`, [names])
}
