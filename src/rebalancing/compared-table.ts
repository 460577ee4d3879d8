import type { Row } from '../merging/row'
import { quoted } from '../values/quoted'
import type { Send } from './on-node'
import { tablePath } from './replication'
import type { MovedTable, ShardMove } from './shard-move'

/** A table as its rows are compared: by its primary key, in the order of that. */
export interface ComparedTable {
  readonly table: MovedTable
  /** The columns of the primary key, as identifiers, with their types. */
  readonly keys: readonly { readonly column: string; readonly type: string }[]
}

/** A primary key, as texts. */
export type KeyTexts = readonly string[]

/** The tables of a move. In a transaction with `plainTexts`. */
export async function comparedTables(send: Send, { tables }: ShardMove): Promise<readonly ComparedTable[]> {
  const { rows } = await send(
    `SELECT n.nspname AS schema, c.relname AS name, a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type
     FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
       LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place) JOIN pg_attribute a ON a.attnum = k.attnum
     WHERE i.indisprimary AND a.attrelid = c.oid AND k.place <= i.indnkeyatts
       AND (n.nspname, c.relname) IN (SELECT * FROM unnest($1::text[], $2::text[])) ORDER BY k.place`,
    [tables.map(({ schema }) => schema), tables.map(({ name }) => name)],
  )
  return tables.map((table) => ({
    table,
    keys: (rows as readonly Row[])
      .filter((row) => row['schema'] === table.schema && row['name'] === table.name)
      .map((row) => ({ column: quoted(String(row['column'])), type: String(row['type']) })),
  }))
}

/** What a row is called: a column of the table may have any shorter name, and would be meant by it. */
export const row = '"sharding_row"'

const columnsOf = ({ keys }: ComparedTable): string => keys.map(({ column }) => `${row}.${column}`).join(', ')
const textsOf = ({ keys }: ComparedTable): string =>
  `ARRAY[${keys.map(({ column }) => `${row}.${column}::text`).join(', ')}]`
const rowOf = (columns: string): string => `ROW(${columns})`

/** Of the whole row, whatever its columns are. Two seeds: 64 bits alone are too few for a billion rows. */
const rowHash = `hashtextextended(${row}::text, 0)::numeric * 3 + hashtextextended(${row}::text, 7)`

/** A part of a table: the rows behind the key `after`, up to the key `upTo`. */
export interface Chunk {
  readonly after: KeyTexts | undefined
  readonly upTo: KeyTexts | undefined
}

export interface ChunkHash {
  readonly rows: number
  readonly hash: string
}

/** Where the chunk ends that begins behind a key; undefined: it has all the rest. */
export async function endOfChunk(
  send: Send,
  compared: ComparedTable,
  { after, rows: size }: { readonly after: KeyTexts | undefined; readonly rows: number },
): Promise<KeyTexts | undefined> {
  const { text, values } = condition(compared, { after, upTo: undefined })
  const { rows } = await send(
    `SELECT ${textsOf(compared)} AS keys FROM ${tablePath(compared.table)} ${row} WHERE ${text} ORDER BY ${columnsOf(compared)} OFFSET ${size - 1} LIMIT 1`,
    values,
  )
  return rows[0]?.['keys']
}

/** What the rows of a chunk are, in one number. */
export async function hashChunk(send: Send, compared: ComparedTable, chunk: Chunk): Promise<ChunkHash> {
  const { text, values } = condition(compared, chunk)
  const { rows } = await send(
    `SELECT count(*)::int AS rows, coalesce(sum(${rowHash}), 0)::text AS hash FROM ${tablePath(compared.table)} ${row} WHERE ${text}`,
    values,
  )
  return { rows: Number(rows[0]?.['rows']), hash: String(rows[0]?.['hash']) }
}

/** The hash of each row of a chunk, by its key. */
export async function hashRows(
  send: Send,
  compared: ComparedTable,
  chunk: Chunk,
): Promise<ReadonlyMap<string, string>> {
  const { text, values } = condition(compared, chunk)
  return byKey(
    await send(
      `SELECT ${textsOf(compared)} AS keys, (${rowHash})::text AS hash FROM ${tablePath(compared.table)} ${row} WHERE ${text}`,
      values,
    ),
  )
}

/** The same of single rows. */
export async function hashKeys(
  send: Send,
  compared: ComparedTable,
  keys: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const lists = compared.keys.map((_, index) => keys.map((key) => keyTexts(key)[index] ?? ''))
  const given = compared.keys.map(({ type }, index) => `k.c${index}::${type}`).join(', ')
  const arrays = lists.map((_, index) => `$${index + 1}::text[]`).join(', ')
  const names = lists.map((_, index) => `c${index}`).join(', ')
  return byKey(
    await send(
      `SELECT ${textsOf(compared)} AS keys, (${rowHash})::text AS hash FROM unnest(${arrays}) AS k(${names})
       JOIN ${tablePath(compared.table)} ${row} ON ${rowOf(columnsOf(compared))} = ${rowOf(given)}`,
      lists,
    ),
  )
}

const byKey = ({ rows }: { readonly rows: readonly Row[] }): ReadonlyMap<string, string> =>
  new Map(rows.map((row) => [JSON.stringify(row['keys']), String(row['hash'])]))

/** A key of `hashRows`. */
const keyTexts = (key: string): KeyTexts => JSON.parse(key)

function condition(
  compared: ComparedTable,
  { after, upTo }: Chunk,
): { readonly text: string; readonly values: readonly unknown[] } {
  const values = [...(after ?? []), ...(upTo ?? [])]
  const given = (from: number): string =>
    rowOf(compared.keys.map(({ type }, index) => `$${from + index + 1}::text::${type}`).join(', '))
  const own = rowOf(columnsOf(compared))
  const parts = [
    ...(after ? [`${own} > ${given(0)}`] : []),
    ...(upTo ? [`${own} <= ${given(after?.length ?? 0)}`] : []),
  ]
  return { text: parts.length === 0 ? 'true' : parts.join(' AND '), values }
}
