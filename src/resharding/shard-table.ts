import type { Row } from '../merging/row'
import { row } from '../rebalancing/compared-table'
import type { Send } from '../rebalancing/on-node'
import { tablePath } from '../rebalancing/replication'
import type { MovedTable } from '../rebalancing/shard-move'
import { quoted } from '../values/quoted'

/** A table of a shard as its rows are copied. */
export interface ShardTable {
  readonly table: MovedTable
  /** The columns of the primary key, as identifiers, with their types. */
  readonly key: readonly { readonly column: string; readonly type: string }[]
  /** The columns that can be written, as identifiers. */
  readonly columns: readonly string[]
}

/** A primary key, as texts. */
export type KeyTexts = readonly string[]

/** A row as the text of its record, with what places it. */
export interface TextRow {
  readonly row: string
  readonly key: KeyTexts
  /** The texts of its shard key. */
  readonly shardKey: readonly (string | null)[]
}

/** Tables as they are. In a transaction with `plainTexts`. */
export async function shardTables(send: Send, tables: readonly MovedTable[]): Promise<readonly ShardTable[]> {
  const { rows } = await send(
    `SELECT n.nspname AS schema, c.relname AS name, a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type,
       (SELECT k.place FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place) WHERE k.attnum = a.attnum AND k.place <= i.indnkeyatts)::int AS place,
       a.attgenerated <> '' AS generated
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
       LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
     WHERE (n.nspname, c.relname) IN (SELECT * FROM unnest($1::text[], $2::text[])) ORDER BY a.attnum`,
    [tables.map(({ schema }) => schema), tables.map(({ name }) => name)],
  )
  return tables.map((table) => {
    const own = (rows as readonly Row[]).filter((row) => row['schema'] === table.schema && row['name'] === table.name)
    const key = own
      .filter((row) => row['place'] !== null)
      .sort((one, other) => Number(one['place']) - Number(other['place']))
      .map((row) => ({ column: quoted(String(row['column'])), type: String(row['type']) }))
    const columns = own.flatMap((row) => (row['generated'] === true ? [] : [quoted(String(row['column']))]))
    return { table, key, columns }
  })
}

const rowOf = (parts: readonly string[]): string => `ROW(${parts.join(', ')})`
const keyColumns = ({ key }: ShardTable): readonly string[] => key.map(({ column }) => `${row}.${column}`)
const keyTexts = (table: ShardTable): string =>
  `ARRAY[${keyColumns(table)
    .map((column) => `${column}::text`)
    .join(', ')}]`

/** How the shard key of a row is had: an SQL expression that gives an array of texts, of the table as `row`. */
export type ShardKeySql = string

const textRows = (rows: readonly Row[]): readonly TextRow[] =>
  rows.map((one) => ({
    row: String(one['row']),
    // Arrays of texts that the statement makes.
    key: one['key'] as KeyTexts,
    shardKey: (one['shard_key'] ?? []) as TextRow['shardKey'],
  }))

/** The next rows in the order of the primary key. */
export async function readChunk(
  send: Send,
  table: ShardTable,
  {
    after,
    rows: limit,
    shardKey,
  }: { readonly after: KeyTexts | undefined; readonly rows: number; readonly shardKey: ShardKeySql },
): Promise<readonly TextRow[]> {
  const given = rowOf(table.key.map(({ type }, index) => `$${index + 1}::text::${type}`))
  const from = after ? `WHERE ${rowOf(keyColumns(table))} > ${given}` : ''
  const { rows } = await send(
    `SELECT ${row}::text AS row, ${keyTexts(table)} AS key, ${shardKey} AS shard_key FROM ${tablePath(table.table)} ${row} ${from}
     ORDER BY ${keyColumns(table).join(', ')} LIMIT ${limit}`,
    after,
  )
  return textRows(rows)
}

/** Keys as a relation `k`, and its condition on the table as `t`. */
function givenKeys({ key }: ShardTable, keys: readonly KeyTexts[]) {
  const names = key.map((_, index) => `c${index}`)
  return {
    relation: `unnest(${key.map((_, index) => `$${index + 1}::text[]`).join(', ')}) AS k(${names.join(', ')})`,
    condition: `${rowOf(key.map(({ column }) => `${row}.${column}`))} = ${rowOf(key.map(({ type }, index) => `k.c${index}::${type}`))}`,
    values: key.map((_, index) => keys.map((one) => one[index] ?? '')),
  }
}

/** Those rows that are there of some keys. */
export async function readRows(
  send: Send,
  table: ShardTable,
  { keys, shardKey }: { readonly keys: readonly KeyTexts[]; readonly shardKey: ShardKeySql },
): Promise<readonly TextRow[]> {
  const { relation, condition, values } = givenKeys(table, keys)
  const { rows } = await send(
    `SELECT ${row}::text AS row, ${keyTexts(table)} AS key, ${shardKey} AS shard_key FROM ${relation} JOIN ${tablePath(table.table)} ${row} ON ${condition}`,
    values,
  )
  return textRows(rows)
}

/** Takes rows away by their keys. */
export async function deleteRows(send: Send, table: ShardTable, keys: readonly KeyTexts[]): Promise<void> {
  const { relation, condition, values } = givenKeys(table, keys)
  await send(`DELETE FROM ${tablePath(table.table)} ${row} USING ${relation} WHERE ${condition}`, values)
}

/**
 * Puts rows into a table of the same columns.
 *
 * @param isNew whether none of the rows can be there; else one whose primary key is there stays as it is
 */
export async function insertRows(
  send: Send,
  table: ShardTable,
  { rows, isNew }: { readonly rows: readonly string[]; readonly isNew: boolean },
): Promise<void> {
  const path = tablePath(table.table)
  const key = table.key.map(({ column }) => column).join(', ')
  await send(
    `INSERT INTO ${path} (${table.columns.join(', ')}) OVERRIDING SYSTEM VALUE
     SELECT ${table.columns.map((column) => `(s.x).${column}`).join(', ')}
     FROM (SELECT given::${path} AS x FROM unnest($1::text[]) AS given OFFSET 0) s${isNew ? '' : ` ON CONFLICT (${key}) DO NOTHING`}`,
    [rows],
  )
}
