import { Client, type ClientBase } from 'pg'
import { ShardedDataSource } from '../../src/index'
import { type FreshDatabases, freshDatabases } from '../support/fresh-databases'
import type { Placement } from './placements'
import { isByChance, isNumbered, type ScriptTable } from './script-tables'
import { type EntityPlace, tableEntity } from './table-entity'

interface CopiedTable {
  readonly table: ScriptTable
  readonly entity: string
  readonly place: EntityPlace | undefined
}

/** Where the rows of a table lie: one table on one node. */
interface Part {
  readonly shard: string
  readonly client: Client
  readonly path: string
}

export interface CopyOptions {
  readonly tables: readonly ScriptTable[]
  readonly placements: ReadonlyMap<string, Placement>
  /** Types and functions that the script has made. */
  readonly definitions: readonly string[]
  readonly servers: readonly string[]
}

let made = 0

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** The tables of a plain database over four shards on two nodes, and their rows as often as they are asked for. */
export class ShardedCopy {
  readonly #databases: FreshDatabases
  readonly #clients: readonly Client[]
  readonly dataSource: ShardedDataSource
  readonly #tables: ReadonlyMap<string, CopiedTable>
  /** What the rows of each table were when they were copied. */
  readonly #states = new Map<string, string>()

  private constructor(
    databases: FreshDatabases,
    clients: readonly Client[],
    { dataSource, tables }: { dataSource: ShardedDataSource; tables: readonly CopiedTable[] },
  ) {
    this.#databases = databases
    this.#clients = clients
    this.dataSource = dataSource
    this.#tables = new Map(tables.map((copied) => [copied.table.oid, copied]))
  }

  static async make(options: CopyOptions): Promise<ShardedCopy> {
    const databases = await freshDatabases(options.servers, 2)
    const clients = await Promise.all(databases.nodes.map(connect))
    try {
      for (const client of clients)
        for (const text of options.definitions) await client.query(text).catch(() => undefined)
      const tables = copiedTables(options)
      const dataSource = new ShardedDataSource({
        type: 'postgres',
        entities: tables.map(({ table, entity, place }) => tableEntity(table, entity, place)),
        nodes: Object.fromEntries(databases.nodes.map((url, index) => [`n${index}`, { url, poolSize: 4 }])),
        timeouts: { queryMs: 20_000 },
        synchronize: true,
        logging: false,
      })
      const copy = new ShardedCopy(databases, clients, { dataSource, tables })
      await dataSource.initialize()
      await copy.#dropKeys()
      return copy
    } catch (error) {
      await Promise.all(clients.map((client) => client.end()))
      await databases.drop()
      throw error
    }
  }

  has(oid: string): boolean {
    return this.#tables.has(oid)
  }

