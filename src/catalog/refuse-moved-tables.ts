import type { Row } from '../merging/row'
import { isMarked, shardMark } from '../planning/shard-mark'
import { quoted } from '../values/quoted'
import { type Catalog, type Mismatch, topologyMismatch } from './catalog'
import type { GroupPrint } from './group-print'
import type { CatalogNode, NamedPrint } from './node-catalog'

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
async function hasRows(node: Pick<CatalogNode, 'query'>, table: string): Promise<boolean> {
  const { rows } = await node.query(`SELECT EXISTS (SELECT FROM ${table}) AS "isThere"`)
  const [row]: readonly Row[] = rows
  // A user may have changed how `pg` reads booleans: what is not known to be empty holds rows.
  return row?.['isThere'] !== false
}

const namesOf = ({ group, layout, labels, tables }: ShardTables): readonly string[] =>
  layout === 'schema'
    ? labels.map((label) => `${group}_${label}`)
    : labels.flatMap((label) => tables.map((table) => `${table}_${label}`))

/** A table of one shard, by its physical name. */
interface ShardTable {
  readonly group: string
  readonly table: string
  readonly schema: string
  readonly name: string
  /** What the table's comment must say; undefined where the name alone, or what is stored, tells that it is the group's. */
  readonly mark: string | undefined
}

interface FoundTable extends ShardTable {
  readonly node: string
}

const wayOut =
  'Keep the group that holds the rows (group in @Sharded, or colocatedWith), give the entity another table name, or empty the old tables.'

/**
 * Refuses a table that is new to its group while its rows are in shards of another group: the class that names the group was
 * renamed, or the entity is colocated with another one. Reads would not find the rows, and writes would go beside them.
 *
 * Nodes are asked only where a table is new to what is stored of its group. A table that has rows in its own shards as well
 * belongs to an application of its own, which an earlier version stored without the tables.
 *
 * @throws ShardedError TOPOLOGY_MISMATCH
 */
export async function refuseMovedTables(catalog: Catalog, wanted: readonly NamedPrint[]): Promise<void> {
  const mismatches: Mismatch[] = []
  for (const { name, print } of wanted) {
    const stored = catalog.keysOf(name)
    const added = Object.keys(print.keys ?? {}).filter((table) => stored?.[table] === undefined)
    const others = await existing(catalog, (database) => placesOfOthers(catalog, { name, added, database }))
    const elsewhere = await holdingRows(catalog, others)
    if (elsewhere.length === 0) continue
    const taken = new Set(others.map(placeOnNode))
    const places = await existing(catalog, (database) =>
      placesOf(name, print, { tables: added, database, isKnown: true }),
    )
    const own = await holdingRows(
      catalog,
      places.filter((place) => !taken.has(placeOnNode(place))),
    )
    const used = new Set(own.map(({ table }) => table))
    for (const place of elsewhere) {
      if (used.has(place.table)) continue
      used.add(place.table)
      const rows = `the rows of table ${place.table} are in shards of group "${place.group}", such as ${placeOf(place)}`
      mismatches.push({ group: name, node: place.node, differences: [rows] })
    }
  }
  if (mismatches.length > 0) throw topologyMismatch(mismatches, wayOut)
}

const placeOf = ({ schema, name }: ShardTable): string => `${quoted(schema)}.${quoted(name)}`
const placeOnNode = (place: FoundTable): string => JSON.stringify([place.node, placeOf(place)])

interface AddedTables {
  readonly name: string
  readonly added: readonly string[]
  readonly database: string
}

/** Where the new tables of a group would stand on a database if they were another group's. */
function placesOfOthers(catalog: Catalog, { name, added, database }: AddedTables): readonly ShardTable[] {
  return [...catalog.groups].flatMap((group) => {
    const [print] = catalog.copiesOf(group).values()
    if (group === name || !print) return []
    const keys = catalog.keysOf(group)
    const tables = keys ? added.filter((table) => keys[table] !== undefined) : added
    return placesOf(group, print, { tables, database, isKnown: keys !== undefined })
  })
}

interface Sought {
  readonly tables: readonly string[]
  readonly database: string
  /** The tables are known to be the group's. In the layout `table` their names alone would not tell. */
  readonly isKnown: boolean
}

function placesOf(
  group: string,
  { layout, shards }: GroupPrint,
  { tables, database, isKnown }: Sought,
): readonly ShardTable[] {
  return shards
    .filter((shard) => shard.database === database)
    .flatMap(({ label }) =>
      tables.map((table) => {
        const shard = `${group}_${label}`
        return layout === 'schema'
          ? { group, table, schema: shard, name: table, mark: undefined }
          : {
              group,
              table,
              schema: 'public',
              name: `${table}_${label}`,
              mark: isKnown ? undefined : shardMark({ name: shard }, table),
            }
      }),
    )
}

/** Those tables that are there, node by node. A table that this role may not read is another application's. */
async function existing(
  catalog: Catalog,
  placesOn: (database: string) => readonly ShardTable[],
): Promise<readonly FoundTable[]> {
  const found: FoundTable[] = []
  for (const [node, database] of [...catalog.identities].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const places = placesOn(database)
    if (places.length > 0) await catalog.on(node, async (one) => found.push(...(await existingOn(one, places))))
  }
  return found
}

async function existingOn(node: CatalogNode, places: readonly ShardTable[]): Promise<readonly FoundTable[]> {
  const { rows } = await node.query(
    `SELECT w.place AS place, pg_catalog.obj_description(c.oid, 'pg_class') AS comment
     FROM unnest($1::text[], $2::text[]) WITH ORDINALITY w (schema, name, place)
     JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
     JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind IN ('r', 'p')
     WHERE has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') ORDER BY 1`,
    [places.map(({ schema }) => schema), places.map(({ name }) => name)],
  )
  return rows.flatMap(({ place, comment }: Row) => {
    // A number or a text: a user may have changed how `pg` reads it.
    const found = places[Number(place) - 1]
    if (!found || (found.mark !== undefined && !isMarked(String(comment ?? ''), found.mark))) return []
    return [{ ...found, node: node.name }]
  })
}

/** For each group and table, the first that holds rows. */
async function holdingRows(catalog: Catalog, tables: readonly FoundTable[]): Promise<readonly FoundTable[]> {
  const found = new Map<string, FoundTable>()
  for (const place of tables) {
    const key = JSON.stringify([place.group, place.table])
    if (found.has(key)) continue
    if (await catalog.on(place.node, (node) => hasRows(node, placeOf(place)))) found.set(key, place)
  }
  return [...found.values()]
}
