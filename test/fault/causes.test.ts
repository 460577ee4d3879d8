import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ShardedDataSource, type ShardedDataSourceOptions } from '../../src/index'
import { type Cluster, startCluster } from '../support/cluster'
import { errorOf, Item, type OpenNodes, startTwoNodes, type TwoNodes } from './two-nodes'

let nodes: TwoNodes
let open: OpenNodes
let small: Cluster

beforeAll(async () => {
  ;[nodes, small] = await Promise.all([
    startTwoNodes(),
    startCluster({
      name: 'small',
      settings: {
        max_connections: '9',
        superuser_reserved_connections: '3',
        max_prepared_transactions: '1',
        max_wal_senders: '0',
      },
    }),
  ])
  open = await nodes.open()
})
afterAll(async () => {
  await open.close()
  await Promise.all([nodes.stop(), small.stop()])
})

describe('a start that gets no connection', () => {
  const startWith = async (change: Partial<URL>): Promise<unknown> => {
    const left = new URL(open.options.nodes['left']?.url ?? '')
    Object.assign(left, change)
    const options = {
      ...open.options,
      nodes: { ...open.options.nodes, left: { url: left.href } },
      startWithout: 'none' as const,
    }
    return errorOf(new ShardedDataSource(options).initialize())
  }

  it.each([
    ['a wrong password', { password: 'wrong' }, 'AUTHENTICATION_FAILED'],
    ['no password', { password: '' }, 'AUTHENTICATION_FAILED'],
    ['an unknown role', { username: 'nobody' }, 'AUTHENTICATION_FAILED'],
    ['an unknown database', { pathname: '/nowhere' }, 'DATABASE_MISSING'],
    ['a port on which nothing listens', { port: '1' }, 'SHARD_UNAVAILABLE'],
  ] as const)('by %s says so, and names the node', async (_, change, code) => {
    expect(await startWith(change)).toMatchObject({
      code,
      message: expect.stringContaining('Node left'),
      details: { node: 'left' },
    })
  })

  it('for want of the privilege to connect names the node', async () => {
    const left = new URL(open.options.nodes['left']?.url ?? '')
    const database = left.pathname.slice(1)
    await open.query('left', `CREATE ROLE visitor LOGIN PASSWORD 'visitor'`)
    await open.query('left', `REVOKE CONNECT ON DATABASE "${database}" FROM PUBLIC`)
    const error = await startWith({ username: 'visitor', password: 'visitor' })
    expect(error).toMatchObject({ code: 'PERMISSION_MISSING', details: { node: 'left' } })
  })

  it('by a URL that is none names the node, and not its password', async () => {
    const options = {
      ...open.options,
      nodes: { ...open.options.nodes, right: { url: 'postgres://me:secret@host:port/x' } },
    }
    const error = await errorOf(new ShardedDataSource(options).initialize())
    expect(error).toMatchObject({ code: 'OPTIONS_INVALID', message: expect.stringContaining('node right') })
    expect(String(error)).not.toContain('secret')
  })
})

