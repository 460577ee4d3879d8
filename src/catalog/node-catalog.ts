import { randomBytes } from 'node:crypto'
import type { NodePool } from '../endpoints/node-pool'
import type { ProbedNode } from '../endpoints/probe-session'
import { sqlState, undefinedTable } from '../endpoints/sql-state'
import type { Row } from '../merging/row'
import type { GroupPrint } from './group-print'
import { formatPrint, parsePrint } from './group-print'
import { formatDatabase, type KnownDatabase, type KnownServer, parseDatabase } from './known-database'
import { moveOwnTables } from './move-own-tables'
import { advanceText, advanceValues, countOf, type NodeCount, witnessText } from './node-counters'
import { createOnce, ownTable } from './own-table'

export type CatalogNode = Pick<NodePool, 'name' | 'facts' | 'query' | 'ownSchema'>

/** What one node's catalog holds. */
export interface NodeCatalog {
  /** Names the database, whichever application connects to it, and by whatever name. */
  readonly identity: string
  readonly groups: ReadonlyMap<string, GroupPrint>
  /** By group: grows with each change of it, on the home node first. */
  readonly versions: ReadonlyMap<string, number>
  /** The last change of the shard map that was noted here; 0: none. Changes are noted on the home node. */
  readonly epoch: number
  /** What each database of the data source was when a start last reached it, by identity. */
  readonly databases: ReadonlyMap<string, StoredDatabase>
}

/** What is stored of one database: on itself, and as every other node remembers it. */
interface StoredDatabase extends NodeCount {
  readonly known: KnownDatabase
}

/** A change of the shard map, as the home node keeps it beside its epoch and its time. */
export interface NotedChange {
  /** Who made it: a user and a machine. */
  readonly author: string
  readonly reason: string
}

/** A group that is to be stored. */
export interface NamedPrint {
  readonly name: string
  readonly print: GroupPrint
}

const tablesOf = (node: Pick<ProbedNode, 'ownSchema'>) => ({
  identities: ownTable(node, 'nodes'),
  groups: ownTable(node, 'groups'),
  epochs: ownTable(node, 'epochs'),
  databases: ownTable(node, 'databases'),
})

/** Reads a node's catalog, in one statement; undefined where there is none yet. That of an earlier version is moved. @throws the database's error */
export async function readNodeCatalog(node: ProbedNode): Promise<NodeCatalog | undefined> {
  const found = await readPresent(node)
  if (found || !(await moveOwnTables(node))) return found
  return readPresent(node)
}

async function readPresent(node: ProbedNode): Promise<NodeCatalog | undefined> {
  const { identities, groups, epochs, databases } = tablesOf(node)
  try {
    // As texts: a user may have changed how `pg` reads JSON.
    const { rows } = await node.query(
      `SELECT n.id, ARRAY(SELECT name FROM ${groups} ORDER BY name) AS names,
         ARRAY(SELECT fingerprint::text FROM ${groups} ORDER BY name) AS prints,
         ARRAY(SELECT epoch::text FROM ${groups} ORDER BY name) AS versions,
         ARRAY(SELECT id FROM ${databases} ORDER BY id) AS databases,
         ARRAY(SELECT known FROM ${databases} ORDER BY id) AS known,
         ARRAY(SELECT count::text FROM ${databases} ORDER BY id) AS counts,
         ARRAY(SELECT mark FROM ${databases} ORDER BY id) AS marks,
         (SELECT coalesce(max(epoch), 0)::text FROM ${epochs}) AS epoch FROM ${identities} n`,
    )
    const [row]: readonly Row[] = rows
    if (!row) return undefined
    const prints = textsOf(row['prints'])
    const versions = textsOf(row['versions'])
    const names = textsOf(row['names'])
    const [known, counts, marks] = [textsOf(row['known']), textsOf(row['counts']), textsOf(row['marks'])]
    const databasesOf = textsOf(row['databases']).map((id, index): readonly [string, StoredDatabase] => [
      id,
      { known: parseDatabase(known[index] ?? ''), count: Number(counts[index]), mark: marks[index] ?? '' },
    ])
    return Object.freeze({
      identity: String(row['id']),
      groups: new Map(names.map((name, index) => [name, parsePrint(prints[index] ?? '')])),
      versions: new Map(names.map((name, index) => [name, Number(versions[index])])),
      epoch: Number(row['epoch']),
      databases: new Map(databasesOf),
    })
  } catch (error) {
    if (sqlState(error) === undefinedTable) return undefined
    throw error
  }
}

