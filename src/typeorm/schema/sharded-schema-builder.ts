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
 * What TypeORM's command line asks for the schema of a data source with sharded entities (`schema:log`, `migration:generate`). TypeORM's own
 * builder would tell of one database that has the tables of the placeholder schema.
 *
 * Each statement begins with a comment that names its node and shard: it is to be run there, and nowhere else.
 */
class ShardedSchemaBuilder implements SchemaBuilder {
  constructor(private readonly parts: Parts) {}

  build(): Promise<void> {
    return this.parts.build()
  }

  async log(): Promise<SqlInMemory> {
    const logs = await this.parts.logs()
    const marked = (of: 'upQueries' | 'downQueries') =>
      logs.flatMap(({ node, shard, statements }) =>
        statements[of].map((one) => ({
          ...one,
          query: `/* node ${node}${shard === undefined ? '' : `, shard ${shard}`} */ ${one.query}`,
        })),
      )
    return { upQueries: marked('upQueries'), downQueries: marked('downQueries') }
  }
}

/** Has TypeORM's command line and its migrations, which ask the driver for the schema, ask for that of all shards. */
export function useShardedSchemaBuilder(driver: Driver, parts: Parts): void {
  const plain = driver.createSchemaBuilder.bind(driver)
  const sharded = new ShardedSchemaBuilder(parts)
  Object.assign(driver, { createSchemaBuilder: () => (parts.isUsed() ? sharded : plain()) })
}
