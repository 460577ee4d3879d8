import { DataSource, type EntityMetadata } from 'typeorm'
import type { QueryResultCache } from 'typeorm/cache/QueryResultCache'
import { Query } from 'typeorm/driver/Query'
import type { SqlInMemory } from 'typeorm/driver/SqlInMemory'
import { IndexMetadata } from 'typeorm/metadata/IndexMetadata'
import type { NodePool } from '../../endpoints/node-pool'
import { sqlState } from '../../endpoints/sql-state'
import type { Shard } from '../../topology/shard'
import { quoted } from '../../values/quoted'
import { enumNameOf, isEnum } from '../binding/describe-entities'
import type { LookupBinding } from '../binding/lookups'
import { pgFacade } from '../runners/pg-facade'
import { releasedAfter } from '../runners/shard-transaction'
import { ensureSchema, markText } from './ensure-schema'

/** SQLSTATE of what cannot be dropped, since something else needs it. */
const dependentObjects = '2BP01'

/** The enum types of a table's columns, or of their elements, with one of some names. */
const enumsText = `SELECT DISTINCT t.typname AS name FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = $1
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
JOIN pg_catalog.pg_type own ON own.oid = a.atttypid
JOIN pg_catalog.pg_type t ON t.oid IN (own.oid, own.typelem) AND t.typtype = 'e' AND t.typnamespace = n.oid
WHERE c.relname = $2 AND t.typname = ANY($3::text[])`

/** The tables of one shard; where `shard` is undefined the home node's own, or the reference tables of another node. */
interface SchemaTarget {
  readonly template: DataSource
  readonly pool: NodePool
  /** The entities of these tables, under the tables' own names. */
  readonly metadatas: readonly EntityMetadata[]
  readonly shard: Shard | undefined
  readonly isHome: boolean
  readonly lookups: readonly LookupBinding[]
}

/**
 * A short-lived full data source for the schema of one shard, or of the home node's own tables. It holds only the entities
 * in question, so that it can neither see nor drop the tables of others.
 */
export class SchemaDataSource extends DataSource {
  private readonly pool: NodePool
  private readonly shard: Shard | undefined

  private constructor(private readonly target: SchemaTarget) {
    const { template, pool, shard, isHome } = target
    const isOwnOfHome = shard === undefined && isHome
    super({
      ...template.options,
      logging: false,
      synchronize: false,
      dropSchema: false,
      migrationsRun: false,
      cache: false,
      // On the home node the data source itself has installed them when it connected.
      ...(isOwnOfHome && { installExtensions: false }),
      driver: pgFacade(() => pool),
      nativeDriver: false,
      // To TypeScript, the options of another data source may be those of any driver.
    } as never)
    this.pool = pool
    this.shard = shard
    const { logger, namingStrategy, queryResultCache: cache } = template
    Object.assign(this, {
      logger,
      namingStrategy,
      // The cache belongs to the whole data source, and its table lies on the home node: it is made there, without a connection.
      queryResultCache: cache &&
        isOwnOfHome && {
          connect: async () => undefined,
          disconnect: async () => undefined,
          synchronize: () => this.synchronizeCache(cache),
        },
    })
  }

  get node(): string {
    return this.pool.name
  }

  /** Runs `work` on the schema of a shard, or of the home node's own tables. */
  static async run<T>(target: SchemaTarget, work: (schema: SchemaDataSource) => Promise<T>): Promise<T> {
    const schema = new SchemaDataSource(target)
    await schema.initialize()
    try {
      return await work(schema)
    } finally {
      await schema.destroy()
    }
  }

  override async synchronize(dropBeforeSync = false): Promise<void> {
    if (dropBeforeSync) await this.dropDatabase()
    if (this.shard?.layout === 'schema') await ensureSchema(this.shard, this.pool)
    await super.synchronize(false)
  }

  /** The statements that `synchronize` would run, lookups aside. */
  async log(): Promise<SqlInMemory> {
    const statements = await this.driver.createSchemaBuilder().log()
    const { shard } = this
    if (shard?.layout !== 'schema' || (await this.hasSchema(shard.name))) return statements
    const { upQueries, downQueries } = statements
    return {
      upQueries: [new Query(`CREATE SCHEMA ${quoted(shard.name)}`), new Query(markText(shard, null)), ...upQueries],
      downQueries: [...downQueries, new Query(`DROP SCHEMA ${quoted(shard.name)}`)],
    }
  }

  private async hasSchema(name: string): Promise<boolean> {
    const { rows } = await this.pool.query('SELECT FROM pg_namespace WHERE nspname = $1', [name])
    return rows.length > 0
  }

