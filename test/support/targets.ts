import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import { Client } from 'pg'
import { DataSource, type EntitySubscriberInterface, type MixedList } from 'typeorm'
import type { EntitySchema } from 'typeorm/entity-schema/EntitySchema'
import { afterAll, beforeAll, beforeEach, describe, expect } from 'vitest'
import { hash, type Layout, ShardedDataSource, type ShardedDataSourceOptions } from '../../src/index'
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
  /** Who does `onDelete` over shards. */
  readonly onDelete?: ShardedDataSourceOptions['onDelete']
  /** Writes the rows that all tests read and none changes. With it the tables are not emptied between tests. */
  readonly seed?: (dataSource: DataSource) => Promise<void>
  /** Every sharding in one file: for tests of what their numbers of shards and layouts change. */
  readonly inAll?: boolean
  /** Where every sharding is tested, those are 1, 3 and 8 shards over two and three databases, in both layouts. */
  readonly onThreeNodes?: boolean
}

interface Shape {
  readonly name: string
  readonly shards: number
  /** How many databases hold the shards. */
  readonly nodes: number
  /** The node of unsharded tables, where it is another than that of the first shard. */
  readonly home?: number
  readonly layout: Layout
}

const unsharded: Shape = { name: 'plain TypeORM', shards: 0, nodes: 0, layout: 'schema' }
const threeShards: Shape = { name: '3 shards on 2 nodes', shards: 3, nodes: 2, layout: 'schema' }
const eightShards: Shape = {
  name: '8 shards in layout table',
  shards: 8,
  nodes: 2,
  home: 1,
  layout: 'table',
}
const oneShard: Shape = { name: '1 shard', shards: 1, nodes: 1, layout: 'schema' }
/** Each number of shards over two and three databases, in both layouts; the home node is the last: mostly not the first shard's. */
const overThreeNodes: readonly Shape[] = [1, 3, 8].flatMap((shards) =>
  [2, 3].flatMap((nodes) =>
    (['schema', 'table'] as const).map((layout) => ({
      name: `${shards} shards on ${nodes} nodes in layout ${layout}`,
      shards,
      nodes,
      home: nodes - 1,
      layout,
    })),
  ),
)
/** Of five files two test three shards, two test eight, and one tests a single shard. */
const turns: readonly Shape[] = [threeShards, eightShards, threeShards, eightShards, oneShard]

/**
 * How the running test file holds its rows: by plain TypeORM, and by one sharding, which its name chooses. What a plan is for
 * other numbers of shards is said by `test/spec`. Every sharding in every file: `TEST_TARGETS=all`.
 */
function shapesOf({
  inAll = process.env['TEST_TARGETS'] === 'all',
  onThreeNodes = false,
}: TargetOptions): readonly Shape[] {
  if (inAll) return [unsharded, ...(onThreeNodes ? overThreeNodes : [oneShard, threeShards, eightShards])]
  const file = basename(expect.getState().testPath ?? '')
  const turn = createHash('sha256').update(file).digest().readUInt32BE() % turns.length
  return [unsharded, turns[turn] ?? threeShards]
}

/**
 * Runs the same tests against plain TypeORM and against the file's sharding: what they assert is what the oracle law promises.
 *
 * @example
 * onTargets({ entities: [Account], groups: ['account'] }, (target) => {
 *   it('saves', async () => { await target.dataSource.getRepository(Account).save(…) })
 * })
 */
export function onTargets(options: TargetOptions, body: (target: Target) => void): void {
  describe.each(shapesOf(options))('$name', (shape) => {
    let databases: FreshDatabases | undefined
    let opened: DataSource | undefined
    let cleaners: readonly Client[] = []

    beforeAll(async () => {
      databases = await createDatabases(shape.nodes)
      const { nodes, oracle } = databases
      opened = shape.shards === 0 ? plainDataSource(oracle, options) : shardedDataSource(shape, nodes, options)
      await opened.initialize()
      await opened.synchronize()
      cleaners = await Promise.all((shape.shards === 0 ? [oracle] : nodes).map(connect))
      await options.seed?.(opened)
    })
    beforeEach(async () => {
      if (!options.seed) await Promise.all(cleaners.map(deleteAllRows))
    })
    afterAll(async () => {
      if (opened?.isInitialized) await opened.destroy()
      await Promise.all(cleaners.map((client) => client.end()))
      await databases?.drop()
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

/** Milliseconds that it may take to open them all, where a file tests every sharding. */
export const openingMs = 240_000

/** Milliseconds that a test may take which compares them all, one after the other. */
export const comparingMs = 90_000

/** Plain TypeORM and the file's sharding at once, each with the seed's rows: for tests that compare their answers. */
export interface OpenTargets {
  readonly plain: DataSource
  readonly sharded: readonly Target[]
  close(): Promise<void>
}

/**
 * Opens what `onTargets` opens one after the other, all at once.
 *
 * @example
 * const { plain, sharded, close } = await openTargets({ entities: [Account], groups: ['account'], seed })
 */
export async function openTargets(options: TargetOptions): Promise<OpenTargets> {
  const shapes = shapesOf(options).filter(({ shards }) => shards > 0)
  const databases = await createDatabases(shapes.reduce((sum, { nodes }) => sum + nodes, 0))
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
    const targets: Target[] = []
    const unused = [...databases.nodes]
    for (const shape of shapes) {
      const dataSource = await open(shardedDataSource(shape, unused.splice(0, shape.nodes), options))
      targets.push({ name: shape.name, shards: shape.shards, dataSource })
    }
    return { plain, sharded: targets, close }
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
  { shards, home, layout }: Shape,
  urls: readonly string[],
  { entities, groups, onDelete, subscribers = [] }: TargetOptions,
): ShardedDataSource {
  return new ShardedDataSource({
    type: 'postgres',
    entities: [...entities] as Entities,
    subscribers: [...subscribers],
    nodes: Object.fromEntries(urls.map((url, index) => [`n${index}`, { url }])),
    ...(home !== undefined && { home: `n${home}` }),
    layout,
    ...(onDelete && { onDelete }),
    cursors: { secret: 'of the cursors of tests' },
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