describe('a server that is full', () => {
  let dataSource: ShardedDataSource
  afterEach(() => dataSource.destroy())

  const over = async (options: Partial<ShardedDataSourceOptions> = {}) => {
    const database = `full_${Date.now()}`
    const { left } = nodes.clusters
    await Promise.all([left.createDatabase(database), small.createDatabase(database)])
    dataSource = new ShardedDataSource({
      ...open.options,
      nodes: { left: { url: left.url(database) }, right: { url: small.url(database) } },
      ...options,
    })
    await dataSource.initialize()
    await dataSource.synchronize()
  }

  it('of connections is SERVER_FULL', async () => {
    await over({ poolSize: 20 })
    const reads = Array.from({ length: 20 }, () => dataSource.shard('item_right').query('SELECT pg_sleep(0.5)'))
    const failed = (await Promise.allSettled(reads)).flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
    expect(failed.length).toBeGreaterThan(0)
    for (const error of failed) expect(error).toMatchObject({ code: 'SERVER_FULL', details: { node: 'right' } })
  })

  it('of prepared transactions is PREPARED_TRANSACTIONS_FULL, and writes nothing', async () => {
    await over({ poolSize: 2 })
    const other = new Client({ connectionString: small.url() })
    await other.connect()
    await other.query(`BEGIN; CREATE TABLE other (); PREPARE TRANSACTION 'of another application'`)
    const both = [{ id: 200 }, { id: 201 }]
    expect(await errorOf(dataSource.getRepository(Item).insert(both))).toMatchObject({
      code: 'PREPARED_TRANSACTIONS_FULL',
      details: { node: 'right' },
    })
    await other.query(`ROLLBACK PREPARED 'of another application'`)
    await other.end()
    await dataSource.getRepository(Item).insert(both)
  })

  it('of SET TRANSACTION READ ONLY after writes to several nodes is PREPARE_REFUSED, and writes nothing', async () => {
    await over({ poolSize: 2 })
    const work = dataSource.transaction(async (manager) => {
      await manager.insert(Item, [{ id: 220 }, { id: 221 }])
      await manager.query('SET TRANSACTION READ ONLY')
    })
    expect(await errorOf(work)).toMatchObject({ code: 'PREPARE_REFUSED', details: { node: expect.any(String) } })
    expect(await dataSource.getRepository(Item).count()).toBe(0)
  })

  it.each([
    ['notifies', `PERFORM pg_notify('items', NEW.id::text)`],
    [
      'uses a temporary table',
      'CREATE TEMPORARY TABLE IF NOT EXISTS seen (id int); INSERT INTO pg_temp.seen VALUES (NEW.id)',
    ],
  ])('of what a trigger does that %s is PREPARE_REFUSED, and writes nothing', async (_, action) => {
    const both = [{ id: 210 }, { id: 211 }]
    const trigger = async () => {
      for (const shard of ['item_left', 'item_right']) {
        await dataSource
          .shard(shard)
          .query(
            `CREATE FUNCTION ${shard}.heard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${action}; RETURN NEW; END $$`,
          )
        await dataSource
          .shard(shard)
          .query(`CREATE TRIGGER heard BEFORE INSERT ON ${shard}.item FOR EACH ROW EXECUTE FUNCTION ${shard}.heard()`)
      }
    }
    await over({ poolSize: 2 })
    await trigger()
    expect(await errorOf(dataSource.getRepository(Item).insert(both))).toMatchObject({
      code: 'PREPARE_REFUSED',
      details: { node: expect.any(String) },
    })
    expect(await dataSource.getRepository(Item).count()).toBe(0)
    await dataSource.destroy()
    await over({ poolSize: 2, transactions: 'best-effort' })
    await trigger()
    await dataSource.getRepository(Item).insert(both)
    expect(await dataSource.getRepository(Item).count()).toBe(2)
  })

  it('without the table of decisions is DECISION_LOG_MISSING, and writes nothing', async () => {
    await over({ poolSize: 2 })
    await dataSource.shard('item_left').query('ALTER TABLE sharding.decisions RENAME TO gone')
    await dataSource.shard('item_right').query('ALTER TABLE sharding.decisions RENAME TO gone')
    const both = [{ id: 300 }, { id: 301 }]
    expect(await errorOf(dataSource.getRepository(Item).insert(both))).toMatchObject({ code: 'DECISION_LOG_MISSING' })
    await dataSource.shard('item_left').query('ALTER TABLE sharding.gone RENAME TO decisions')
    await dataSource.shard('item_right').query('ALTER TABLE sharding.gone RENAME TO decisions')
    expect(await dataSource.getRepository(Item).countBy({ id: 300 })).toBe(0)
    await dataSource.getRepository(Item).insert(both)
  })
})
