import type { Driver } from 'typeorm/driver/Driver'
import type { SqlInMemory } from 'typeorm/driver/SqlInMemory'
import type { SchemaBuilder } from 'typeorm/schema-builder/SchemaBuilder'

/** The statements that would bring one schema in line with the entities. */
export interface SchemaLog {
  readonly node: string
  /** Undefined for the home node's own tables. */
  readonly shard: string | undefined
  readonly statements: SqlInMemory
}

interface Parts {
  /** The data source has sharded entities. */
  readonly isUsed: () => boolean
  readonly build: () => Promise<void>
  /** In the order of the shard map. */
  readonly logs: () => Promise<readonly SchemaLog[]>
}

/**
 * Has TypeORM's command line and its migrations (`schema:log`, `migration:generate`), which ask the driver for the schema, ask for
 * that of all shards. TypeORM's own builder would tell of one database that has the tables of the placeholder schema.
 *
 * Each statement begins with a comment that names its node and shard: it is to be run there, and nowhere else.
 */
export function useShardedSchemaBuilder(driver: Driver, { isUsed, build, logs }: Parts): void {
  const plain = driver.createSchemaBuilder.bind(driver)
  const log = async (): Promise<SqlInMemory> => {
    const all = await logs()
    const marked = (of: 'upQueries' | 'downQueries') =>
      all.flatMap(({ node, shard, statements }) =>
        statements[of].map((one) => ({
          ...one,
          query: `/* node ${node}${shard === undefined ? '' : `, shard ${shard}`} */ ${one.query}`,
        })),
      )
    return { upQueries: marked('upQueries'), downQueries: marked('downQueries') }
  }
  const sharded: SchemaBuilder = { build, log }
  Object.assign(driver, { createSchemaBuilder: () => (isUsed() ? sharded : plain()) })
}
