import { sqlState } from '../endpoints/sql-state'
import { ShardedError } from '../errors/sharded-error'
import type { Row } from '../merging/row'
import { literal } from '../values/literal'
import { quoted } from '../values/quoted'
import { hashKeys } from './compared-table'
import type { MoveBounds } from './move-host'
import { lockStates, plainTexts, type Send } from './on-node'
import { readStructureIn } from './read-structure'
import { flushedLsn, tablePath } from './replication'
import { type MovedTable, movedSchema, placeOf, type ShardMove } from './shard-move'
import { missingStatements, structureDifferences } from './shard-structure'
import { awaitLsn, compareSuspects, rowsDiffer, type Sides, type Suspects, suspectCount } from './verify-rows'

/** Of tables that are not where they were. */
const absentStates: ReadonlySet<string> = new Set(['42P01', '3F000'])

/** Between two looks at the target, while writers wait. */
const lookEveryMs = 3

/**
 * The tables of a shard in the order in which writers mostly come to them: what others refer to first. Locks that are taken in the order of
 * the writers never wait for a writer that waits for them.
 */
export async function writingOrder(send: Send, { tables }: ShardMove): Promise<readonly MovedTable[]> {
  const { rows } = await send(
    `SELECT k.conrelid::regclass::text AS child, k.confrelid::regclass::text AS parent, path.place AS child_place, other.place AS parent_place
     FROM unnest($1::text[]) WITH ORDINALITY AS path(name, place) JOIN pg_constraint k ON k.contype = 'f' AND k.conrelid = to_regclass(path.name)
       JOIN unnest($1::text[]) WITH ORDINALITY AS other(name, place) ON k.confrelid = to_regclass(other.name) WHERE k.conrelid <> k.confrelid`,
    [tables.map(tablePath)],
  )
  const depths = tables.map(() => 0)
  // A chain of references is no longer than the tables are many; one that goes round ends here.
  for (const _ of tables)
    for (const row of rows as readonly Row[]) {
      const [child, parent] = [Number(row['child_place']) - 1, Number(row['parent_place']) - 1]
      depths[child] = Math.min(tables.length, Math.max(depths[child] ?? 0, (depths[parent] ?? 0) + 1))
    }
  return tables
    .map((table, index) => ({ table, depth: depths[index] ?? 0 }))
    .sort((one, other) => one.depth - other.depth)
    .map(({ table }) => table)
}

/**
 * Locks the shard's tables at the source, in a transaction with `plainTexts`: all of them, in the given order, and for no longer than `lockMs`.
 * Nobody reads or writes them from then on. The transaction ends by itself where this process falls silent.
 */
export async function lockTables(
  send: Send,
  tables: readonly MovedTable[],
  { lockMs, pauseMs }: Pick<MoveBounds, 'lockMs' | 'pauseMs'>,
): Promise<'locked' | 'busy' | 'absent'> {
  const paths = tables.map(tablePath).join(', ')
  await send(
    `BEGIN; ${plainTexts}; SET LOCAL idle_in_transaction_session_timeout = ${pauseMs};
     SET LOCAL lock_timeout = ${lockMs}; SET LOCAL statement_timeout = ${lockMs}`,
  )
  try {
    await send(`LOCK TABLE ${paths} IN ACCESS EXCLUSIVE MODE`)
    await send(`SET LOCAL statement_timeout = ${pauseMs}`)
    return 'locked'
  } catch (error) {
    await send('ROLLBACK')
    const state = sqlState(error) ?? ''
    if (lockStates.has(state)) return 'busy'
    if (absentStates.has(state)) return 'absent'
    throw error
  }
}

/**
 * What is left to be done while the source's tables are locked, before the switch is stored: the last rows arrive, the rest is compared,
 * sequences go on where they are, and the target has all of it on its disk.
 *
 * @param sides connections beside the one that holds the locks
 * @returns the statements to be run on the target when nothing is replicated any more
 * @throws ShardedError SHARD_MOVE_DIFFERS, SHARD_MOVE_STALLED
 */
export async function settleTarget(
  { locked, ...sides }: Sides & { readonly locked: Send },
  move: ShardMove,
  { suspects, pauseMs }: { readonly suspects: Suspects; readonly pauseMs: number },
): Promise<readonly string[]> {
  const lsn = await flushedLsn(sides.source)
  await sides.target(`BEGIN; ${plainTexts}; SET LOCAL synchronous_commit = on`)
  const [atSource, atTarget] = await Promise.all([
    readStructureIn(locked, move),
    readStructureIn(sides.target, move),
    awaitLsn(sides, move, { lsn, stallMs: pauseMs, lookEveryMs }),
  ])
  const differences = structureDifferences(atSource, atTarget)
  if (differences.length > 0) throw structureDiffers(move, differences)
  const left = await compareSuspects(suspects, async (table, keys) => [
    await hashKeys(locked, table, keys),
    await hashKeys(sides.target, table, keys),
  ])
  if (suspectCount(left) > 0) throw rowsDiffer(move, left)
  // Replication leaves sequences alone.
  await setSequences(sides.target, await sequenceValues(locked, move))
  // Rows are applied without waiting for the target's disk; this commit brings all before it there.
  await sides.target(`SELECT pg_logical_emit_message(true, 'sharding_move', '')`)
  await sides.target('COMMIT')
  return missingStatements(atSource, atTarget, 'after-switch')
}

