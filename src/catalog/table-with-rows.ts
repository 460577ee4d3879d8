import type { Row } from '../merging/row'
import type { CatalogNode } from './node-catalog'

/** Shards of a group on one node, as their tables are named. */
export interface ShardTables {
  readonly group: string
  readonly layout: 'schema' | 'table'
  readonly labels: readonly string[]
  /** The group's tables without suffix. In the layout `schema` all that is in the shards' schemas is theirs, unless only these are meant. */
  readonly tables: readonly string[]
  readonly isOnly: boolean
}

/** The first table of these shards that holds a row; undefined: none does. */
export async function tableWithRows(node: CatalogNode, shards: ShardTables): Promise<string | undefined> {
  const { rows } = await node.query(
    `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND ${shards.layout === 'schema' ? 'n.nspname = ANY($1::text[])' : "n.nspname = 'public' AND c.relname = ANY($1::text[])"}
       AND ($2::text[] IS NULL OR c.relname = ANY($2::text[]))
     ORDER BY 1`,
    [namesOf(shards), shards.layout === 'schema' && shards.isOnly ? shards.tables : null],
  )
  // Bounded by the catalog: one row a table of the group.
  const names = rows.map(({ name }: Row) => String(name))
  for (const name of names) if (await hasRows(node, name)) return name
  return undefined
}

/** @param table as it is written in SQL */
export async function hasRows(node: Pick<CatalogNode, 'query'>, table: string): Promise<boolean> {
  const { rows } = await node.query(`SELECT EXISTS (SELECT FROM ${table}) AS "isThere"`)
  const [row]: readonly Row[] = rows
  // A user may have changed how `pg` reads booleans: what is not known to be empty holds rows.
  return row?.['isThere'] !== false
}

const namesOf = ({ group, layout, labels, tables }: ShardTables): readonly string[] =>
  layout === 'schema'
    ? labels.map((label) => `${group}_${label}`)
    : labels.flatMap((label) => tables.map((table) => `${table}_${label}`))