  /**
   * Drops only the tables, views and enum types of the entities, and the shard's schema where nothing else is left in it.
   * TypeORM's own way drops every table of the schema: in the layout `table`, those of the other shards and of others.
   */
  override async dropDatabase(): Promise<void> {
    const { shard } = this
    if (!shard && this.target.isHome) await this.dropCache()
    for (const metadata of this.entityMetadatas) {
      // Its table was not made here either.
      if (shard && !metadata.synchronize) continue
      const { schema = this.pool.facts.searchSchema, tableName } = metadata
      const kind =
        metadata.tableType === 'view'
          ? metadata.tableMetadataArgs.materialized
            ? 'MATERIALIZED VIEW'
            : 'VIEW'
          : 'TABLE'
      const enums = await this.enumsOf(metadata, schema)
      await this.pool.query(`DROP ${kind} IF EXISTS ${quoted(schema)}.${quoted(tableName)} CASCADE`)
      for (const name of enums) await this.dropEnum(schema, name)
    }
    if (shard?.layout === 'schema') await this.dropEmptySchema(shard)
  }

  /** A schema with something of a user's own in it stays, with that. */
  private async dropEmptySchema({ name, node }: Shard): Promise<void> {
    try {
      await this.pool.query(`DROP SCHEMA IF EXISTS ${quoted(name)}`)
    } catch (error) {
      if (sqlState(error) !== dependentObjects) throw error
      this.logger.log('warn', `Node ${node} keeps the schema ${name}: there is more in it than the shard's own tables.`)
    }
  }

  protected override async buildMetadatas(): Promise<void> {
    const own = [...this.target.metadatas]
    addLookupIndices(own, this.target.lookups)
    Object.assign(this, {
      entityMetadatas: own,
      entityMetadatasMap: new Map(own.map((metadata) => [metadata.target, metadata])),
    })
  }

  /** Of a cache that the application brought, it is the application's query runner that makes its table. */
  private async synchronizeCache(cache: QueryResultCache): Promise<void> {
    await releasedAfter(this.target.template.createQueryRunner(), (runner) => cache.synchronize(runner))
  }

  private async dropCache(): Promise<void> {
    const { cache } = this.target.template.options
    if (!cache || (typeof cache === 'object' && (cache.provider || (cache.type ?? 'database') !== 'database'))) return
    const name = (typeof cache === 'object' && cache.tableName) || 'query-result-cache'
    await this.pool.query(`DROP TABLE IF EXISTS ${quoted(this.pool.facts.searchSchema)}.${quoted(name)}`)
  }

  /** The enum types that TypeORM made for a table: those of their names that the table's columns have. */
  private async enumsOf(metadata: EntityMetadata, schema: string): Promise<readonly string[]> {
    const enums = metadata.columns.filter(isEnum)
    if (enums.length === 0) return []
    const names = enums.map((column) => enumNameOf(column, metadata.tableName))
    const { rows } = await this.pool.query(enumsText, [schema, metadata.tableName, names])
    return rows.map(({ name }: { name: string }) => name)
  }

  private async dropEnum(schema: string, name: string): Promise<void> {
    // Without CASCADE: an enum that the user named may serve other tables too, and then stays.
    await this.pool.query(`DROP TYPE IF EXISTS ${quoted(schema)}.${quoted(name)}`).catch((error: unknown) => {
      if (sqlState(error) !== dependentObjects) throw error
    })
  }
}

/**
 * Gives the tables of entities an index on what is looked up, where they have none: a lookup finds the shard, and the row is
 * to be found there too.
 */
function addLookupIndices(metadatas: readonly EntityMetadata[], lookups: readonly LookupBinding[]): void {
  for (const { lookup, table } of lookups) {
    const metadata = metadatas.find((one) => one.tableName === table.source.table && one.tableType !== 'entity-child')
    if (!metadata) continue
    const columns = lookup.columns.flatMap(
      ({ propertyPath }) => metadata.findColumnWithPropertyPath(propertyPath) ?? [],
    )
    const isServed = [...metadata.indices, ...metadata.uniques].some((index) =>
      columns.every((column, place) => index.columns[place] === column),
    )
    if (isServed || columns.every((column, place) => metadata.primaryColumns[place] === column)) continue
    const name = lookup.isUnique ? undefined : lookup.givenName
    const index = new IndexMetadata({
      entityMetadata: metadata,
      columns,
      args: { target: metadata.target, synchronize: true, ...(name !== undefined && { name }) },
    })
    metadata.indices.push(index.build(metadata.dataSource.namingStrategy))
  }
}
