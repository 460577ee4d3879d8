import { Client } from 'pg'
import { DataSource, type EntitySubscriberInterface, type MixedList } from 'typeorm'
import type { EntitySchema } from 'typeorm/entity-schema/EntitySchema'
import { afterAll, beforeAll, beforeEach, describe } from 'vitest'
import { hash, type Layout, ShardedDataSource } from '../../src/index'
import { createDatabases } from './databases'
import type { FreshDatabases } from './fresh-databases'

/** One way to hold the same rows: plain TypeORM on one database, or shards over several. */
export interface Target {
  readonly name: string
  /** 0 for plain TypeORM. */
  readonly shards: number
  /** The initialised data source; its tables are empty before each test, unless there is a seed. */
  readonly dataSource: DataSource
}

export interface TargetOptions {
  readonly entities: readonly (((...args: never[]) => unknown) | (new () => object) | EntitySchema)[]
  /** Colocation groups whose number of shards is the target's. Default: all of the entities' roots, by name. */
  readonly groups: readonly string[]
  readonly subscribers?: readonly (new () => EntitySubscriberInterface)[]
  /** Writes the rows that all tests read and none changes. With it the tables are not emptied between tests. */
  readonly seed?: (dataSource: DataSource) => Promise<void>
}

interface Shape {
  readonly name: string
  readonly shards: number
  readonly nodes: readonly number[]
  /** The node of unsharded tables, where it is another than that of the first shard. */
  readonly home?: number
  readonly layout: Layout
}

const shapes: readonly Shape[] = [
  { name: 'plain TypeORM', shards: 0, nodes: [], layout: 'schema' },
  { name: '1 shard', shards: 1, nodes: [0], layout: 'schema' },
  { name: '3 shards on 2 nodes', shards: 3, nodes: [1, 2], layout: 'schema' },
  { name: '8 shards in layout table', shards: 8, nodes: [3, 4], home: 4, layout: 'table' },
]

/**
 * Runs the same tests against plain TypeORM and against shards: what they assert is what the oracle law promises.
 *
 * @example
 * onEveryTarget({ entities: [Account], groups: ['account'] }, (target) => {
 *   it('saves', async () => { await target.dataSource.getRepository(Account).save(…) })
 * })
 */
export function onEveryTarget(options: TargetOptions, body: (target: Target) => void): void {
  const shared: { databases?: Promise<FreshDatabases> } = {}
  const databases = (): Promise<FreshDatabases> => {
    shared.databases ??= createDatabases(5)
    return shared.databases
  }
  afterAll(async () => (await shared.databases)?.drop())

  describe.each(shapes)('$name', (shape) => {
    let opened: DataSource | undefined
    let cleaners: readonly Client[] = []

    beforeAll(async () => {
      const { nodes, oracle } = await databases()
      opened = shape.shards === 0 ? plainDataSource(oracle, options) : shardedDataSource(shape, nodes, options)
      await opened.initialize()
      await opened.synchronize()
      const urls = shape.shards === 0 ? [oracle] : shape.nodes.map((index) => nodes[index] ?? '')
      cleaners = await Promise.all(urls.map(connect))
      await options.seed?.(opened)
    })
    beforeEach(async () => {
      if (!options.seed) await Promise.all(cleaners.map(deleteAllRows))
    })
    afterAll(async () => {
      if (opened?.isInitialized) await opened.destroy()
      await Promise.all(cleaners.map((client) => client.end()))
    })

    body({
      name: shape.name,
      shards: shape.shards,
      get dataSource() {
        if (!opened) throw new Error('The data source is opened in beforeAll.')
        return opened
      },
    })
  })
}

/** Plain TypeORM and every sharding of it at once, each with the seed's rows: for tests that compare their answers. */
export interface OpenTargets {
  readonly plain: DataSource
  readonly sharded: readonly Target[]
  close(): Promise<void>
}

/**
 * Opens what `onEveryTarget` opens one after the other, all at once.
 *
 * @example
 * const { plain, sharded, close } = await openEveryTarget({ entities: [Account], groups: ['account'], seed })
 */
export async function openEveryTarget(options: TargetOptions): Promise<OpenTargets> {
  const databases = await createDatabases(5)
  const opened: DataSource[] = []
  const close = async (): Promise<void> => {
    for (const dataSource of opened) if (dataSource.isInitialized) await dataSource.destroy()
    await databases.drop()
  }
  const open = async (dataSource: DataSource): Promise<DataSource> => {
    opened.push(dataSource)
    await dataSource.initialize()
    await dataSource.synchronize()
    await options.seed?.(dataSource)
    return dataSource
  }
  try {
    const plain = await open(plainDataSource(databases.oracle, options))
    const sharded: Target[] = []
    for (const shape of shapes)
      if (shape.shards > 0) {
        const dataSource = await open(shardedDataSource(shape, databases.nodes, options))
        sharded.push({ name: shape.name, shards: shape.shards, dataSource })
      }
    return { plain, sharded, close }
  } catch (error) {
    await close()
    throw error
  }
}

type Entities = MixedList<(new () => object) | EntitySchema>

function plainDataSource(url: string, { entities, subscribers = [] }: TargetOptions): DataSource {
  return new DataSource({ type: 'postgres', url, entities: [...entities] as Entities, subscribers: [...subscribers] })
}

function shardedDataSource(
  { shards, nodes, home, layout }: Shape,
  urls: readonly string[],
  { entities, groups, subscribers = [] }: TargetOptions,
): ShardedDataSource {
  return new ShardedDataSource({
    type: 'postgres',
    entities: [...entities] as Entities,
    subscribers: [...subscribers],
    nodes: Object.fromEntries(nodes.map((index) => [`n${index}`, { url: urls[index] ?? '' }])),
    ...(home !== undefined && { home: `n${home}` }),
    layout,
    groups: Object.fromEntries(groups.map((group) => [group, { shards: hash({ shards }) }])),
  })
}

async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query('SET session_replication_role = replica')
  return client
}

/** Foreign keys do not fire in the role `replica`, so the order of the tables does not matter. */
async function deleteAllRows(client: Client): Promise<void> {
  const { rows } = await client.query(
    `SELECT format('DELETE FROM %I.%I', schemaname, tablename) AS text FROM pg_tables
     WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND NOT starts_with(tablename, 'sharding_')`,
  )
  await client.query(rows.map((row: { text: string }) => row.text).join('; '))
}
