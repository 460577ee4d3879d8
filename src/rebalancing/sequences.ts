import type { Row } from '../merging/row'
import type { Send } from './on-node'
import { tablePath } from './replication'
import { type MovedTable, placeOf, type ShardMove } from './shard-move'

/** The sequences of the shard: those of its schema, or those that columns of its tables own. */
export const sequencesSql = `
  SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'S' AND n.nspname = $1 AND ($2::text[] IS NULL OR EXISTS (
    SELECT FROM pg_depend d JOIN pg_class t ON t.oid = d.refobjid WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
      AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND t.relname = ANY ($2)))
  ORDER BY n.nspname, c.relname`

/** A sequence, and where it is to go on. */
export interface SequenceValue {
  readonly sequence: MovedTable
  readonly last: string
  readonly isCalled: boolean
}

/** Where the sequences of a locked place are: replication leaves them alone. */
export async function readSequences(
  locked: Send,
  placed: Pick<ShardMove, 'layout' | 'tables'>,
): Promise<readonly SequenceValue[]> {
  const { rows } = await locked(sequencesSql, placeOf(placed))
  if (rows.length === 0) return []
  const sequences = rows.map((row: Row): MovedTable => ({ schema: String(row['schema']), name: String(row['name']) }))
  const read = sequences.map(
    (sequence, place) => `SELECT ${place} AS place, last_value::text AS last, is_called FROM ${tablePath(sequence)}`,
  )
  const { rows: values } = await locked(`${read.join(' UNION ALL ')} ORDER BY place`)
  return sequences.map((sequence, place) => ({
    sequence,
    last: String(values[place]?.['last']),
    isCalled: values[place]?.['is_called'] === true,
  }))
}

export async function setSequences(send: Send, values: readonly SequenceValue[]): Promise<void> {
  if (values.length === 0) return
  await send(
    `SELECT setval(path::regclass, last::bigint, called) FROM unnest($1::text[], $2::text[], $3::bool[]) AS s(path, last, called)`,
    [
      values.map(({ sequence }) => tablePath(sequence)),
      values.map(({ last }) => last),
      values.map(({ isCalled }) => isCalled),
    ],
  )
}
