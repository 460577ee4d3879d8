import { Client } from 'pg'
import { Column, Entity, PrimaryColumn } from 'typeorm'
import { custom, Sharded, ShardedDataSource, type ShardedDataSourceOptions, ShardKey } from '../../src/index'
import { type Cluster, startCluster } from '../support/cluster'
import { freshDatabases } from '../support/fresh-databases'

/** Even ids lie on the node `left`, odd ones on `right`. */
@Entity()
@Sharded(custom({ shards: ['left', 'right'], shardOf: (id) => (BigInt(id) % 2n === 0n ? 'left' : 'right') }))
export class Item {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('int', { default: 0 })
  value!: number
}

/** Lives on the node `left`. */
@Entity()
export class Setting {
  @PrimaryColumn()
  name!: string
}

export type Side = 'left' | 'right'

/** Two servers of one test file, one a node, that may be killed. */
export interface TwoNodes {
  readonly clusters: Readonly<Record<Side, Cluster>>
  /** An initialised data source with items 0 to 9 of value 0, over new databases. */
  open(options?: Partial<ShardedDataSourceOptions>): Promise<OpenNodes>
  stop(): Promise<void>
}

export interface OpenNodes {
  readonly dataSource: ShardedDataSource
  /** What it was made with. */
  readonly options: ShardedDataSourceOptions
  /** The rows of a statement on a side, sent past the data source. */
  query<T = Record<string, string>>(side: Side, text: string, values?: unknown[]): Promise<T[]>
  /** A client of the test's own on a side. */
  client(side: Side): Promise<Client>
  /** The values of a side's items, read past the data source. */
  values(side: Side): Promise<readonly number[]>
  /** Sessions of the data source on a side, as the server sees them. */
  sessions(side: Side): Promise<readonly { readonly state: string; readonly waits: string | null }[]>
  /** Waits until the servers say that none of those does anything: what recovery does in between ends soon. */
  idle(): Promise<void>
  close(): Promise<void>
}

export async function startTwoNodes(): Promise<TwoNodes> {
  const [left, right] = await Promise.all([startCluster({ name: 'left' }), startCluster({ name: 'right' })])
  const clusters = { left, right }
  return {
    clusters,
    open: (options = {}) => openNodes(clusters, options),
    stop: async () => {
      await Promise.all([left.stop(), right.stop()])
    },
  }
}

async function openNodes(
  clusters: TwoNodes['clusters'],
  options: Partial<ShardedDataSourceOptions>,
): Promise<OpenNodes> {
  const databases = await freshDatabases([clusters.left.url(), clusters.right.url()], 2)
  const [leftUrl = '', rightUrl = ''] = databases.nodes
  const urls = { left: leftUrl, right: rightUrl }
  const applicationName = new URL(leftUrl).pathname.slice(1)
  const given: ShardedDataSourceOptions = {
    type: 'postgres',
    entities: [Item, Setting],
    nodes: { left: { url: urls.left }, right: { url: urls.right } },
    groups: { item: { placement: { left: 'left', right: 'right' } } },
    applicationName,
    poolErrorHandler: () => undefined,
    ...options,
  }
  const dataSource = new ShardedDataSource(given)
  await dataSource.initialize()
  await dataSource.synchronize()
  await dataSource.getRepository(Item).insert(Array.from({ length: 10 }, (_, id) => ({ id })))
  const clients: Client[] = []
  const client = async (side: Side): Promise<Client> => {
    const one = new Client({ connectionString: urls[side] })
    one.on('error', () => undefined)
    await one.connect()
    clients.push(one)
    return one
  }
  const query = async <T>(side: Side, text: string, values?: unknown[]): Promise<T[]> => {
    const one = new Client({ connectionString: urls[side] })
    one.on('error', () => undefined)
    await one.connect()
    try {
      return (await one.query(text, values)).rows
    } finally {
      await one.end()
    }
  }
  const sessions: OpenNodes['sessions'] = (side) =>
    query(side, 'SELECT state, wait_event_type AS waits FROM pg_stat_activity WHERE application_name = $1', [
      applicationName,
    ])
  return {
    dataSource,
    options: given,
    query,
    client,
    values: async (side) =>
      (await query<{ value: number }>(side, `SELECT value FROM "item_${side}"."item" ORDER BY id`)).map(
        ({ value }) => value,
      ),
    sessions,
    idle: () =>
      until(async () => {
        const all = await Promise.all([sessions('left'), sessions('right')])
        return all.flat().every(({ state }) => state === 'idle')
      }),
    close: async () => {
      if (dataSource.isInitialized) await dataSource.destroy()
      await Promise.all(clients.map((one) => one.end().catch(() => undefined)))
    },
  }
}

/** Waits until a condition holds; fails after ten seconds, or the given time. */
export async function until(holds: () => Promise<boolean>, deadlineMs = 10_000): Promise<void> {
  const deadline = Date.now() + deadlineMs
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`It did not come to pass in ${deadlineMs} ms.`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** The error of a promise that must not be fulfilled. */
export function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => Promise.reject(new Error(`It was fulfilled: ${JSON.stringify(value)}`)),
    (error: unknown) => error,
  )
}
