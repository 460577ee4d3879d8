import { ShardedError } from '../errors/sharded-error'
import {
  type Chunk,
  type ComparedTable,
  comparedTables,
  endOfChunk,
  hashChunk,
  hashKeys,
  hashRows,
} from './compared-table'
import type { MoveBounds, MoveHost } from './move-host'
import { inTransaction, onConnection, pause, type Send } from './on-node'
import { flushedLsn, hasReached } from './replication'
import type { ShardMove } from './shard-move'

/** Rows that were not alike when they were looked at, by table: a write was on its way, or they differ. */
export interface Suspects {
  readonly compared: readonly ComparedTable[]
  readonly rows: ReadonlyMap<ComparedTable, ReadonlySet<string>>
}

/** Both sides of a move. */
export interface Sides {
  readonly source: Send
  readonly target: Send
}

/** Rounds in which suspects are compared again before the rest is left to the pause. */
const maxRounds = 10

/** Keys of rows that differ which an error names. */
const maxNamed = 10

export const suspectCount = ({ rows }: Suspects): number => [...rows.values()].reduce((sum, keys) => sum + keys.size, 0)

/** A connection to each side of a move. */
export const onBothSides = <T>(host: MoveHost, move: ShardMove, work: (sides: Sides) => Promise<T>): Promise<T> =>
  onConnection(host.node(move.from), (source) => onConnection(host.node(move.to), (target) => work({ source, target })))

interface VerifySettings {
  readonly bounds: MoveBounds
  readonly signal: AbortSignal | undefined
  /** Told how far it is. */
  readonly note: (progress: { readonly comparedRows: number; readonly suspectRows: number }) => Promise<void>
}

/**
 * Compares every row of the shard while it is written to. A row that was alike once is replicated as all others are. One that was not may
 * have been on its way: such rows are compared again, each by itself, and what is left of them is compared while writers wait.
 *
 * @throws ShardedError SHARD_MOVE_DIFFERS where more rows stay different than may be compared then
 */
export async function verifyRows(host: MoveHost, move: ShardMove, settings: VerifySettings): Promise<Suspects> {
  return onBothSides(host, move, async (sides) => {
    const compared = await inTransaction(sides.source, () => comparedTables(sides.source, move))
    const rows = new Map<ComparedTable, ReadonlySet<string>>()
    let comparedRows = 0
    for (const table of compared) {
      const found = await compareTable(sides, table, {
        ...settings,
        note: (progress) =>
          settings.note({
            comparedRows: comparedRows + progress.comparedRows,
            suspectRows: progress.suspectRows + suspectCount({ compared, rows }),
          }),
      })
      comparedRows += found.rows
      rows.set(table, found.suspects)
    }
    return narrow(sides, move, { suspects: { compared, rows }, ...settings })
  })
}

/** One chunk after the other, each in a transaction of its own: a long one would keep the source from cleaning up. */
async function compareTable(
  sides: Sides,
  table: ComparedTable,
  { bounds, signal, note }: VerifySettings,
): Promise<{ readonly rows: number; readonly suspects: ReadonlySet<string> }> {
  const suspects = new Set<string>()
  let after: Chunk['after']
  let rows = 0
  for (;;) {
    signal?.throwIfAborted()
    const from = after
    const upTo = await inTransaction(sides.source, () =>
      endOfChunk(sides.source, table, { after: from, rows: bounds.rowsPerChunk }),
    )
    const chunk = { after, upTo }
    const [source, target] = await onSides(sides, (send) => hashChunk(send, table, chunk))
    rows += source.rows
    if (source.rows !== target.rows || source.hash !== target.hash)
      for (const key of unlike(await onSides(sides, (send) => hashRows(send, table, chunk)))) suspects.add(key)
    await note({ comparedRows: rows, suspectRows: suspects.size })
    if (upTo === undefined) return { rows, suspects }
    after = upTo
  }
}

const onSides = <T>({ source, target }: Sides, read: (send: Send) => Promise<T>): Promise<readonly [T, T]> =>
  Promise.all([inTransaction(source, () => read(source)), inTransaction(target, () => read(target))])

/** The keys of rows that are not the same on both sides. */
function unlike([source, target]: readonly [
  ReadonlyMap<string, string>,
  ReadonlyMap<string, string>,
]): ReadonlySet<string> {
  const keys = new Set([...source.keys(), ...target.keys()])
  return new Set([...keys].filter((key) => source.get(key) !== target.get(key)))
}

/** Compares suspects again, after what was written by then has arrived, until few are left. */
async function narrow(
  sides: Sides,
  move: ShardMove,
  { suspects, bounds, signal }: Pick<VerifySettings, 'bounds' | 'signal'> & { readonly suspects: Suspects },
): Promise<Suspects> {
  let left = suspects
  for (let round = 0; round < maxRounds && suspectCount(left) > 0; round++) {
    await awaitLsn(sides, move, {
      lsn: await flushedLsn(sides.source),
      stallMs: bounds.stallMs,
      lookEveryMs: 20,
      signal,
    })
    left = await compareSuspects(left, (table, keys) => onSides(sides, (send) => hashKeys(send, table, keys)))
  }
  if (suspectCount(left) <= bounds.suspectRows) return left
  throw rowsDiffer(move, left)
}

/** Which suspects are still not alike. */
export async function compareSuspects(
  { compared, rows }: Suspects,
  read: (
    table: ComparedTable,
    keys: readonly string[],
  ) => Promise<readonly [ReadonlyMap<string, string>, ReadonlyMap<string, string>]>,
): Promise<Suspects> {
  const left = new Map<ComparedTable, ReadonlySet<string>>()
  for (const [table, keys] of rows) if (keys.size > 0) left.set(table, unlike(await read(table, [...keys])))
  return { compared, rows: left }
}

export function rowsDiffer(move: ShardMove, suspects: Suspects): ShardedError {
  const differences = [...suspects.rows]
    .flatMap(([{ table }, keys]) => [...keys].map((key) => `${table.schema}.${table.name} ${key}`))
    .sort()
  const named = differences.slice(0, maxNamed)
  const count = differences.length
  return new ShardedError(
    'SHARD_MOVE_DIFFERS',
    `${count} rows of ${move.shard} differ on both sides: ${named.join(', ')}${count > maxNamed ? ', …' : ''}.`,
    {
      details: { id: move.id, shard: move.shard, differences: named },
    },
  )
}

interface LsnWait {
  readonly lsn: string
  readonly stallMs: number
  readonly lookEveryMs: number
  readonly signal?: AbortSignal | undefined
}

/** Waits until the target has what the source had written. @throws ShardedError SHARD_MOVE_STALLED */
export async function awaitLsn(
  sides: Sides,
  move: ShardMove,
  { lsn, stallMs, lookEveryMs, signal }: LsnWait,
): Promise<void> {
  const deadline = performance.now() + stallMs
  while (!(await hasReached(sides, move, lsn))) {
    if (performance.now() > deadline)
      throw new ShardedError(
        'SHARD_MOVE_STALLED',
        `The target of ${move.shard} is behind its source for ${stallMs} ms.`,
        {
          details: { id: move.id, shard: move.shard },
        },
      )
    await pause(lookEveryMs, signal)
  }
}
