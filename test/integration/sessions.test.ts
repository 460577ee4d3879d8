import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { Client } from 'pg'
import { Column, Entity, In, MoreThan, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, type ShardedDataSourceOptions, ShardKey } from '../../src/index'
import { createDatabases } from '../support/databases'
import { freePort } from '../support/free-port'
import type { FreshDatabases } from '../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 6 }))
class Item {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('int', { default: 0 })
  value!: number
}

@Entity()
class Setting {
  @PrimaryColumn()
  name!: string
}

const ids = Array.from({ length: 24 }, (_, id) => id)

describe('connections', () => {
  let databases: FreshDatabases
  let admin: Client
  const opened: ShardedDataSource[] = []

  const open = async (options: Partial<ShardedDataSourceOptions> = {}): Promise<ShardedDataSource> => {
    const [a = '', b = ''] = databases.nodes
    const dataSource = new ShardedDataSource({
      type: 'postgres',
      entities: [Item, Setting],
      nodes: { a: { url: a }, b: { url: b } },
      applicationName: `${new URL(a).pathname.slice(1)}_${opened.length}`,
      // Recovery has connections of its own.
      transactions: 'best-effort',
      ...options,
    })
    opened.push(dataSource)
    return dataSource.initialize()
  }
  /** Sessions of a data source on node a, by state, but for the one that asks whether shards have moved. */
  const sessions = async (dataSource: ShardedDataSource): Promise<readonly string[]> => {
    const { rows } = await admin.query(
      "SELECT state FROM pg_stat_activity WHERE application_name = $1 AND query NOT LIKE '%epochs%'",
      [Reflect.get(dataSource.options, 'applicationName')],
    )
    return rows.map((row: { state: string }) => row.state)
  }

  beforeAll(async () => {
    databases = await createDatabases(2)
    admin = new Client({ connectionString: databases.nodes[0] ?? '' })
    await admin.connect()
    const dataSource = await open()
    await dataSource.synchronize()
  })
  beforeEach(async () => {
    const [dataSource] = opened
    await dataSource?.getRepository(Item).deleteAll()
    await dataSource?.getRepository(Item).insert(ids.map((id) => ({ id })))
  })
  afterAll(async () => {
    for (const dataSource of opened) if (dataSource.isInitialized) await dataSource.destroy()
    await admin.end()
    await databases.drop()
  })

  it('stay within a pool of one under fifty reads, writes and transactions at once', async () => {
    const dataSource = await open({ poolSize: 1, connectTimeoutMS: 4000 })
    const items = dataSource.getRepository(Item)
    const settled = await Promise.allSettled(
      ids.concat(ids).map(async (id, index) => {
        await items.find({ order: { id: 'ASC' }, take: 3 })
        await items.increment({ id: In([id, (id + 5) % 24, (id + 9) % 24]) }, 'value', 1)
        await dataSource.transaction(async (manager) => {
          // Its first statement opens all nodes, in one order: one that began with a single shard might wait in a circle.
          await manager.count(Item)
          if (index === 0) await manager.save(Setting, { name: 'x' })
          await manager.increment(Item, { id }, 'value', 1)
          await manager.increment(Item, { id: MoreThan(-1) }, 'value', 1)
        })
      }),
    )
    expect(settled.filter(({ status }) => status === 'rejected')).toEqual([])
    expect(await items.sum('value')).toBe(48 * 3 + 48 + 48 * 24)
    expect(await sessions(dataSource)).toEqual(['idle'])
    await dataSource.destroy()
    // A server ends a session a moment after the client has closed it.
    await expect.poll(() => sessions(dataSource)).toEqual([])
  })

  it('are not waited for without end: a full pool is an error', async () => {
    const dataSource = await open({ poolSize: 1, connectTimeoutMS: 200 })
    const runner = dataSource.createQueryRunner()
    await runner.startTransaction()
    await runner.manager.count(Item)
    for (const read of [() => dataSource.getRepository(Item).find(), () => dataSource.getRepository(Setting).find()])
      await expect(read()).rejects.toMatchObject({ code: 'POOL_EXHAUSTED', labels: ['retryable', 'no-writes'] })
    await runner.rollbackTransaction()
    await runner.release()
    expect(await dataSource.getRepository(Item).count()).toBe(24)
  })

  it('are not waited for without end: a silent server is an error', async () => {
    const sockets: Socket[] = []
    const port = await freePort()
    const silent = createServer((socket) => void sockets.push(socket)).listen(port, '127.0.0.1')
    await once(silent, 'listening')
    const nodes = { a: { url: databases.nodes[0] ?? '' }, silent: { host: '127.0.0.1', port } }
    const started = Date.now()
    await expect(open({ nodes, connectTimeoutMS: 300 })).rejects.toMatchObject({
      code: 'SHARD_UNAVAILABLE',
      details: { node: 'silent' },
    })
    expect(Date.now() - started).toBeLessThan(5000)
    for (const socket of sockets) socket.destroy()
    silent.close()
  })

  it('are given back by transactions that end in an error', async () => {
    const dataSource = await open({ poolSize: 1 })
    const items = dataSource.getRepository(Item)
    for (let round = 0; round < 5; round++) {
      await expect(
        dataSource.transaction(async (manager) => {
          await manager.updateAll(Item, { value: 1 })
          await manager.save(Setting, { name: `${round}` })
          throw new Error('mine')
        }),
      ).rejects.toThrow('mine')
      await expect(items.updateAll({ value: () => '1 / (id - 3)' })).rejects.toMatchObject({ code: '22012' })
      await expect(items.insert([{ id: 100 }, { id: 101 }, { id: 3 }])).rejects.toMatchObject({ code: '23505' })
    }
    expect(await items.sum('value')).toBe(0)
    expect(await items.count()).toBe(24)
    expect(await sessions(dataSource)).toEqual(['idle'])
  })

  it('are given back by a query runner that nobody committed', async () => {
    const dataSource = await open({ poolSize: 1 })
    const runner = dataSource.createQueryRunner()
    await runner.startTransaction()
    await runner.manager.updateAll(Item, { value: 7 })
    await runner.release()
    expect(await dataSource.getRepository(Item).sum('value')).toBe(0)
  })

  it('keep working when a table changes under prepared statements', async () => {
    const dataSource = await open({ poolSize: 1 })
    const items = dataSource.getRepository(Item)
    const prepared: boolean[] = []
    dataSource.onStatement((event) => prepared.push(event.prepared))
    const alter = async (text: string) => {
      for (const { name } of dataSource.shards(Item)) await items.onShard(name).query(text)
    }
    const work = async () => {
      expect(await items.find({ order: { id: 'DESC' }, take: 2 })).toMatchObject([{ id: 23 }, { id: 22 }])
      expect(await items.findOneBy({ id: 7 })).toMatchObject({ id: 7 })
      await items.update({ id: 7 }, { value: 1 })
      await items.onShard(dataSource.locate(Item, 7).shard).query('SELECT * FROM "__shard__"."item" WHERE id = $1', [7])
    }
    for (let round = 0; round < 3; round++) await work()
    expect(prepared.filter(Boolean).length).toBeGreaterThan(3)
    await alter('ALTER TABLE "__shard__"."item" ADD COLUMN extra int')
    for (let round = 0; round < 3; round++) await work()
    await alter('ALTER TABLE "__shard__"."item" ALTER COLUMN value TYPE bigint')
    await work()
    await alter('ALTER TABLE "__shard__"."item" ALTER COLUMN value TYPE int, DROP COLUMN extra')
    await work()
  })

  it('keep working after DISCARD ALL', async () => {
    const dataSource = await open({ poolSize: 1 })
    const items = dataSource.getRepository(Item)
    for (let round = 0; round < 6; round++) {
      if (round > 2) await items.acrossShards().query('DISCARD ALL')
      expect(await items.find({ order: { id: 'DESC' }, take: 1 })).toMatchObject([{ id: 23 }])
      expect(await items.findOneBy({ id: 7 })).toMatchObject({ id: 7 })
    }
  })

  it('prepare nothing where that is off, and no more than they may', async () => {
    for (const max of [0, 2]) {
      const dataSource = await open({ poolSize: 1, preparedStatements: max === 0 ? false : { max } })
      const items = dataSource.getRepository(Item)
      for (let round = 0; round < 4; round++) {
        await items.findBy({ value: 0 })
        await items.count()
        await items.findOneBy({ id: 1 })
        await items.findOneBy({ id: 2 })
        await items.sum('value')
      }
      const { shard } = dataSource.locate(Item, 1)
      const rows = await items.onShard(shard).query('SELECT name FROM pg_prepared_statements')
      expect(rows).toHaveLength(max)
    }
  })
})
