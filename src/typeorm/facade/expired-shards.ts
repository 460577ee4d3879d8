import type { NodePool } from '../../endpoints/node-pool'
import { sqlState } from '../../endpoints/sql-state'
import type { Row } from '../../merging/row'
import type { ShardGroup } from '../../model/sharded-entity'
import { physicalName } from '../../planning/bind-shard-names'
import { isMarked, shardMark } from '../../planning/shard-mark'
import { lockStates, onConnection, type Send } from '../../rebalancing/on-node'
import type { PlacedTables } from '../../topology/shard'
import { quoted } from '../../values/quoted'

/** Milliseconds for the locks of a shard's tables: meanwhile, new readers and writers of it wait. */
const lockMs = 500

/** The tables of a shard that no route leads to. */
export interface UnroutedShard extends PlacedTables {
  readonly node: string
  /** Without the suffix of the shard. */
  readonly tables: readonly string[]
}

interface UnroutedGroup {
  readonly group: Pick<ShardGroup, 'name' | 'layout'>
  readonly tables: readonly string[]
  /** Whether a label is of a shard that nobody needs. */
  readonly isExpired: (label: string) => boolean
}

/** Shards of a group whose tables are marked as ours on a node, and that are not needed: what a sync before this one has left, too. */
export async function findUnrouted(
  pool: NodePool,
  { group, tables, isExpired }: UnroutedGroup,
): Promise<readonly UnroutedShard[]> {
  const { name, layout } = group
  const prefix = `${name}_`
  const isSchema = layout === 'schema'
  const { rows }: { readonly rows: readonly Row[] } = await pool.background.query(
    isSchema
      ? `SELECT nspname AS place, obj_description(oid, 'pg_namespace') AS comment FROM pg_namespace WHERE starts_with(nspname, $1)`
      : `SELECT c.relname AS place, obj_description(c.oid, 'pg_class') AS comment FROM pg_class c
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND obj_description(c.oid, 'pg_class') LIKE '%shard=' || $1 || '%'`,
    [isSchema ? prefix : prefix.replace(/[\\%_]/g, String.raw`\$&`)],
  )
  const found = new Map<string, Set<string>>()
  for (const row of rows) {
    const [place, comment] = [String(row['place']), String(row['comment'] ?? '')]
    for (const table of tables) {
      const label = isSchema ? place.slice(prefix.length) : place.slice(table.length + 1)
      const mark = shardMark({ name: prefix + label }, isSchema ? undefined : table)
      if (!isExpired(label) || !isMarked(comment, mark) || (!isSchema && place !== `${table}_${label}`)) continue
      found.set(label, (found.get(label) ?? new Set()).add(table))
    }
  }
  return [...found].map(([label, own]) => ({ name: prefix + label, label, layout, node: pool.name, tables: [...own] }))
}

/** Drops the tables of a shard with their types and its schema. @returns why it could not be; undefined: it was */
export async function dropUnrouted(pool: NodePool, shard: UnroutedShard): Promise<string | undefined> {
  return unlessBusy(() =>
    onConnection(pool.background, async (send) => {
      await send(`BEGIN; SET LOCAL lock_timeout = ${lockMs}`)
      const paths = await present(send, shard)
      const types = await ownTypes(send, paths)
      if (paths.length > 0) await send(`DROP TABLE ${paths.join(', ')}`)
      for (const type of types) await send(`DROP TYPE ${type}`)
      if (shard.layout === 'schema') await send(`DROP SCHEMA IF EXISTS ${quoted(shard.name)}`)
      await send('COMMIT')
    }),
  )
}

/** Takes the marks off a shard's objects: they are nobody's but the user's. @returns why it could not be */
export async function unmark(pool: NodePool, shard: UnroutedShard): Promise<string | undefined> {
  return unlessBusy(() =>
    onConnection(pool.background, async (send) => {
      await send(`BEGIN; SET LOCAL lock_timeout = ${lockMs}`)
      const objects =
        shard.layout === 'schema'
          ? [
              {
                kind: 'SCHEMA',
                path: quoted(shard.name),
                mark: shardMark(shard),
                of: `to_regnamespace($1), 'pg_namespace'`,
              },
            ]
          : shard.tables.map((table) => ({
              kind: 'TABLE',
              path: pathOf(table, shard),
              mark: shardMark(shard, table),
              of: `to_regclass($1), 'pg_class'`,
            }))
      for (const { kind, path, mark, of } of objects) {
        const { rows } = await send(
          `SELECT quote_nullable(nullif(btrim(replace(obj_description(${of}), $2, ''), E'\\n'), '')) AS comment`,
          [path, mark],
        )
        await send(`COMMENT ON ${kind} ${path} IS ${rows[0]?.['comment'] ?? 'NULL'}`)
      }
      await send('COMMIT')
    }),
  )
}

const pathOf = (table: string, shard: PlacedTables): string => {
  const { schema, name } = physicalName(table, shard)
  return `${quoted(schema)}.${quoted(name)}`
}

async function present(send: Send, shard: UnroutedShard): Promise<readonly string[]> {
  const { rows } = await send('SELECT path FROM unnest($1::text[]) AS path WHERE to_regclass(path) IS NOT NULL', [
    shard.tables.map((table) => pathOf(table, shard)),
  ])
  return rows.map(({ path }) => String(path))
}

/** Enums of these tables' columns that no other table has. */
async function ownTypes(send: Send, paths: readonly string[]): Promise<readonly string[]> {
  const { rows } = await send(
    `WITH own AS (SELECT path::regclass AS id FROM unnest($1::text[]) AS path),
       used AS (SELECT DISTINCT coalesce(nullif(t.typelem, 0), t.oid) AS id, a.attrelid IN (SELECT id FROM own) AS is_own
         FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE NOT a.attisdropped)
     SELECT format('%I.%I', n.nspname, t.typname) AS path FROM used JOIN pg_type t ON t.oid = used.id JOIN pg_namespace n ON n.oid = t.typnamespace
     WHERE t.typtype = 'e' GROUP BY 1 HAVING bool_and(used.is_own) ORDER BY 1`,
    [paths],
  )
  return rows.map(({ path }) => String(path))
}

async function unlessBusy(work: () => Promise<void>): Promise<string | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (lockStates.has(sqlState(error) ?? '')) return 'a transaction or a stream has it open'
    return error instanceof Error ? error.message : String(error)
  }
}
