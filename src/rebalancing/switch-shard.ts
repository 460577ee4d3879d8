import { sqlState } from '../endpoints/sql-state'
import { ShardedError } from '../errors/sharded-error'
import type { Row } from '../merging/row'
import { literal } from '../values/literal'
import { quoted } from '../values/quoted'
import { closePlace, closingChanges, leftBehind, openPlace } from './close-place'
import { hashKeys } from './compared-table'
import type { MoveBounds } from './move-host'
import { lockStates, plainTexts, type Send } from './on-node'
import { readStructureIn } from './read-structure'
import { flushedLsn, publishStatement, tablePath } from './replication'
import { readSequences, setSequences } from './sequences'
import {
  type MovedTable,
  type MoveMemory,
  movedName,
  movedSchema,
  placeOf,
  type ShardMove,
  wayBack,
} from './shard-move'
import { missingStatements, type ShardStructure, structureDifferences } from './shard-structure'
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
    `BEGIN; ${plainTexts}; ${endsBySilence(pauseMs)};
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

interface SettleSettings {
  readonly suspects: Suspects
  readonly pauseMs: number
}

/**
 * What is left to be done while the source's tables are locked, before the switch is stored: the last rows arrive, the rest is compared,
 * sequences go on where they are, and the target has all of it on its disk. What is written to the target from then on is sent back. The
 * source is left, but for the commit of its transaction. Writers wait meanwhile: what can be done at the same time is.
 *
 * @param sides connections beside the one that holds the locks
 * @returns what is to be stored with the switch
 * @throws ShardedError SHARD_MOVE_DIFFERS, SHARD_MOVE_STALLED
 */
export async function settleTarget(
  { locked, ...sides }: Sides & { readonly locked: Send },
  move: ShardMove,
  { suspects, pauseMs }: SettleSettings,
): Promise<Pick<MoveMemory, 'finals' | 'opening'>> {
  const { isReversible } = move.memory
  const [lsn] = await Promise.all([flushedLsn(sides.source), sides.target(beginSettling(pauseMs))])
  const [atSource, atTarget, sequences, changes] = await Promise.all([
    readStructureIn(locked, move),
    readStructureIn(sides.target, move),
    readSequences(locked, move),
    isReversible ? closingChanges(sides.source, move) : [],
    awaitLsn(sides, move, { lsn, stallMs: pauseMs, lookEveryMs }),
  ])
  compareStructures(move, atSource, atTarget)
  await compareRest({ source: locked, target: sides.target }, move, suspects)
  const settled = setSequences(sides.target, sequences).then(() =>
    sides.target([...(isReversible ? [publishStatement(wayBack(move))] : []), settleOnDisk].join('; ')),
  )
  await Promise.all([settled, isReversible ? closePlace(locked, move, changes) : renameSource(locked, move)])
  return {
    finals: missingStatements(atSource, atTarget, 'after-switch'),
    opening: changes.map(({ unmake }) => unmake),
  }
}

/**
 * The same of the way back, while the tables of the new place are locked. The old place is opened in a transaction that is committed when
 * the new one has been left.
 *
 * @param opened of the old place: holds the transaction that opens it
 * @throws ShardedError SHARD_MOVE_DIFFERS, SHARD_MOVE_STALLED
 */
export async function settleSource(
  { locked, opened, ...sides }: Sides & { readonly locked: Send; readonly opened: Send },
  move: ShardMove,
  { suspects, pauseMs, lockMs }: SettleSettings & Pick<MoveBounds, 'lockMs'>,
): Promise<void> {
  const back = wayBack(move)
  const [lsn] = await Promise.all([flushedLsn(sides.source), sides.target(beginSettling(pauseMs))])
  const [atNew, sequences] = await Promise.all([
    readStructureIn(locked, back),
    readSequences(locked, back),
    opened(`BEGIN; ${plainTexts}; ${endsBySilence(pauseMs)}; SET LOCAL lock_timeout = ${lockMs}`),
    awaitLsn(sides, back, { lsn, stallMs: pauseMs, lookEveryMs }),
  ])
  // Values of sequences are no part of a transaction: they are set before the place is opened, which may be done once more.
  // In the closed place they have other names.
  const closed = sequences.map((value) => {
    const { schema, name } = value.sequence
    return { ...value, sequence: { schema, name: movedName(move, name) } }
  })
  await setSequences(sides.target, closed)
  await sides.target(settleOnDisk)
  await openPlace(opened, move, move.memory.opening ?? [])
  compareStructures(back, atNew, await readStructureIn(opened, back))
  await compareRest({ source: locked, target: opened }, back, suspects)
  await renameSource(locked, back)
}

/** The transaction ends by itself where this process falls silent. */
const endsBySilence = (pauseMs: number): string => `SET LOCAL idle_in_transaction_session_timeout = ${pauseMs}`

const beginSettling = (pauseMs: number): string =>
  `BEGIN; ${plainTexts}; SET LOCAL synchronous_commit = on; SET LOCAL statement_timeout = ${pauseMs}`

/** Rows are applied without waiting for the disk; this commit brings all before it there. */
const settleOnDisk = `SELECT pg_logical_emit_message(true, 'sharding_move', ''); COMMIT`

function compareStructures(move: ShardMove, ...structures: readonly [ShardStructure, ShardStructure]): void {
  const differences = structureDifferences(...structures)
  if (differences.length > 0) throw structureDiffers(move, differences)
}

async function compareRest(sides: Sides, move: ShardMove, suspects: Suspects): Promise<void> {
  const left = await compareSuspects(suspects, async (table, keys) => [
    await hashKeys(sides.source, table, keys),
    await hashKeys(sides.target, table, keys),
  ])
  if (suspectCount(left) > 0) throw rowsDiffer(move, left)
}

function structureDiffers(move: ShardMove, differences: readonly string[]): ShardedError {
  return new ShardedError(
    'SHARD_MOVE_DIFFERS',
    `The structure of ${move.shard} is not the same on both sides: ${differences.join('; ')}.`,
    { details: { id: move.id, shard: move.shard, differences } },
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
