import { Client } from 'pg'
import { DataSource } from 'typeorm'
import { ShardedDataSource } from '../../src'
import { shardArgsStorage } from '../../src/model/sharded-options'
import { physicalName } from '../../src/planning/bind-shard-names'
import { createDatabases } from '../support/databases'
import { specs } from './columns'
import { type Configuration, type GroupSpec, groupsOf } from './configurations'
import { type EntityName, entities } from './entities'
import { giveSettings, optionsOfOracle } from './unlike-settings'

/** A table where rows of an entity stand. */
export interface Table {
  readonly entity: EntityName
  readonly client: Client
  /** Quoted and qualified. */
  readonly name: string
}

/** One of the two that are compared. */
export interface Side {
  readonly dataSource: DataSource
  readonly tables: readonly Table[]
}

export interface World {
  readonly configuration: Configuration
  readonly groups: readonly GroupSpec[]
  readonly oracle: Side
  readonly sharded: Side
  /** The copies of a reference table on other nodes than its home. */
  readonly copies?: Side
  /** There are no shards: the second side is one database too, and its rows are inserted from the last to the first. */
  readonly isPlain?: boolean
}

/** Databases of one test file: an oracle that is made once, and nodes of unlike settings on which each configuration makes its shards. */
export interface Worlds {
  open(configuration: Configuration): Promise<World>
  /** A world without shards: two plain databases, whose rows lie in opposite orders. What differs there is left open by SQL. */
  openPlain(configuration: Configuration): Promise<World>
  close(world: World): Promise<void>
  end(): Promise<void>
}

export const createWorlds = async (): Promise<Worlds> => {
  const databases = await createDatabases(2)
  const [a = '', b = ''] = databases.nodes
  await giveSettings({ home: a, other: b, oracle: databases.oracle })
  const clients = await Promise.all([databases.oracle, a, b].map(connect))
  const [oracleClient, clientA, clientB] = clients
  if (!oracleClient || !clientA || !clientB) throw new RangeError('Three connections are needed.')
  const all = Object.values(entities)
  const openDataSource = async (url: string) => {
    const extra = { options: optionsOfOracle }
    const dataSource = new DataSource({ type: 'postgres', url, entities: all, synchronize: true, poolSize: 4, extra })
    await dataSource.initialize()
    await addUniques(dataSource)
    markIds(dataSource)
    return dataSource
  }
  const plain = await openDataSource(databases.oracle)
  const tablesOf = (names: readonly EntityName[], client: Client) =>
    names.map((entity): Table => ({ entity, client, name: `"${plain.getMetadata(entities[entity]).tableName}"` }))

  const open = async (configuration: Configuration): Promise<World> => {
    const groups = groupsOf(configuration)
    const names = groups.flatMap((group) => group.entities)
    // What is asked of an unsharded table is asked of a reference table as well.
    const isReference = configuration.layout === 'table'
    shardArgsStorage().references = isReference ? [{ target: entities[unsharded], seed: undefined }] : []
    const sharded = new ShardedDataSource({
      type: 'postgres',
      entities: [...names, unsharded].map((name) => entities[name]),
      nodes:
        configuration.shards === 1
          ? { a: { url: a, poolSize: 4 } }
          : { a: { url: a, poolSize: 4 }, b: { url: b, poolSize: 4 } },
      layout: configuration.layout,
      groups: Object.fromEntries(groups.map((group) => [group.group, { shards: group.shards }])),
      synchronize: true,
    })
    await sharded.initialize()
    const tables = names.flatMap((name) =>
      sharded.shards(entities[name]).map((shard): Table => {
        const { schema, name: table } = physicalName(sharded.getMetadata(entities[name]).tableName, shard)
        return { entity: name, client: shard.node === 'a' ? clientA : clientB, name: `"${schema}"."${table}"` }
      }),
    )
    return {
      configuration,
      groups,
      oracle: { dataSource: plain, tables: tablesOf([...names, unsharded], oracleClient) },
      sharded: { dataSource: sharded, tables: [...tables, ...tablesOf([unsharded], clientA)] },
      ...(isReference &&
        configuration.shards > 1 && { copies: { dataSource: sharded, tables: tablesOf([unsharded], clientB) } }),
    }
  }
  const openPlain = async (configuration: Configuration): Promise<World> => {
    const groups = groupsOf(configuration)
    const names: EntityName[] = [...groups.flatMap((group) => group.entities), unsharded]
    return {
      configuration,
      groups,
      oracle: { dataSource: plain, tables: tablesOf(names, oracleClient) },
      sharded: { dataSource: await openDataSource(a), tables: tablesOf(names, clientA) },
      isPlain: true,
    }
  }
  return {
    open,
    openPlain,
    close: async ({ sharded: { dataSource } }) => {
      await dataSource.dropDatabase()
      await dataSource.destroy()
    },
    end: async () => {
      await plain.destroy()
      await Promise.all(clients.map((client) => client.end()))
      await databases.drop()
    },
  }
}

/** One database's answer to `@GlobalUnique`. Decorators would make it of the shards' tables too. */
async function addUniques(dataSource: DataSource): Promise<void> {
  for (const { name, columns } of Object.values(specs)) {
    const { tableName } = dataSource.getMetadata(entities[name])
    for (const { path } of columns.filter(({ isUnique }) => isUnique)) {
      const constraint = dataSource.namingStrategy.uniqueConstraintName(tableName, [path])
      await dataSource.query(`ALTER TABLE "${tableName}" ADD CONSTRAINT "${constraint}" UNIQUE ("${path}")`)
    }
  }
}

/** To TypeORM a `@ShardedId` is a column that the database fills: it is returned by inserts and among what they generated. */
function markIds(dataSource: DataSource): void {
  for (const { name, idFor } of Object.values(specs))
    if (idFor) for (const column of dataSource.getMetadata(entities[name]).primaryColumns) column.isGenerated = true
}

/** Lives on the home node; in the layout `table` as a reference table. */
const unsharded: EntityName = 'Setting'

/**
 * A client that reads tables past both sides. To PostgreSQL one statement over the tables of 64 shards is worth two more processes,
 * which take it fifty times as long to start as the tables to read.
 */
const connect = async (url: string): Promise<Client> => {
  // Copies of reference tables take what they are given past their data source.
  const options = `${optionsOfOracle} -c sharding_reference.written=copy -c max_parallel_workers_per_gather=0`
  const client = new Client({ connectionString: url, options })
  await client.connect()
  return client
}
