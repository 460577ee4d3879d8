import type { Row } from '../merging/row'
import { literal } from '../values/literal'
import { quoted } from '../values/quoted'
import type { Send } from './on-node'
import { movedName, placeOf, type ShardMove } from './shard-move'

/** The sequences of the shard: those of its schema, or those that columns of its tables own. */
export const sequencesSql = `
  SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'S' AND n.nspname = $1 AND ($2::text[] IS NULL OR EXISTS (
    SELECT FROM pg_depend d JOIN pg_class t ON t.oid = d.refobjid WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
      AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND t.relname = ANY ($2)))
  ORDER BY n.nspname, c.relname`

/** A sequence as the place has it that the shard comes to, and where it is to go on. */
export interface SequenceValue {
  readonly path: string
  readonly last: string
  readonly isCalled: boolean
}

/**
 * Where the sequences of a locked place are: replication leaves them alone.
 *
 * @param closedBy the place that the shard comes to is closed by this move: its sequences have other names there
 */
export async function readSequences(
  locked: Send,
  placed: Pick<ShardMove, 'layout' | 'tables'>,
  closedBy?: Pick<ShardMove, 'id'>,
): Promise<readonly SequenceValue[]> {
  const { rows } = await locked(sequencesSql, placeOf(placed))
  if (rows.length === 0) return []
  const pathOf = (row: Row, name: string): string => `${quoted(String(row['schema']))}.${quoted(name)}`
  const read = rows.map((row: Row) => {
    const name = String(row['name'])
    const there = pathOf(row, closedBy ? movedName(closedBy, name) : name)
    return `SELECT ${literal(there)} AS path, last_value::text AS last, is_called FROM ${pathOf(row, name)}`
  })
  const { rows: values } = await locked(read.join(' UNION ALL '))
  return values.map((row: Row) => ({
    path: String(row['path']),
    last: String(row['last']),
    isCalled: row['is_called'] === true,
  }))
}

export async function setSequences(send: Send, values: readonly SequenceValue[]): Promise<void> {
  if (values.length === 0) return
  await send(
    `SELECT setval(path::regclass, last::bigint, called) FROM unnest($1::text[], $2::text[], $3::bool[]) AS s(path, last, called)`,
    [values.map(({ path }) => path), values.map(({ last }) => last), values.map(({ isCalled }) => isCalled)],
  )
}
