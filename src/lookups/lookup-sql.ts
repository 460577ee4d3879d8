import { tableOn } from '../planning/bind-shard-names'
import type { Arm } from '../query/arm-source'
import type { Shard } from '../topology/shard'
import { quoted } from '../values/quoted'
import { entryOf, isEntered } from './capture-sql'
import {
  constraintOn,
  type LookupColumn,
  type LookupEntry,
  type LookupTable,
  sqlType,
  stampColumn,
  textOf,
} from './lookup-table'

const names = (columns: readonly LookupColumn[]): string => columns.map(({ name }) => quoted(name)).join(', ')

const valueColumns = ({ columns, valueCount }: LookupTable): readonly LookupColumn[] => columns.slice(0, valueCount)

const primaryColumns = ({ columns, primaryKey }: LookupTable): readonly LookupColumn[] =>
  primaryKey.flatMap((place) => columns[place] ?? [])

/** Columns that tell the rows of the lookup's table apart: the values, and where those may repeat the primary key too. */
const rowColumns = (table: LookupTable): readonly LookupColumn[] =>
  table.isUnique ? valueColumns(table) : [...new Set([...valueColumns(table), ...primaryColumns(table)])]

/** The table of a lookup on one of its shards. */
export const createLookup = (table: LookupTable, shard: Shard): string => {
  const columns = [
    ...table.columns.map((column) => `${quoted(column.name)} ${sqlType(column)} NOT NULL`),
    `${quoted(stampColumn(table))} boolean`,
  ]
  const constraint = `CONSTRAINT ${quoted(constraintOn(table, shard))} PRIMARY KEY (${names(rowColumns(table))})`
  return `CREATE TABLE IF NOT EXISTS ${tableOn(table.name, shard)} (${[...columns, constraint].join(', ')})`
}

export const dropLookup = (table: LookupTable, shard: Shard): string =>
  `DROP TABLE IF EXISTS ${tableOn(table.name, shard)}`

/** One array a column: `$1` has the texts of the first, and so on. */
const arraysOf = (columns: readonly LookupColumn[], rows: readonly (readonly string[])[]): readonly unknown[] =>
  columns.map((_, place) => rows.map((row) => row[place]))

/**
 * Rows given as arrays: `v`, with their columns `c0`, `c1`, … of their types and the number `n` of each. The columns' own names
 * may be those, or any.
 */
const given = (columns: readonly LookupColumn[]): string => {
  const arrays = columns.map((_, place) => `$${place + 1}::text[]`).join(', ')
  const aliases = columns.map((_, place) => `c${place}`).join(', ')
  const typed = columns.map((column, place) => `u.c${place}::${sqlType(column)} AS c${place}`).join(', ')
  return `(SELECT ${typed}, u.n FROM unnest(${arrays}) WITH ORDINALITY AS u(${aliases}, n)) v`
}

const givenColumns = (columns: readonly LookupColumn[]): string => columns.map((_, place) => `v.c${place}`).join(', ')

const equal = (columns: readonly LookupColumn[]): string =>
  columns.map(({ name }, place) => `t.${quoted(name)} = v.c${place}`).join(' AND ')

/** Gives the number of each entry that was there. A query, since TypeORM gives the rows of a DELETE beside their count. */
export const deleteEntries = (table: LookupTable, shard: Shard, entries: readonly LookupEntry[]): Arm => ({
  shard,
  text: `${deleted(table, shard)} SELECT n FROM d`,
  parameters: arraysOf(table.columns, entries),
})

/**
 * Fails with 23505 where another row has a value. An entry of the row itself may be left of an earlier time, whose end the
 * lookup has not heard of: of a write past the data source whose note waits, or of a commit that only this node has made. It
 * is deleted first, and not passed over: somebody else may be about to.
 */
export const insertEntries = (table: LookupTable, shard: Shard, entries: readonly LookupEntry[]): Arm => ({
  shard,
  text: `${deleted(table, shard)} ${insertText(table, shard, 'WHERE (SELECT count(*) FROM d) >= 0')}`,
  parameters: arraysOf(table.columns, entries),
})

/** Leaves what is there; waits for transactions that are about to write it. */
export const mergeEntries = (table: LookupTable, shard: Shard, entries: readonly LookupEntry[]): Arm => ({
  shard,
  text: `${insertText(table, shard)} ON CONFLICT DO NOTHING`,
  parameters: arraysOf(table.columns, entries),
})

const deleted = (table: LookupTable, shard: Shard): string =>
  `WITH d AS (DELETE FROM ${tableOn(table.name, shard)} t USING ${given(table.columns)} WHERE ${equal(table.columns)} RETURNING (v.n - 1)::int AS n)`

const insertText = (table: LookupTable, shard: Shard, where = ''): string =>
  `INSERT INTO ${tableOn(table.name, shard)} (${names(table.columns)}) SELECT ${givenColumns(table.columns)} FROM ${given(table.columns)} ${where} ORDER BY v.n`

