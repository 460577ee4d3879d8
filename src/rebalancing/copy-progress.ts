import type { Row } from '../merging/row'
import type { MoveHost } from './move-host'
import { replicationName, type ShardMove, type TableProgress } from './shard-move'

export type CopyProgress = Readonly<Record<string, TableProgress>>

/** A look at a copy, and when it was taken. */
export interface CopyLook {
  readonly tables: CopyProgress
  readonly at: number
}

/** How far the copy of each table is. @param before an earlier look, for the rates */
export async function lookAtCopy(host: MoveHost, move: ShardMove, before: CopyLook | undefined): Promise<CopyLook> {
  const [source, target] = await Promise.all([
    host.node(move.from).query(
      `SELECT n.nspname || '.' || c.relname AS name, greatest(c.reltuples, 0)::float8 AS rows, pg_table_size(c.oid)::float8 AS bytes
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest($1::text[], $2::text[]))`,
      [move.tables.map(({ schema }) => schema), move.tables.map(({ name }) => name)],
    ),
    host.node(move.to).query(
      `SELECT n.nspname || '.' || c.relname AS name, r.srsubstate AS state, p.tuples_processed::float8 AS rows, p.bytes_processed::float8 AS bytes
       FROM pg_subscription s JOIN pg_subscription_rel r ON r.srsubid = s.oid JOIN pg_class c ON c.oid = r.srrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         LEFT JOIN pg_stat_progress_copy p ON p.relid = c.oid AND p.datname = current_database()
       WHERE s.subname = $1`,
      [replicationName(move)],
    ),
  ])
  const at = performance.now()
  const found = new Map(target.rows.map((row: Row) => [String(row['name']), row]))
  const tables = source.rows.map((row: Row) => {
    const name = String(row['name'])
    return [name, tableProgress(row, found.get(name), { before: before?.tables[name], ms: at - (before?.at ?? at) })]
  })
  return { tables: Object.fromEntries(tables), at }
}

/** States of a table that wait for the copy, and that copy. */
const waiting = 'i'
const copying = 'd'

function tableProgress(
  source: Row,
  target: Row | undefined,
  { before, ms }: { readonly before: TableProgress | undefined; readonly ms: number },
): TableProgress {
  const ofBytes = Number(source['bytes'])
  const state = target?.['state']
  if (state === undefined || state === waiting)
    return { state: 'waiting', rows: 0, bytes: 0, ofBytes, rowsPerSecond: 0 }
  if (state !== copying) {
    const rows = Math.max(Number(source['rows']), before?.rows ?? 0)
    return { state: 'copied', rows, bytes: ofBytes, ofBytes, rowsPerSecond: before?.rowsPerSecond ?? 0 }
  }
  const rows = Number(target?.['rows'] ?? before?.rows ?? 0)
  const isMeasured = before !== undefined && ms > 0 && rows >= before.rows
  return {
    state: 'copying',
    rows,
    bytes: Number(target?.['bytes'] ?? before?.bytes ?? 0),
    ofBytes,
    rowsPerSecond: isMeasured ? Math.round(((rows - before.rows) / ms) * 1_000) : 0,
  }
}