const byId = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1)

const textsOf = (array: unknown): readonly string[] => (Array.isArray(array) ? array.map(String) : [])

/** The identity of a node's database, which has one. */
export async function readIdentity(node: ProbedNode): Promise<string> {
  const { rows } = await node.query(`SELECT id FROM ${tablesOf(node).identities}`)
  const [row]: readonly Row[] = rows
  return String(row?.['id'])
}

/** Creates a node's catalog where it is not there. @throws the database's error */
export async function createCatalog(node: CatalogNode): Promise<void> {
  const { groups, epochs, databases } = tablesOf(node)
  await createIdentity(node)
  await createOnce(
    node,
    'groups',
    `CREATE TABLE IF NOT EXISTS ${groups} (
      name text PRIMARY KEY, fingerprint jsonb NOT NULL, epoch bigint NOT NULL DEFAULT 1,
      changed_at timestamptz NOT NULL DEFAULT clock_timestamp())`,
  )
  await createOnce(
    node,
    'epochs',
    `CREATE TABLE IF NOT EXISTS ${epochs} (
      epoch bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, author text NOT NULL, reason text NOT NULL,
      changed_at timestamptz NOT NULL DEFAULT clock_timestamp())`,
  )
  // As text: it is compared, and read, as it was written.
  await createOnce(
    node,
    'databases',
    `CREATE TABLE IF NOT EXISTS ${databases} (
      id text PRIMARY KEY, known text NOT NULL, count bigint NOT NULL DEFAULT 0, mark text NOT NULL DEFAULT '',
      counted_at timestamptz NOT NULL DEFAULT clock_timestamp())`,
  )
}

/** Keeps what databases are now, where that is something else than what is kept. */
export async function rememberDatabases(
  node: CatalogNode,
  known: NodeCatalog | undefined,
  databases: ReadonlyMap<string, KnownDatabase>,
): Promise<void> {
  // In one order: processes that start at once would otherwise lock each other's rows.
  const texts = [...databases].map(([id, one]) => [id, formatDatabase(one)] as const).sort(byId)
  const others = texts.filter(([id, text]) => {
    const before = known?.databases.get(id)
    return before === undefined || formatDatabase(before.known) !== text
  })
  if (others.length === 0) return
  await node.query(
    `INSERT INTO ${tablesOf(node).databases} AS d (id, known) SELECT * FROM unnest($1::text[], $2::text[])
     ON CONFLICT (id) DO UPDATE SET known = excluded.known WHERE d.known <> excluded.known`,
    [others.map(([id]) => id), others.map(([, text]) => text)],
  )
}

/** Counts on, on the database itself. @returns undefined where it was counted not long ago */
export async function advanceCount(
  node: CatalogNode,
  identity: string,
  { floor, olderMs }: { readonly floor: number; readonly olderMs: number },
): Promise<NodeCount | undefined> {
  const { rows } = await node.query(advanceText(tablesOf(node).databases), advanceValues(identity, floor, olderMs))
  return countOf(rows)
}

/** Remembers how far other databases have counted. */
export async function witnessCounts(node: CatalogNode, counts: ReadonlyMap<string, NodeCount>): Promise<void> {
  const all = [...counts].sort(byId)
  if (all.length === 0) return
  await node.query(witnessText(tablesOf(node).databases), [
    all.map(([id]) => id),
    all.map(([, { count }]) => count),
    all.map(([, { mark }]) => mark),
  ])
}

/** The server that a database is on, where the role may know it: for messages. */
export async function readServer(node: CatalogNode): Promise<KnownServer | undefined> {
  try {
    const { rows } = await node.query(
      `SELECT s.system_identifier::text AS system, c.timeline_id::text AS timeline, d.oid::text AS oid
       FROM pg_control_system() s, pg_control_checkpoint() c, pg_database d WHERE d.datname = current_database()`,
    )
    const [row]: readonly Row[] = rows
    return row && { system: String(row['system']), timeline: String(row['timeline']), oid: String(row['oid']) }
  } catch (error) {
    if (sqlState(error) === undefined) throw error
    return undefined
  }
}

