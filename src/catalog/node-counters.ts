import { randomBytes } from 'node:crypto'
import type { Row } from '../merging/row'

/** How far a database has counted. */
export interface NodeCount {
  /** It grows on the database itself, and is then remembered by the others. */
  readonly count: number
  /** Another one with each step: two databases that went on from one have not the same. */
  readonly mark: string
}

/** What a node has stored: of its own database, and of the others. */
interface CountedNode {
  readonly identity: string
  readonly databases: ReadonlyMap<string, NodeCount>
}

/** A database that has not all that it was seen to have. */
export interface LostState {
  readonly node: string
  readonly count: number
  /** Another node remembers more, or another step of the same number. */
  readonly witness: string
  readonly remembered: number
  readonly mark: string
}

const none: NodeCount = { count: 0, mark: '' }

/**
 * The databases that others remember to have counted further, or otherwise: they were restored from an older backup, are copies that
 * another database went on without, or were promoted from a standby that lagged.
 *
 * @param known by the name of the node
 */
export function lostStates(known: ReadonlyMap<string, CountedNode>): readonly LostState[] {
  return [...known].flatMap(([node, { identity, databases }]) => {
    const own = databases.get(identity) ?? none
    const witnesses = [...known].flatMap(([witness, catalog]): readonly LostState[] => {
      const seen = catalog.databases.get(identity)
      if (witness === node || !seen || !lacks(own, seen)) return []
      return [{ node, count: own.count, witness, remembered: seen.count, mark: seen.mark }]
    })
    const [first] = witnesses.sort((a, b) => b.remembered - a.remembered)
    return first ? [first] : []
  })
}

/** Whether a database has not come by a step that was seen of it. */
const lacks = (own: NodeCount, seen: NodeCount): boolean =>
  own.count < seen.count || (own.count === seen.count && own.mark !== seen.mark)

/** The same of one database that was read again: the others may have been read after it. */
export const hasLost = ({ identity, databases }: CountedNode, { remembered, mark }: LostState): boolean =>
  lacks(databases.get(identity) ?? none, { count: remembered, mark })

/** What a database says of its own row: durable when it is said, since others remember it. */
export const advanceText = (table: string): string =>
  `UPDATE ${table} SET count = greatest(count, $3::bigint) + 1, mark = $2, counted_at = clock_timestamp()
   WHERE id = $1 AND (count <= $3::bigint OR counted_at < clock_timestamp() - $4::int * interval '1 millisecond')
   RETURNING count::text AS count, mark,
     CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END`

/**
 * @param floor what the new count is above: of a database whose loss was accepted, what others remember of it
 * @param olderMs counted not so long ago, it is left as it is
 */
export const advanceValues = (identity: string, floor: number, olderMs: number): readonly unknown[] => [
  identity,
  randomBytes(8).toString('hex'),
  floor,
  olderMs,
]

/** What others keep of it, in any order of arrival. */
export const witnessText = (table: string): string =>
  `UPDATE ${table} AS d SET count = g.count, mark = g.mark
   FROM unnest($1::text[], $2::bigint[], $3::text[]) AS g(id, count, mark) WHERE d.id = g.id AND d.count < g.count`

/** @returns undefined where it was left as it is */
export function countOf(rows: readonly Row[]): NodeCount | undefined {
  const [row] = rows
  return row && { count: Number(row['count']), mark: String(row['mark']) }
}