function structureDiffers(move: ShardMove, differences: readonly string[]): ShardedError {
  return new ShardedError(
    'SHARD_MOVE_DIFFERS',
    `The structure of ${move.shard} is not the same on both sides: ${differences.join('; ')}.`,
    { details: { id: move.id, shard: move.shard, differences } },
  )
}

/** The sequences of the shard: those of its schema, or those that columns of its tables own. */
const sequencesSql = `
  SELECT format('%I.%I', n.nspname, c.relname) AS path FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'S' AND n.nspname = $1 AND ($2::text[] IS NULL OR EXISTS (
    SELECT FROM pg_depend d JOIN pg_class t ON t.oid = d.refobjid WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
      AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND t.relname = ANY ($2)))
  ORDER BY path`

/** A sequence of a shard, and where it is. */
export interface SequenceValue {
  readonly path: string
  readonly last: string
  readonly isCalled: boolean
}

/** Where the sequences of a shard are, by their names. */
export async function sequenceValues(
  send: Send,
  placed: Pick<ShardMove, 'layout' | 'tables'>,
): Promise<readonly SequenceValue[]> {
  const { rows } = await send(sequencesSql, placeOf(placed))
  if (rows.length === 0) return []
  const paths = rows.map((row: Row) => String(row['path']))
  const read = paths.map((path) => `SELECT ${literal(path)} AS path, last_value::text AS last, is_called FROM ${path}`)
  const { rows: values } = await send(read.join(' UNION ALL '))
  return values.map((row: Row) => ({
    path: String(row['path']),
    last: String(row['last']),
    isCalled: row['is_called'] === true,
  }))
}

/** Sets sequences. */
export async function setSequences(send: Send, values: readonly SequenceValue[]): Promise<void> {
  if (values.length === 0) return
  await send(
    `SELECT setval(path::regclass, last::bigint, called) FROM unnest($1::text[], $2::text[], $3::bool[]) AS s(path, last, called)`,
    [values.map(({ path }) => path), values.map(({ last }) => last), values.map(({ isCalled }) => isCalled)],
  )
}

/**
 * Takes the tables from their place, in the transaction that has locked them: who knows only the old place finds no table there.
 */
export async function renameSource(locked: Send, move: ShardMove): Promise<void> {
  const moved = quoted(movedSchema(move))
  const [schema, names] = placeOf(move)
  const statements =
    names === null
      ? [`ALTER SCHEMA ${quoted(schema)} RENAME TO ${moved}`]
      : [`CREATE SCHEMA ${moved}`, ...(await intoSchema(locked, move, moved)), ...unmarked(move, moved)]
  await locked([...statements, `COMMENT ON SCHEMA ${moved} IS ${literal(leftBehind(move))}`].join('; '))
}

/** It must not be taken for the shard: that is elsewhere. */
const leftBehind = ({ shard, id }: ShardMove): string =>
  `What shard ${shard} was before its move ${id}. Finishing the move drops it.`

/** Tables take their indexes and the sequences that their columns own with them. Types are named one by one. */
async function intoSchema(locked: Send, move: ShardMove, moved: string): Promise<readonly string[]> {
  const { rows } = await locked(
    `SELECT DISTINCT format('ALTER TYPE %I.%I SET SCHEMA ', n.nspname, t.typname) AS statement
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
       JOIN pg_type of ON of.oid = a.atttypid JOIN pg_type t ON t.oid = coalesce(nullif(of.typelem, 0), of.oid) AND t.typtype IN ('e', 'd', 'c')
       JOIN pg_namespace n ON n.oid = t.typnamespace
     WHERE NOT a.attisdropped AND cn.nspname = $1 AND c.relname = ANY ($2) AND n.nspname = $1
       AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid AND e.deptype = 'e')
       AND NOT EXISTS (
         SELECT FROM pg_attribute b JOIN pg_class o ON o.oid = b.attrelid AND o.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
         WHERE NOT b.attisdropped AND b.atttypid IN (t.oid, t.typarray) AND NOT (o.relnamespace = cn.oid AND o.relname = ANY ($2)))`,
    placeOf(move),
  )
  return [
    ...move.tables.map((table) => `ALTER TABLE ${tablePath(table)} SET SCHEMA ${moved}`),
    ...rows.map((row: Row) => `${row['statement']}${moved}`),
  ]
}

/** Each table has a mark of its own in this layout. */
const unmarked = (move: ShardMove, moved: string): readonly string[] =>
  move.tables.map(({ name }) => `COMMENT ON TABLE ${moved}.${quoted(name)} IS ${literal(leftBehind(move))}`)
