import { chunksOf } from '../collections/chunks-of'
import type { Row } from '../merging/row'
import { physicalName } from '../planning/bind-shard-names'
import type { Shard } from '../topology/shard'
import { quoted } from '../values/quoted'
import type { Send } from './on-node'

/** What a shard holds. */
export interface ShardSize {
  readonly rows: number
  /** With indexes and TOAST. */
  readonly bytes: number
}

/** A shard and its tables, without the suffix of the shard. */
export interface SizedShard {
  readonly shard: Shard
  readonly tables: readonly string[]
}

/** Tables that one statement counts. */
const tablesAtOnce = 32

/** Live rows as the server has counted them; where it has not since its statistics were lost, those of the last VACUUM or ANALYZE. */
const estimate = `CASE WHEN pg_stat_get_live_tuples(c.oid) > 0 THEN pg_stat_get_live_tuples(c.oid) ELSE greatest(c.reltuples, 0)::bigint END`

const sizes = `
  SELECT given.place, given.schema, given.name, (${estimate})::text AS rows, coalesce(pg_total_relation_size(c.oid), 0)::text AS bytes
  FROM unnest($1::int[], $2::name[], $3::name[]) AS given(place, schema, name)
  JOIN pg_namespace n ON n.nspname = given.schema
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = given.name AND c.relkind IN ('r', 'p')
  ORDER BY given.place, given.name`

/**
 * What the shards of one node hold, in their order. A table that is not there holds nothing.
 *
 * @param isExact rows are counted, where they are estimated otherwise
 */
export async function readSizes(
  send: Send,
  shards: readonly SizedShard[],
  isExact: boolean,
): Promise<readonly ShardSize[]> {
  const places = shards.flatMap(({ shard, tables }, place) =>
    tables.map((table) => ({ place, ...physicalName(table, shard) })),
  )
  const { rows: found }: { readonly rows: readonly Row[] } = await send(sizes, [
    places.map(({ place }) => place),
    places.map(({ schema }) => schema),
    places.map(({ name }) => name),
  ])
  const rows = sumsOf(isExact ? await counted(send, found) : found, 'rows')
  const bytes = sumsOf(found, 'bytes')
  return shards.map((_, place) => Object.freeze({ rows: rows.get(place) ?? 0, bytes: bytes.get(place) ?? 0 }))
}

async function counted(send: Send, tables: readonly Row[]): Promise<readonly Row[]> {
  const arms = tables.map(
    ({ place, schema, name }) =>
      `SELECT ${Number(place)} AS place, count(*)::text AS rows FROM ${quoted(String(schema))}.${quoted(String(name))}`,
  )
  const rows: Row[] = []
  for (const some of chunksOf(arms, tablesAtOnce)) rows.push(...(await send(some.join(' UNION ALL '))).rows)
  return rows
}

function sumsOf(rows: readonly Row[], column: string): ReadonlyMap<number, number> {
  const sums = new Map<number, number>()
  for (const row of rows) {
    const place = Number(row['place'])
    sums.set(place, (sums.get(place) ?? 0) + Number(row[column]))
  }
  return sums
}