/** Gives the number of each entry that is there as it is. */
export const findEntries = (table: LookupTable, shard: Shard, entries: readonly LookupEntry[]): Arm => ({
  shard,
  text: `SELECT (v.n - 1)::int AS n FROM ${tableOn(table.name, shard)} t JOIN ${given(table.columns)} ON ${equal(table.columns)}`,
  parameters: arraysOf(table.columns, entries),
})

/** The shard keys of some values, as texts in `k`: at most `limit`. */
export function findKeys(
  table: LookupTable,
  shard: Shard,
  { values, limit }: { readonly values: readonly (readonly string[])[]; readonly limit: number },
): Arm {
  const columns = valueColumns(table)
  const key = `ARRAY[${table.key
    .flatMap((place) => table.columns[place] ?? [])
    .map((column) => textOf(column, 't'))
    .join(', ')}]`
  const from = `${tableOn(table.name, shard)} t`
  const isOurs = `t.${quoted(stampColumn(table))} IS NULL`
  const [only, another] = values
  // By far the commonest: equality with one value, of which PostgreSQL makes the best plan.
  if (only && !another) {
    const is = columns.map((column, place) => `t.${quoted(column.name)} = $${place + 1}::text::${sqlType(column)}`)
    const text = `SELECT DISTINCT ${key} AS k FROM ${from} WHERE ${is.join(' AND ')} AND ${isOurs} LIMIT ${limit}`
    return { shard, text, parameters: only }
  }
  const text = `SELECT DISTINCT ${key} AS k FROM ${given(columns)} JOIN ${from} ON ${equal(columns)} AND ${isOurs} LIMIT ${limit}`
  return { shard, text, parameters: arraysOf(columns, values) }
}

/** A page of entries, in the order of a key; `after` is the key of the last entry before it. */
interface EntryPage {
  readonly after: readonly string[] | undefined
  readonly limit: number
}

/** The entries that the rows of a shard should have, as texts in `e`, in the order of the primary key. */
export function sourceEntries(
  table: LookupTable,
  shard: Shard,
  { after, limit, isLocking }: EntryPage & { readonly isLocking: boolean },
): Arm {
  const columns = primaryColumns(table)
  const where = [isEntered(table, 'r'), ...afterKey(columns, 'r', after)].join(' AND ')
  // Stronger than FOR KEY SHARE, which an UPDATE of the values would not wait for.
  const lock = isLocking ? ' FOR SHARE' : ''
  return {
    shard,
    text: `SELECT ${entryOf(table, 'r')} AS e FROM ${tableOn(table.source.table, shard)} r WHERE ${where} ORDER BY ${orderOf(columns, 'r')} LIMIT ${limit}${lock}`,
    parameters: after ?? [],
  }
}

/** The entries that rows with some primary keys should have, as texts in `e`; the rows are kept from changing. */
export function sourceEntriesOf(table: LookupTable, shard: Shard, primaryKeys: readonly (readonly string[])[]): Arm {
  const columns = primaryColumns(table)
  const keys = `SELECT ${givenColumns(columns)} FROM ${given(columns)}`
  return {
    shard,
    text: `SELECT ${entryOf(table, 'r')} AS e FROM ${tableOn(table.source.table, shard)} r WHERE (${orderOf(columns, 'r')}) IN (${keys}) AND ${isEntered(table, 'r')} FOR SHARE OF r`,
    parameters: arraysOf(columns, primaryKeys),
  }
}

/** A page of a lookup's own entries, as texts in `e`. */
export function lookupEntries(table: LookupTable, shard: Shard, { after, limit }: EntryPage): Arm {
  const columns = rowColumns(table)
  const [where = 'true'] = afterKey(columns, 't', after)
  return {
    shard,
    text: `SELECT ${entryOf(table, 't')} AS e FROM ${tableOn(table.name, shard)} t WHERE ${where} ORDER BY ${orderOf(columns, 't')} LIMIT ${limit}`,
    parameters: after ?? [],
  }
}

/** The part of an entry by which `lookupEntries` goes on. */
export const rowKeyOf = (table: LookupTable, entry: LookupEntry): readonly string[] =>
  rowColumns(table).map((column) => entry[table.columns.indexOf(column)] ?? '')

/** An enum is a text to the lookup, and compares with none as it is; in the lookup's own table it is one already. */
const orderOf = (columns: readonly LookupColumn[], row: string): string =>
  columns.map(({ name, isEnum }) => `${row}.${quoted(name)}${isEnum ? '::text' : ''}`).join(', ')

function afterKey(
  columns: readonly LookupColumn[],
  row: string,
  after: readonly string[] | undefined,
): readonly string[] {
  if (!after) return []
  const values = columns.map((column, place) => `$${place + 1}::text::${sqlType(column)}`).join(', ')
  return [`(${orderOf(columns, row)}) > (${values})`]
}
