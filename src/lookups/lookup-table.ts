import { createHash } from 'node:crypto'
import type { Shard } from '../topology/shard'
import type { KeyType } from '../values/key-type'
import { quoted } from '../values/quoted'

export interface LookupColumn {
  /** Of the entity's table, and of the lookup's. */
  readonly name: string
  readonly type: KeyType
  /** A text to the lookup, and of a type of its own in the entity's table. */
  readonly isEnum?: true
}

/** A lookup's table as SQL sees it: what is looked up, and whose row it is, each column once. */
export interface LookupTable {
  /** Of the table, of the lookup and of its colocation group. */
  readonly name: string
  /** The values that are looked up, then the shard key and the primary key as far as they are others. */
  readonly columns: readonly LookupColumn[]
  /** How many columns are looked up. */
  readonly valueCount: number
  /** Places of the shard key among the columns, in the sharding function's order. */
  readonly key: readonly number[]
  /** Places of the primary key among the columns. */
  readonly primaryKey: readonly number[]
  readonly isUnique: boolean
  /** The name under which a violation is reported. */
  readonly constraint: string
  /** Only what goes is noted: values that rows of other databases refer to. */
  readonly notesLosses?: true
  /** The table whose rows it finds, and that table's colocation group. */
  readonly source: { readonly table: string; readonly group: string }
}

/** One row of a lookup: the texts of its columns, as PostgreSQL writes them. */
export type LookupEntry = readonly string[]

/** The types of a lookup's columns: equal values of a column are equal in them, and each has a text that they read. */
const sqlTypes: Readonly<Record<KeyType, string>> = Object.freeze({
  integer: 'bigint',
  numeric: 'numeric',
  float: 'double precision',
  text: 'text',
  char: 'text',
  uuid: 'uuid',
  boolean: 'boolean',
  date: 'date',
  timestamp: 'timestamp',
  timestamptz: 'timestamptz',
  bytes: 'bytea',
})

export const sqlType = ({ type }: LookupColumn): string => sqlTypes[type]

/** The text of a column's value, which is the same in every session: bytes have two. */
export const textOf = ({ name, type }: LookupColumn, row: string): string =>
  type === 'bytes' ? `'\\x' || encode(${row}.${quoted(name)}, 'hex')` : `${row}.${quoted(name)}::text`

/** Indexes of all shards stand in one schema in the layout `table`. */
export const constraintOn = ({ constraint }: LookupTable, { layout, label }: Shard): string =>
  layout === 'table' ? `${constraint}_${label}` : constraint

/** What the data base keeps beside the table, to know whether it is the one that is declared. */
export function definitionOf(table: LookupTable, shards: number): string {
  const { columns, valueCount, isUnique, constraint, source } = table
  return JSON.stringify({ columns, valueCount, isUnique, constraint, table: source.table, shards, isStamped: true })
}

const stamps = new WeakMap<LookupTable, string>()

/**
 * A column that only the table of this declaration has, and every read names. A process that runs with an older declaration is
 * told by the database that its lookup is gone, and so never takes the new table, which may lack rows, for its own.
 */
export function stampColumn(table: LookupTable): string {
  const known = stamps.get(table)
  if (known !== undefined) return known
  const stamp = `declared_${createHash('sha256').update(definitionOf(table, 0)).digest('hex').slice(0, 16)}`
  stamps.set(table, stamp)
  return stamp
}

/** Texts that a statement gives as an array. */
export function textsIn(array: unknown): readonly string[] {
  if (Array.isArray(array)) return array
  throw new RangeError(`A row of a lookup has ${typeof array} in the place of an array.`)
}

export const valuesOf = ({ valueCount }: LookupTable, entry: LookupEntry): readonly string[] =>
  entry.slice(0, valueCount)

export const keyOfEntry = ({ key }: LookupTable, entry: LookupEntry): readonly string[] =>
  key.map((place) => entry[place] ?? '')

export const primaryKeyOfEntry = ({ primaryKey }: LookupTable, entry: LookupEntry): readonly string[] =>
  primaryKey.map((place) => entry[place] ?? '')

/**
 * The one order in which all transactions write lookups, shard after shard and the entries of a shard: two of them then do
 * not wait for each other over nodes, which no server would notice.
 */
export const compareShards = (a: Shard, b: Shard): number => compare(a.node, b.node) || compare(a.name, b.name)

/** The order of the entries of one shard, as `compareShards` says. */
export const compareEntries = (a: LookupEntry, b: LookupEntry): number => compare(a.join('\0'), b.join('\0'))

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