/** The last change that is noted on a node, in one short statement: what every process asks again and again. */
export async function readEpoch(node: ProbedNode): Promise<number> {
  const { rows } = await node.query(`SELECT coalesce(max(epoch), 0)::text AS epoch FROM ${tablesOf(node).epochs}`)
  const [row]: readonly Row[] = rows
  return Number(row?.['epoch'])
}

/** Gives the database an identity where it has none. Two processes may do this at once: the first identity stays. */
export async function createIdentity(node: CatalogNode): Promise<void> {
  const { identities } = tablesOf(node)
  await createOnce(
    node,
    'nodes',
    `CREATE TABLE IF NOT EXISTS ${identities} (
      id text NOT NULL, is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only))`,
  )
  await node.query(`INSERT INTO ${identities} (id) VALUES ($1) ON CONFLICT DO NOTHING`, [
    randomBytes(8).toString('hex'),
  ])
}

/** Parameters from a number on, and what stands in a statement for them. */
const noteOf = ({ epochs }: ReturnType<typeof tablesOf>, first: number): string =>
  `noted AS (INSERT INTO ${epochs} (author, reason) SELECT $${first}::text, $${first + 1}::text
     WHERE $${first}::text IS NOT NULL AND EXISTS (SELECT FROM changed))`

const noteValues = (noted: NotedChange | undefined): readonly (string | null)[] => [
  noted?.author ?? null,
  noted?.reason ?? null,
]

/**
 * Stores groups that are not there; one that is stays as it is.
 *
 * @param noted begins a new epoch, if anything was stored
 */
export async function insertPrints(
  node: CatalogNode,
  prints: readonly NamedPrint[],
  noted: NotedChange | undefined,
): Promise<void> {
  if (prints.length === 0) return
  const tables = tablesOf(node)
  await node.query(
    `WITH changed AS (INSERT INTO ${tables.groups} (name, fingerprint) SELECT name, fingerprint::jsonb
       FROM unnest($1::text[], $2::text[]) AS given(name, fingerprint) ON CONFLICT DO NOTHING RETURNING 1),
     ${noteOf(tables, 3)} SELECT FROM changed`,
    [prints.map(({ name }) => name), prints.map(({ print }) => formatPrint(print)), ...noteValues(noted)],
  )
}

/**
 * Stores another print of a group, with the next epoch.
 *
 * @param before what must be stored now; undefined: whatever is
 * @param noted begins a new epoch of the map, if it was stored
 * @returns false where something else was stored
 */
export async function replacePrint(
  node: CatalogNode,
  { name, print }: NamedPrint,
  { before, noted }: { readonly before: GroupPrint | undefined; readonly noted: NotedChange | undefined },
): Promise<boolean> {
  const tables = tablesOf(node)
  const { rows } = await node.query(
    `WITH changed AS (UPDATE ${tables.groups} SET fingerprint = $2::jsonb, epoch = epoch + 1, changed_at = clock_timestamp()
       WHERE name = $1 AND ($3::jsonb IS NULL OR fingerprint = $3::jsonb) RETURNING name),
     ${noteOf(tables, 4)} SELECT name FROM changed`,
    [name, formatPrint(print), before === undefined ? null : formatPrint(before), ...noteValues(noted)],
  )
  return rows.length > 0
}

/**
 * Stores what the home node has of a group on a node whose copy is of an earlier version, or has none.
 *
 * @param version that of the home node's
 */
export async function copyPrint(node: CatalogNode, { name, print }: NamedPrint, version: number): Promise<void> {
  const { groups } = tablesOf(node)
  await node.query(
    `INSERT INTO ${groups} AS g (name, fingerprint, epoch) VALUES ($1, $2::jsonb, $3)
     ON CONFLICT (name) DO UPDATE SET fingerprint = excluded.fingerprint, epoch = excluded.epoch, changed_at = clock_timestamp()
     WHERE g.epoch < excluded.epoch`,
    [name, formatPrint(print), version],
  )
}

/** Forgets groups: their tables were dropped. */
export async function deletePrints(
  node: CatalogNode,
  names: readonly string[],
  noted: NotedChange | undefined,
): Promise<void> {
  if (names.length === 0) return
  const tables = tablesOf(node)
  await node.query(
    `WITH changed AS (DELETE FROM ${tables.groups} WHERE name = ANY($1::text[]) RETURNING 1),
     ${noteOf(tables, 2)} SELECT FROM changed`,
    [names, ...noteValues(noted)],
  )
}
