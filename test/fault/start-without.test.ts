import { Client } from 'pg'
import { Column, Entity, In, PrimaryColumn } from 'typeorm'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  custom,
  GlobalUnique,
  ReferenceTable,
  Sharded,
  ShardedDataSource,
  type ShardedDataSourceOptions,
  ShardedId,
  ShardKey,
} from '../../src/index'
import { errorOf, Item, type OpenNodes, Setting, type Side, startTwoNodes, type TwoNodes, until } from './two-nodes'

/** Even tenants lie on the node `left`, odd ones on `right`. */
@Entity()
@Sharded(custom({ shards: ['even', 'odd'], shardOf: (id) => (BigInt(id) % 2n === 0n ? 'even' : 'odd') }))
class Account {
  @PrimaryColumn('bigint')
  @ShardedId('64-bit')
  id!: string

  @ShardKey()
  @PrimaryColumn('int')
  tenantId!: number

  @Column('text')
  @GlobalUnique()
  email!: string
}

@Entity()
@ReferenceTable()
class Currency {
  @PrimaryColumn('text')
  code!: string

  @Column('text')
  name!: string
}

const unavailable = (node: Side) => ({ code: 'SHARD_UNAVAILABLE', details: { node } })

describe('a start that lacks a node', () => {
  let nodes: TwoNodes
  let open: OpenNodes
  let again: ShardedDataSource
  const warnings: string[] = []
  const thaws: (() => void)[] = []
  const items = () => again.getRepository(Item)
  const ids = async () => (await items().find({ order: { id: 'ASC' } })).map(({ id }) => id)
  const all = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
  const logger = {
    log: (level: string, text: unknown) => void (level === 'warn' && warnings.push(String(text))),
    logQuery: () => undefined,
    logQueryError: () => undefined,
    logQuerySlow: () => undefined,
    logSchemaBuild: () => undefined,
    logMigration: () => undefined,
  }
  const start = async (options: Partial<ShardedDataSourceOptions> = {}) => {
    again = new ShardedDataSource({ ...open.options, logger, ...options })
    return again.initialize()
  }
  const answers = (side: Side) => until(async () => !again.runtime.pool(side).isAbsent)
  const milliseconds = async (work: Promise<unknown>): Promise<number> => {
    const before = performance.now()
    await work.catch(() => undefined)
    return performance.now() - before
  }

  beforeAll(async () => {
    nodes = await startTwoNodes()
  })
  afterEach(async () => {
    for (const thaw of thaws.splice(0)) thaw()
    for (const side of ['left', 'right'] as const) await nodes.clusters[side].restart()
    if (again?.isInitialized) await again.destroy()
    await open.close()
    warnings.length = 0
  })
  afterAll(() => nodes.stop())

  it('serves the other shards, refuses those of the node and whatever asks all, and has them when it answers', async () => {
    open = await nodes.open()
    await open.dataSource.destroy()
    await nodes.clusters.right.kill()
    await start()
    expect(warnings.filter((text) => text.includes('lacks node'))).toEqual([
      expect.stringMatching(/^The start lacks node right\. Node right gave no connection: .*ECONNREFUSED/),
    ])
    expect(await items().findOneBy({ id: 4 })).toMatchObject({ id: 4 })
    expect(await items().countBy({ id: In([2, 4]) })).toBe(2)
    await items().save({ id: 12, value: 1 })
    await again.getRepository(Setting).save({ name: 'home' })
    const asksRight = () => [
      items().findOneBy({ id: 3 }),
      items().find(),
      items().find({ order: { value: 'ASC', id: 'ASC' }, take: 2 }),
      items().countBy({ id: In([2, 3]) }),
      items().save({ id: 3, value: 1 }),
      items().updateAll({ value: 9 }),
      again.query('SELECT sum(value) FROM item'),
      again.query('SELECT value, count(*) FROM item GROUP BY value'),
      again.transaction(async (manager) => {
        await manager.update(Item, { id: 2 }, { value: 7 })
        await manager.update(Item, { id: 3 }, { value: 7 })
      }),
    ]
    for (const error of await Promise.all(asksRight().map(errorOf))) expect(error).toMatchObject(unavailable('right'))
    expect(await milliseconds(Promise.allSettled(asksRight()))).toBeLessThan(1_000)
    expect(await open.values('left')).toEqual([0, 0, 0, 0, 0, 1])
    const heard: string[] = []
    again.onStatement(({ node }) => heard.push(node))
    await nodes.clusters.right.restart()
    await answers('right')
    expect(await ids()).toEqual([...all, 12])
    await items().updateAll({ value: 3 })
    expect(await items().sum('value')).toBe(33)
    expect(heard).toContain('right')
    expect(warnings.at(-1)).toBe('Node right answers, and has been checked.')
  })

  it('waits for a node that is frozen no longer than for a connection', async () => {
    open = await nodes.open()
    await open.dataSource.destroy()
    const thaw = await nodes.clusters.right.freeze()
    thaws.push(thaw)
    expect(await milliseconds(start({ connectTimeoutMS: 1_500 }))).toBeLessThan(4_000)
    expect(await milliseconds(errorOf(items().find()))).toBeLessThan(500)
    expect(await items().findOneBy({ id: 4 })).toMatchObject({ id: 4 })
    thaw()
    await answers('right')
    expect(await ids()).toEqual(all)
  })

  it('goes on with sharded entities where it is the home node, and with all else when that answers', async () => {
    const entities = [Account, Currency, Item, Setting]
    const groups = {
      item: { placement: { left: 'left', right: 'right' } },
      account: { placement: { even: 'left', odd: 'right' } },
    }
    open = await nodes.open({ entities, groups })
    await open.dataSource.getRepository(Currency).save({ code: 'EUR', name: 'Euro' })
    const accounts = open.dataSource.getRepository(Account)
    const { id } = await accounts.save({ tenantId: 1, email: 'one@example.org' })
    // The home node goes while a process runs.
    await nodes.clusters.left.kill()
    const key = { tenantId: 1 }
    expect(await accounts.findOneBy({ id, ...key })).toMatchObject({ email: 'one@example.org' })
    await open.dataSource.getRepository(Item).update({ id: 3 }, { value: 4 })
    await open.dataSource.destroy()
    // And before one starts.
    await start({ entities, groups })
    expect(await items().findOneBy({ id: 3 })).toEqual({ id: 3, value: 4 })
    await items().save({ id: 13, value: 5 })
    await again.transaction((manager) => manager.update(Item, { id: 13 }, { value: 6 }))
    expect(await items().findOneBy({ id: 13 })).toEqual({ id: 13, value: 6 })
    expect(await again.getRepository(Account).findOneBy({ id, ...key })).toMatchObject({ email: 'one@example.org' })
    const refused = [
      again.getRepository(Setting).find(),
      again.getRepository(Currency).find(),
      again.getRepository(Currency).save({ code: 'CHF', name: 'Franc' }),
      again.getRepository(Account).save({ tenantId: 3, email: 'three@example.org' }),
      items().findOneBy({ id: 2 }),
      items().find(),
    ]
    for (const error of await Promise.all(refused.map(errorOf))) expect(error).toMatchObject(unavailable('left'))
    await nodes.clusters.left.restart()
    await answers('left')
    expect(await again.getRepository(Setting).find()).toEqual([])
    expect(await again.getRepository(Currency).find()).toEqual([{ code: 'EUR', name: 'Euro' }])
    await again.getRepository(Account).save({ tenantId: 3, email: 'three@example.org' })
    const twice = again.getRepository(Account).save({ tenantId: 2, email: 'three@example.org' })
    expect(await errorOf(twice)).toMatchObject({ code: '23505' })
    expect(await ids()).toEqual([...all, 13])
    // The copies of reference tables are kept.
    await again.getRepository(Currency).save({ code: 'CHF', name: 'Franc' })
    expect(await again.verifyReferenceTables()).toMatchObject(
      ['left', 'right'].map((node) => ({ table: 'currency', node, rows: 2, equal: true })),
    )
  })

  it('ends what the node had prepared when it answers', async () => {
    open = await nodes.open()
    open.dataSource.onControlPoint(async (point) => {
      if (point === 'commit:after-decision') await nodes.clusters.right.kill()
    })
    await open.dataSource.getRepository(Item).updateAll({ value: 8 })
    await open.dataSource.destroy()
    await start()
    expect(await open.values('left')).toEqual([8, 8, 8, 8, 8])
    await nodes.clusters.right.restart()
    expect(await open.values('right')).toEqual([0, 0, 0, 0, 0])
    await answers('right')
    await until(async () => (await open.query('right', 'SELECT FROM pg_prepared_xacts')).length === 0)
    expect(await open.values('right')).toEqual([8, 8, 8, 8, 8])
  })

  it('refuses the operations of a node that comes back as another database, until that is mended', async () => {
    open = await nodes.open()
    await open.dataSource.destroy()
    const { url: rightUrl = '' } = open.options.nodes['right'] ?? {}
    const database = new URL(rightUrl).pathname.slice(1)
    const asAdmin = async (...texts: readonly string[]) => {
      const client = new Client({ connectionString: nodes.clusters.right.url() })
      await client.connect()
      for (const text of texts) await client.query(text)
      await client.end()
    }
    await asAdmin(`ALTER DATABASE "${database}" RENAME TO "${database}_kept"`)
    await nodes.clusters.right.kill()
    await start()
    await nodes.clusters.right.restart()
    await asAdmin(`CREATE DATABASE "${database}"`)
    await until(async () => warnings.some((text) => /is not used\..*without a catalog/.test(text)))
    expect(await errorOf(items().findOneBy({ id: 3 }))).toMatchObject({
      code: 'TOPOLOGY_MISMATCH',
      message: expect.stringMatching(/^Node right was the database [0-9a-f]{16}, and is one without a catalog now/),
    })
    expect(await items().findOneBy({ id: 4 })).toMatchObject({ id: 4 })
    await until(async () => {
      await asAdmin(`DROP DATABASE IF EXISTS "${database}" WITH (FORCE)`)
      return asAdmin(`ALTER DATABASE "${database}_kept" RENAME TO "${database}"`).then(
        () => true,
        () => false,
      )
    })
    await answers('right')
    expect(await ids()).toEqual(all)
  })

  it('is refused where nothing is known of the node, where tables are to be made, and by option', async () => {
    open = await nodes.open()
    await open.dataSource.destroy()
    await nodes.clusters.right.kill()
    expect(await errorOf(start({ startWithout: 'none' }))).toMatchObject(unavailable('right'))
    expect(await errorOf(start({ synchronize: true }))).toMatchObject(unavailable('right'))
    const unknown = { nodes: { left: open.options.nodes['left'] ?? {}, other: open.options.nodes['right'] ?? {} } }
    expect(await errorOf(start({ ...unknown, groups: {} }))).toMatchObject({
      code: 'SHARD_UNAVAILABLE',
      details: { node: 'other' },
      message: expect.stringContaining('have stored nothing of it'),
    })
    // A new group is stored on every node.
    expect(await errorOf(start({ entities: [Item, Setting, Account] }))).toMatchObject(unavailable('right'))
    await nodes.clusters.right.restart()
    await start({ startWithout: 'none' })
    expect(await ids()).toEqual(all)
  })
})
