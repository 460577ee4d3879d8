import { sqlState } from '../endpoints/sql-state'
import type { Row } from '../merging/row'
import { shardMark } from '../planning/shard-mark'
import type { MoveBounds } from '../rebalancing/move-host'
import { lockStates, pause, plainTexts, type Send } from '../rebalancing/on-node'
import { readStructureIn } from '../rebalancing/read-structure'
import { tablePath } from '../rebalancing/replication'
import type { ReshardedShard, Resharding } from '../rebalancing/resharding'
import type { MovedTable } from '../rebalancing/shard-move'
import { phases, type ShardStructure, type StructureKind, type StructureObject } from '../rebalancing/shard-structure'
import { quoted } from '../values/quoted'
import { placed, tableAt, tablesAt } from './resharding-move'

/** What acts upon writes, or keeps this process from them: it is made when the last row is there. */
const late: ReadonlySet<StructureKind> = new Set([
  'foreign key',
  'trigger',
  'trigger off',
  'trigger state',
  'rule',
  'rule off',
  'policy',
  'row security',
  'comment',
  'owner',
  'grant',
])

/** What is there before rows come for the sake of replication alone. */
const ofReplication: ReadonlySet<StructureKind> = new Set(['identity index', 'replica identity'])

const kinds = [...phases['before-copy'], ...phases['after-copy'], ...phases['after-switch']]

/** What is made before rows are put in. */
export const kindsBefore: readonly StructureKind[] = phases['before-copy'].filter((kind) => !ofReplication.has(kind))

export const kindsLast: readonly StructureKind[] = kinds.filter((kind) => late.has(kind))

/** What is made of rows that are there. */
export const kindsAfter: readonly StructureKind[] = kinds.filter(
  (kind) => !kindsBefore.includes(kind) && !late.has(kind),
)

/** Between two tries of what needs a lock. */
const againMs = 200

/**
 * What a source would be if it had the name of another shard: its objects are renamed in a transaction that is rolled back, and the server
 * says how they are then made. No text of a statement is changed here but marks.
 */
export async function structureAs(
  send: Send,
  {
    resharding,
    target,
    bounds,
  }: { readonly resharding: Resharding; readonly target: ReshardedShard; readonly bounds: MoveBounds },
): Promise<ShardStructure> {
  const [source] = resharding.sources
  if (!source) throw new RangeError('A resharding has a source.')
  const deadline = performance.now() + bounds.stallMs
  for (;;) {
    try {
      await send(`BEGIN; ${plainTexts}; SET LOCAL lock_timeout = ${bounds.lockMs}`)
      for (const statement of await renames(send, { resharding, source, target })) await send(statement)
      const found = await readStructureIn(send, placed(resharding, target))
      return remarked(found, source, target)
    } catch (error) {
      if (!lockStates.has(sqlState(error) ?? '') || performance.now() > deadline) throw error
    } finally {
      await send('ROLLBACK')
    }
    await pause(againMs)
  }
}

/** Without the triggers by which a resharding notes changes. */
export const withoutCapture = (structure: ShardStructure, name: string): ShardStructure =>
  structure.filter(({ name: object }) => !object.endsWith(`.${name}`) && !object.endsWith(`.${name}_truncate`))

/** What an object of a source is called as one of a target. */
export const nameAs = ({ schema, name }: MovedTable, how: Renamed): MovedTable =>
  how.source.layout === 'schema' ? { schema: how.target.name, name } : { schema, name: renamed(name, how) }

interface Renamed {
  readonly resharding: Resharding
  readonly source: ReshardedShard
  readonly target: ReshardedShard
}

async function renames(send: Send, { resharding, source, target }: Renamed): Promise<readonly string[]> {
  if (source.layout === 'schema') return [`ALTER SCHEMA ${quoted(source.name)} RENAME TO ${quoted(target.name)}`]
  const { rows } = await send(ownNames, [
    tablesAt(resharding, source).map(({ schema }) => schema),
    tablesAt(resharding, source).map(({ name }) => name),
  ])
  const others = rows.map((row: Row) => {
    const name = String(row['name'])
    return `${row['statement']}${quoted(renamed(name, { resharding, source, target }))}`
  })
  const tables = resharding.tables.map(
    (table) => `ALTER TABLE ${tablePath(tableAt(table, source))} RENAME TO ${quoted(tableAt(table, target).name)}`,
  )
  return [...others, ...tables]
}

/** The suffix of the shard stands at the end of a name, or where the name of a table ends that it begins with. */
function renamed(name: string, { resharding, source, target }: Renamed): string {
  const [before, after] = [`_${source.label}`, `_${target.label}`]
  if (name.endsWith(before)) return `${name.slice(0, -before.length)}${after}`
  const table = resharding.tables.find((one) => name.startsWith(`${one}${before}_`))
  if (table !== undefined) return `${table}${after}${name.slice(table.length + before.length)}`
  return `${name}${after}`
}

/** What has a name of its own beside the tables: indexes with their constraints, sequences and statistics of the tables, types of their columns. */
const ownNames = `
  WITH tables AS (
    SELECT c.oid, n.nspname, n.oid AS namespace FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest($1::text[], $2::text[])))
  SELECT c.relname AS name, format('ALTER INDEX %I.%I RENAME TO ', t.nspname, c.relname) AS statement
    FROM tables t JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class c ON c.oid = i.indexrelid
  UNION ALL SELECT c.relname, format('ALTER SEQUENCE %I.%I RENAME TO ', n.nspname, c.relname)
    FROM tables t JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
      JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S' JOIN pg_namespace n ON n.oid = c.relnamespace
  UNION ALL SELECT s.stxname, format('ALTER STATISTICS %I.%I RENAME TO ', n.nspname, s.stxname)
    FROM tables t JOIN pg_statistic_ext s ON s.stxrelid = t.oid JOIN pg_namespace n ON n.oid = s.stxnamespace
  UNION ALL SELECT DISTINCT ty.typname, format('ALTER TYPE %I.%I RENAME TO ', n.nspname, ty.typname)
    FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND NOT a.attisdropped JOIN pg_type o ON o.oid = a.atttypid
      JOIN pg_type ty ON ty.oid = coalesce(nullif(o.typelem, 0), o.oid) AND ty.typtype IN ('e', 'd', 'c') AND ty.typnamespace = t.namespace
      JOIN pg_namespace n ON n.oid = ty.typnamespace
    WHERE NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_type'::regclass AND e.objid = ty.oid AND e.deptype = 'e')
      AND NOT EXISTS (SELECT FROM pg_attribute b JOIN pg_class r ON r.oid = b.attrelid AND r.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
        WHERE NOT b.attisdropped AND b.atttypid IN (ty.oid, ty.typarray) AND r.oid NOT IN (SELECT oid FROM tables))`

/** Comments bear the mark of the shard. */
const remarked = (structure: ShardStructure, source: ReshardedShard, target: ReshardedShard): ShardStructure => {
  const [before, after] = [shardMark(source), shardMark(target)].map((mark) => mark.slice(0, -1))
  return structure.map(
    (one): StructureObject =>
      one.kind === 'comment' && before !== undefined && after !== undefined
        ? { ...one, make: one.make.replaceAll(`${before}]`, `${after}]`).replaceAll(`${before} `, `${after} `) }
        : one,
  )
}

/** A foreign key whose rows are known to be there: they are looked at when nobody waits. Other statements stay. */
export const notValid = (statement: string): string =>
  / ADD CONSTRAINT .* FOREIGN KEY /.test(statement) ? `${statement} NOT VALID` : statement
