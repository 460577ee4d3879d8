import { ShardedError } from '../errors/sharded-error'
import type { Send } from '../rebalancing/on-node'
import { tablePath } from '../rebalancing/replication'
import type { ReshardedShard, Resharding } from '../rebalancing/resharding'
import type { Notes } from './capture-changes'
import type { RowRouter } from './resharding-host'
import type { ReshardingMove } from './resharding-move'
import {
  deleteRows,
  insertRows,
  type KeyTexts,
  readChunk,
  readRows,
  type ShardTable,
  type TextRow,
} from './shard-table'

/** One source or target, with a connection to its node. */
export interface Side {
  readonly shard: ReshardedShard
  /** In the order of the resharding's tables. */
  readonly tables: readonly ShardTable[]
  readonly send: Send
}

/** What rows are copied by. */
export interface CopySettings {
  readonly move: ReshardingMove
  readonly router: RowRouter
  readonly targets: readonly Side[]
}

/** Rows that one statement reads or writes, and about how many bytes they may have together. */
const maxRows = 5_000
const maxBytes = 4_194_304

/** About as many rows as have `maxBytes`, by what the statistics say of the table. */
async function chunkRows(send: Send, { table }: ShardTable): Promise<number> {
  const { rows } = await send(
    `SELECT pg_table_size(c.oid)::float8 / greatest(c.reltuples, 1) AS bytes FROM pg_class c WHERE c.oid = to_regclass($1)`,
    [tablePath(table)],
  )
  const bytes = Math.max(1, Number(rows[0]?.['bytes'] ?? 1))
  return Math.max(50, Math.min(maxRows, Math.floor(maxBytes / bytes)))
}

/**
 * Copies the rows of one table of a source, in the order of its primary key; while they are written to, since what is written is noted.
 *
 * @param after the last key that was copied; undefined: none
 * @param copied is told of each chunk when it is stored
 */
export async function copyTable(
  { shard, tables, send }: Side,
  place: number,
  {
    after: begun,
    copied,
    ...settings
  }: CopySettings & {
    readonly after: KeyTexts | undefined
    readonly copied: (after: KeyTexts, rows: number) => Promise<void>
  },
): Promise<void> {
  const table = at(tables, place)
  const name = at(settings.move.resharding.tables, place)
  const limit = await chunkRows(send, table)
  const read = (after: KeyTexts | undefined): Promise<readonly TextRow[]> =>
    readChunk(send, table, { after, rows: limit, shardKey: settings.router.shardKeySql(name, shard) })
  let chunk = await read(begun)
  while (chunk.length > 0) {
    const last = at(chunk, chunk.length - 1).key
    // The next rows are read while these are written.
    const [next] = await Promise.all([
      chunk.length < limit ? [] : read(last),
      putRows(settings, place, { rows: chunk, isNew: false }),
    ])
    await copied(last, chunk.length)
    chunk = next
  }
}

/** @param isNew whether none of the rows can be there */
async function putRows(
  { move, router, targets }: CopySettings,
  place: number,
  { rows, isNew }: { readonly rows: readonly TextRow[]; readonly isNew: boolean },
): Promise<void> {
  const byLabel = routed(move.resharding, router, { place, rows })
  await Promise.all(
    targets.map(async ({ shard, tables, send }) => {
      const own = byLabel.get(shard.label) ?? []
      if (own.length > 0) await insertRows(send, at(tables, place), { rows: own, isNew })
    }),
  )
}

function routed(
  { tables, targets }: Resharding,
  router: RowRouter,
  { place, rows }: { readonly place: number; readonly rows: readonly TextRow[] },
): ReadonlyMap<string, readonly string[]> {
  const [only, another] = targets
  if (only && !another) return new Map([[only.label, rows.map(({ row }) => row)]])
  const name = at(tables, place)
  const byLabel = new Map(targets.map(({ label }): [string, string[]] => [label, []]))
  for (const { row, key, shardKey } of rows) {
    const own = byLabel.get(router.labelOf(name, shardKey))
    // It would be in the wrong shard already.
    if (!own)
      throw new ShardedError('SHARD_MOVE_DIFFERS', `A row of ${name} belongs to no shard of the resharding.`, {
        details: { table: name, key },
        fix: 'Find rows that are on a wrong shard with their keys, and move them first.',
      })
    own.push(row)
  }
  return byLabel
}

/** What one source has noted, and what its rows are now. */
interface NotedRows {
  readonly place: number
  readonly keys: readonly KeyTexts[]
  readonly rows: readonly TextRow[]
}

/** The rows that notes name, as a source has them in the transaction that has read the notes. */
export async function readNoted(
  { shard, tables, send }: Side,
  { byTable }: Notes,
  { move, router }: Pick<CopySettings, 'move' | 'router'>,
): Promise<readonly NotedRows[]> {
  const noted: NotedRows[] = []
  for (const [place, { keys }] of byTable) {
    const shardKey = router.shardKeySql(at(move.resharding.tables, place), shard)
    for (let from = 0; from < keys.length; from += maxRows) {
      const some = keys.slice(from, from + maxRows)
      noted.push({ place, keys: some, rows: await readRows(send, at(tables, place), { keys: some, shardKey }) })
    }
  }
  return noted
}

/**
 * Makes the targets have of some rows what the sources had when they were read: first all of them go, and then those come that are there.
 * Constraints hold where the notes are all that one snapshot has: the targets are then as the sources were in it.
 */
export async function putNoted(settings: CopySettings, noted: readonly NotedRows[]): Promise<void> {
  const { targets } = settings
  const sends = new Set(targets.map(({ send }) => send))
  await Promise.all([...sends].map((send) => send('BEGIN')))
  for (const { place, keys } of noted)
    await Promise.all(targets.map(({ tables, send }) => deleteRows(send, at(tables, place), keys)))
  for (const { place, rows } of noted) await putRows(settings, place, { rows, isNew: true })
  await Promise.all([...sends].map((send) => send('COMMIT')))
}

const at = <T>(list: readonly T[], index: number): T => {
  const found = list[index]
  if (found !== undefined) return found
  throw new RangeError(`There is no entry ${index} of ${list.length}.`)
}
