import type { Node } from '@pgsql/types'
import type { ShardedTable } from '../routing/table-catalog'
import { fillStatement } from '../sql/fill-statement'
import { quoted } from '../values/quoted'
import { placeholderSchema } from './bind-shard-names'
import type { KeyUpdate } from './key-update'
import { type Template, templateOf } from './statement-template'

/** A column of a table as the catalog of one shard has it. */
export interface TableColumn {
  readonly name: string
  /** In SQL, without its modifiers: `bpchar`, `"user_07"."mood"[]`. */
  readonly type: string
  readonly isGenerated: boolean
}

/** A foreign key of some table to this one, as the catalog has it. */
export interface IncomingKey {
  readonly constraint: string
  /** In SQL. */
  readonly table: string
  readonly isSelf: boolean
  readonly columns: readonly string[]
  readonly referenced: readonly string[]
}

/** The columns of a table ($1: its name in SQL), in order, and how its session writes values as texts. */
export const columnsText = `SELECT a.attname AS name, pg_catalog.format_type(a.atttypid, -1) AS type,
  a.attgenerated <> '' AS "isGenerated",
  pg_catalog.concat_ws(' ', current_setting('DateStyle'), current_setting('IntervalStyle'),
    current_setting('lc_monetary'), current_setting('extra_float_digits')) AS style
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum`

/** The foreign keys to a table ($1: its name in SQL). */
export const incomingKeysText = `SELECT c.conname AS "constraint", c.conrelid::pg_catalog.regclass::text AS "table",
  c.conrelid = c.confrelid AS "isSelf",
  ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k (num, n)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num ORDER BY k.n) AS columns,
  ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY k (num, n)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.num ORDER BY k.n) AS referenced
FROM pg_catalog.pg_constraint c
WHERE c.contype = 'f' AND c.conparentid = 0 AND c.confrelid = pg_catalog.to_regclass($1)
ORDER BY c.conname`

/** Parameters of the skeletons below that stand for a part of the user's statement; its own are lower. */
const firstPart = 60_000

const tableOf = (table: string): string => `"${placeholderSchema}".${quoted(table)}`

/** Where a row lies until it is written: its table (a partition has its own) and its place in it. */
const addressOf = (alias: string): string => `${alias}.tableoid::text AS oid, ${alias}.ctid::text AS tid`

/** The rows at the addresses $1 (tables) and $2 (places). */
const isAt = (alias: string, oids = '$1', tids = '$2'): string =>
  `${alias}.ctid = ANY(${tids}::tid[]) AND (${alias}.tableoid, ${alias}.ctid) IN (SELECT * FROM unnest(${oids}::oid[], ${tids}::tid[]))`

/**
 * Locks the rows of an UPDATE and reads each column as the UPDATE would leave it, as text. The text of a value, read by its
 * type, is the value: nothing is lost on the way through the driver. Behind them the shard key as it is now.
 */
export function takeTemplate(
  { name: table, keyColumns }: Pick<ShardedTable, 'name' | 'keyColumns'>,
  update: KeyUpdate,
  columns: readonly TableColumn[],
): Template {
  const alias = quoted(update.alias)
  const parts = new Map<number, Node>()
  const part = (node: Node): string => {
    const number = firstPart + parts.size
    parts.set(number, node)
    return `$${number}`
  }
  const values = columns.map(({ name, type }, index) => {
    const set = update.sets.get(name)
    const value = set ? `${part(set)}::${type}` : `${alias}.${quoted(name)}`
    return `(${value})::text AS ${quoted(String(index))}`
  })
  const key = keyColumns.map((name, index) => `${alias}.${quoted(name)}::text AS ${quoted(`k${index}`)}`)
  const condition = update.where ? ` WHERE ${part(update.where)}` : ''
  const text = `SELECT ${[addressOf(alias), ...values, ...key].join(', ')} FROM ${tableOf(table)} AS ${alias}${condition} FOR UPDATE OF ${alias}`
  return templateOf(fillStatement(text, parts))
}

