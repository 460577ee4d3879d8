/**
 * Loaded by mocha before TypeORM's tests. Gives them the connection of `TYPEORM_SUITE_CONNECTION`, and has them make a
 * `ShardedDataSource` over the nodes of `TYPEORM_SUITE_NODES`, a list of URLs, where it is not empty.
 */
import { join } from 'node:path'
import { Client } from 'pg'
import type { DataSource, DataSourceOptions } from 'typeorm'
import { ShardedDataSource, type ShardedDataSourceOptions } from '../../src/index'
import { shardAutomatically } from './shard-automatically'

declare global {
  // A property of globalThis can only be declared with `var`.
  var createDataSourceOfRun: ((options: DataSourceOptions) => DataSource | undefined) | undefined
}

const nodes = JSON.parse(process.env['TYPEORM_SUITE_NODES'] ?? '[]') as readonly string[]

const ofOneConnection = ['url', 'host', 'port', 'username', 'password', 'database', 'ssl', 'replication']

function shardedOptions(options: DataSourceOptions): ShardedDataSourceOptions {
  const kept = Object.entries(options).filter(([name]) => !ofOneConnection.includes(name))
  // TypeORM's options less those of one connection are what remains.
  return {
    ...(Object.fromEntries(kept) as unknown as ShardedDataSourceOptions),
    nodes: Object.fromEntries(nodes.map((url, index) => [`n${index}`, { url }])),
  }
}

/**
 * TypeORM's tests count on `dropSchema` and `synchronize(true)` to drop every table of the database, also those that only they
 * know. `ShardedDataSource` drops nothing but its own, so that the run has to clean up before it does.
 */
class CleanedDataSource extends ShardedDataSource {
  /** Test files have one pair of databases in turn, each with groups of its own: what nodes know of earlier groups goes first. */
  override async initialize(): Promise<this> {
    if (this.options.dropSchema) await dropForeignTables({ withOwn: true })
    return super.initialize()
  }

  override async synchronize(dropBeforeSync = false): Promise<void> {
    if (dropBeforeSync) await dropForeignTables()
    await super.synchronize(dropBeforeSync)
  }

  override async dropDatabase(): Promise<void> {
    await dropForeignTables()
    await super.dropDatabase()
  }
}

/** As TypeORM's `clearDatabase` does it. The tables of this package's own have names that begin with `sharding_`. */
async function dropForeignTables({ withOwn = false } = {}): Promise<void> {
  for (const connectionString of nodes) {
    const client = new Client({ connectionString })
    await client.connect()
    try {
      const { rows } = await client.query<{ text: string }>(foreignTables, [withOwn])
      for (const { text } of rows) await client.query(text)
    } finally {
      await client.end()
    }
  }
}

const foreignTables = `
  SELECT format('DROP %s IF EXISTS %I.%I CASCADE', kind, schema, name) AS text FROM (
    SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END AS kind,
      n.nspname AS schema, c.relname AS name, c.relkind <> 'v' AND c.relkind <> 'm' AS last
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('v', 'm', 'r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
      AND ($1 OR NOT starts_with(c.relname, 'sharding_'))
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    UNION ALL
    SELECT 'TYPE', n.nspname, t.typname, true FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE t.typtype = 'e' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  ) AS parts ORDER BY last, kind`

let initialised: DataSource | undefined

/** Of a run that shards what it can: see `shard-automatically.ts`. */
class AutomaticDataSource extends CleanedDataSource {
  protected override async buildMetadatas(): Promise<void> {
    initialised = this
    await super.buildMetadatas()
  }
}

const isAutomatic = process.env['TYPEORM_SUITE_MODE'] === 'automatic'
const DataSourceOfRun = isAutomatic ? AutomaticDataSource : CleanedDataSource
if (isAutomatic) shardAutomatically(() => initialised)
if (nodes.length > 0)
  globalThis.createDataSourceOfRun = (options) =>
    options.type === 'postgres' ? new DataSourceOfRun(shardedOptions(options)) : undefined

const connections = require(join(process.cwd(), 'ormconfig.json')) as object[]
connections[0] = JSON.parse(process.env['TYPEORM_SUITE_CONNECTION'] ?? '{}')