  #copied(oid: string): CopiedTable {
    const copied = this.#tables.get(oid)
    if (!copied) throw new Error(`There is no copy of the table ${oid}.`)
    return copied
  }

  #parts({ table, entity, place }: CopiedTable): readonly Part[] {
    const [home] = this.#clients
    if (!home) throw new Error('There is no node.')
    const path = `public.${quoted(table.name)}`
    if (!place) return [{ shard: '', client: home, path }]
    if (place.kind === 'reference') return this.#clients.map((client) => ({ shard: '', client, path }))
    return this.dataSource.shards(entity).map(({ name, node }) => ({
      shard: name,
      client: this.#clients[Number(node.slice(1))] ?? home,
      path: `${quoted(name)}.${quoted(table.name)}`,
    }))
  }

  /** Drops the primary keys, and with them the NOT NULL, that only TypeORM wants. */
  async #dropKeys(): Promise<void> {
    for (const copied of this.#tables.values()) {
      const { table } = copied
      const free = table.columns.filter((column) => column.isNullable || isNumbered(column))
      for (const { client, path } of this.#parts(copied)) {
        const { rows } = await client.query<{ name: string; contype: string }>(
          `SELECT conname AS name, contype FROM pg_constraint WHERE conrelid = '${path}'::regclass AND contype IN ('p', 'u')`,
        )
        for (const { name, contype } of rows)
          if (contype === 'p' && table.primaryKey === null)
            await client.query(`ALTER TABLE ${path} DROP CONSTRAINT ${quoted(name)}`)
        // TypeORM makes none of the columns of a primary key.
        for (const { name, columns } of table.uniques ?? [])
          if (!rows.some((row) => row.name === name))
            await client.query(`ALTER TABLE ${path} ADD CONSTRAINT ${quoted(name)} UNIQUE (${columns.map(quoted)})`)
        for (const { name } of free)
          if (!table.primaryKey?.includes(name))
            await client.query(`ALTER TABLE ${path} ALTER COLUMN ${quoted(name)} DROP NOT NULL`)
      }
    }
  }

  /** Makes the rows of a table those of the plain database, where they are others. */
  async copyRows(plain: ClientBase, oid: string): Promise<void> {
    const copied = this.#copied(oid)
    const state = await stateOf(plain, copied.table)
    if (this.#states.get(oid) === state) return
    const path = `${quoted(copied.table.schema)}.${quoted(copied.table.name)}`
    const key = keyOf(copied)
    const { rows } = await plain.query<{ key: unknown; row: string }>(
      `SELECT ${key} AS key, row_to_json(t.*)::text AS row FROM ${path} t`,
    )
    const columns = copied.table.columns.filter(({ isGenerated }) => !isGenerated).map(({ name }) => quoted(name))
    const shardRows = new Map<string, string[]>()
    for (const { key: value, row } of rows) {
      const shard = isSharded(copied) ? this.dataSource.locate(copied.entity, value).shard : ''
      const list = shardRows.get(shard)
      if (list) list.push(row)
      else shardRows.set(shard, [row])
    }
    for (const { shard, client, path: target } of this.#parts(copied)) {
      await client.query(`DELETE FROM ${target}`)
      await client.query(
        `INSERT INTO ${target} (${columns}) SELECT ${columns} FROM json_populate_recordset(NULL::${target}, $1::json)`,
        [`[${(shardRows.get(shard) ?? []).join(',')}]`],
      )
    }
    this.#states.set(oid, state)
  }

  /** The rows of a table, of all shards, as texts in order; a row on another shard than its key's is marked. */
  async contents(oid: string): Promise<readonly string[]> {
    const copied = this.#copied(oid)
    this.#states.delete(oid)
    const key = keyOf(copied)
    const texts: string[] = []
    const parts = this.#parts(copied)
    for (const { shard, client, path } of parts) {
      const { rows } = await client.query<{ key: unknown; row: string }>(
        `SELECT ${key} AS key, ${rowText(copied.table)} AS row FROM ${path} t`,
      )
      for (const { key: value, row } of rows) {
        const isPlaced = !isSharded(copied) || this.dataSource.locate(copied.entity, value).shard === shard
        texts.push(isPlaced ? row : `misplaced on ${shard}: ${row}`)
      }
    }
    return copied.place?.kind === 'reference' ? onceEach(texts.sort(), parts.length) : texts.sort()
  }

  async close(): Promise<void> {
    await this.dataSource.destroy()
    await Promise.all(this.#clients.map((client) => client.end()))
    await this.#databases.drop()
  }
}

const isSharded = ({ place }: CopiedTable): boolean => place?.kind === 'sharded'

/** What stands in a table's row for its shard key. */
const keyOf = ({ place }: CopiedTable): string => (place?.kind === 'sharded' ? `t.${quoted(place.column)}` : 'NULL')

/** The rows of one of several equal copies, of which `texts` has all in order. */
const onceEach = (texts: readonly string[], copies: number): readonly string[] => {
  const rows = texts.filter((_, index) => index % copies === 0)
  const isEqual = texts.every((text, index) => text === rows[Math.floor(index / copies)])
  return isEqual && texts.length % copies === 0 ? rows : ['the copies differ', ...texts]
}

/** A connection whose writes fire no triggers: reference tables keep all other writers away. */
async function connect(connectionString: string): Promise<Client> {
  const client = new Client({ connectionString })
  // Its database is dropped by force.
  client.on('error', () => undefined)
  await client.connect()
  await client.query('SET session_replication_role = replica')
  return client
}

/** A row as a text, without the columns that two databases may fill in their own ways. */
const rowText = ({ columns }: ScriptTable): string =>
  `json_build_array(${columns.filter((column) => !isByChance(column)).map(({ name }) => `t.${quoted(name)}`)})::text`

async function stateOf(plain: ClientBase, table: ScriptTable): Promise<string> {
  const { rows } = await plain.query<{ state: string }>(
    `SELECT count(*) || md5(string_agg(x, ',' ORDER BY x)) AS state
     FROM (SELECT row_to_json(t.*)::text AS x FROM ${quoted(table.schema)}.${quoted(table.name)} t) s`,
  )
  return rows[0]?.state ?? ''
}

/** The rows of a table of the plain database, as `ShardedCopy.contents` gives them. */
export async function plainContents(plain: ClientBase, table: ScriptTable): Promise<readonly string[]> {
  const { rows } = await plain.query<{ row: string }>(
    `SELECT ${rowText(table)} AS row FROM ${quoted(table.schema)}.${quoted(table.name)} t`,
  )
  return rows.map(({ row }) => row).sort()
}

/** Names of groups and entities are new in each copy: what declares them is remembered for as long as the process runs. */
function copiedTables({ tables, placements }: CopyOptions): readonly CopiedTable[] {
  const number = ++made
  const groups = new Map<string, { readonly group: string; readonly first: string }>()
  const groupOfTable = new Map<string, string>()
  return tables.map((table) => {
    const entity = `T${number}_${table.oid}`
    const placement = placements.get(table.oid)
    if (placement?.kind === 'reference') return { table, entity, place: { kind: 'reference' } }
    if (placement?.kind !== 'distributed') return { table, entity, place: undefined }
    const type = table.columns.find(({ name }) => name === placement.column)?.type ?? ''
    const wanted = placement.colocatedWith ?? 'default'
    const key =
      wanted === 'none'
        ? table.oid
        : wanted === 'default'
          ? type
          : (groupOfTable.get(wanted.split('.').at(-1) ?? '') ?? type)
    groupOfTable.set(table.name, key)
    const known = groups.get(key)
    const group = known?.group ?? `g${groups.size}`
    if (!known) groups.set(key, { group, first: entity })
    return { table, entity, place: { kind: 'sharded', column: placement.column, group, first: known?.first } }
  })
}