/** The UPDATE itself, of the rows at two arrays of addresses that follow `parameters` others. */
export function updateTemplate(table: string, update: KeyUpdate, parameters: number): Template {
  const alias = quoted(update.alias)
  const parts = new Map<number, Node>()
  const sets = [...update.sets].map(([name, node]) => {
    const number = firstPart + parts.size
    if (node) parts.set(number, node)
    return `${quoted(name)} = ${node ? `$${number}` : 'DEFAULT'}`
  })
  const where = isAt(alias, `$${parameters + 1}`, `$${parameters + 2}`)
  const text = `UPDATE ${tableOf(table)} AS ${alias} SET ${sets.join(', ')} WHERE ${where}`
  return templateOf(returning(fillStatement(text, parts), update))
}

/** Puts rows, an array of texts a column behind `parameters` others, into a table. */
export function putTemplate(
  table: string,
  columns: readonly TableColumn[],
  { update, parameters }: { readonly update?: KeyUpdate; readonly parameters: number },
): Template {
  const arrays = columns.map((_, index) => `$${parameters + index + 1}::text[]`)
  const names = columns.map(({ name }) => quoted(name))
  const values = columns.map(({ type }, index) => `r."${index}"::${type}`)
  const aliases = columns.map((_, index) => `"${index}"`)
  const text = `INSERT INTO ${tableOf(table)} AS ${quoted(update?.alias ?? table)} (${names.join(', ')}) OVERRIDING SYSTEM VALUE SELECT ${values.join(', ')} FROM unnest(${arrays.join(', ')}) AS r(${aliases.join(', ')})`
  const statement = fillStatement(text, new Map())
  return templateOf(update ? returning(statement, update) : statement)
}

function returning(statement: Node, { returning: clause }: KeyUpdate): Node {
  if (!clause) return statement
  if ('InsertStmt' in statement) return { InsertStmt: { ...statement.InsertStmt, returningClause: clause } }
  if ('UpdateStmt' in statement) return { UpdateStmt: { ...statement.UpdateStmt, returningClause: clause } }
  return statement
}

/** Deletes the rows at $1 and $2. */
export const deleteText = (table: string): string => `DELETE FROM ${tableOf(table)} AS t WHERE ${isAt('t')}`

/** Whether a row is left that refers to one of those at $1 and $2, they themselves aside. */
export function referringText(table: string, key: IncomingKey): string {
  const pairs = key.columns.map((name, index) => `c.${quoted(name)} = p.${quoted(key.referenced[index] ?? '')}`)
  const others = key.isSelf ? ` AND NOT (${isAt('c')})` : ''
  return `SELECT 1 FROM ${key.table} c JOIN ${tableOf(table)} p ON ${pairs.join(' AND ')} WHERE ${isAt('p')}${others} LIMIT 1`
}

/** A child row is one that agrees with a parent's in these pairs of columns. */
export interface ChildLink {
  readonly table: string
  readonly parent: string
  /** The child's column, the parent's column. */
  readonly pairs: readonly (readonly [string, string])[]
}

/** Locks the children of the rows at $1 and $2, and reads them as texts; $3 is how many at the most. */
export function childrenText({ table, parent, pairs }: ChildLink, columns: readonly TableColumn[]): string {
  const values = columns.map(({ name }, index) => `c.${quoted(name)}::text AS "${index}"`)
  const match = pairs.map(([own, other]) => `c.${quoted(own)} = p.${quoted(other)}`)
  return `SELECT ${[addressOf('c'), ...values].join(', ')} FROM ${tableOf(table)} c WHERE EXISTS (SELECT 1 FROM ${tableOf(parent)} p WHERE ${[...match, isAt('p')].join(' AND ')}) LIMIT $3 FOR UPDATE OF c`
}
