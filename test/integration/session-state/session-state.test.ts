import type { QueryRunner } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, ShardedDataSource } from '../../../src/index'
import { Account, bank, Setting, twelveAccounts } from '../../parity/bank'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

describe('session state over two nodes', () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource
  const open = async (options: object = {}): Promise<ShardedDataSource> => {
    const [a = '', b = ''] = databases.nodes
    return new ShardedDataSource({
      type: 'postgres',
      entities: [...bank.entities],
      nodes: { a: { url: a }, b: { url: b } },
      groups: { account: { shards: hash({ shards: 6 }) } },
      ...options,
    }).initialize()
  }
  const byRunner = async <T>(work: (runner: QueryRunner) => Promise<T>, source = dataSource): Promise<T> => {
    const runner = source.createQueryRunner()
    try {
      return await work(runner)
    } finally {
      await runner.release()
    }
  }

  beforeAll(async () => {
    databases = await createDatabases(2)
    dataSource = await open()
    await dataSource.synchronize()
    await dataSource.getRepository(Account).insert(twelveAccounts())
  })
  afterAll(async () => {
    await dataSource.destroy()
    await databases.drop()
  })

  it.each([
    'BEGIN',
    'COMMIT',
    'SAVEPOINT a',
    "SET app.x = '1'",
    "SELECT set_config('app.x', '1', false)",
    'SET ROLE postgres',
    'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY',
    'LISTEN news',
    'PREPARE p AS SELECT 1',
    'CREATE TEMP TABLE t (n int)',
    'SELECT 1 AS n INTO TEMPORARY t',
    'BEGIN; DELETE FROM account',
    "PREPARE TRANSACTION 'x'",
  ])('%s is refused where it would stay in a connection of the pool', async (text) => {
    for (const send of [
      () => dataSource.query(text),
      () => dataSource.manager.query(text),
      () => dataSource.getRepository(Setting).query(text),
      () => dataSource.shard(dataSource.shards()[0]?.name ?? '').query(text),
    ])
      await expect(send()).rejects.toMatchObject({ code: 'SESSION_NEEDS_RUNNER', labels: ['no-writes'] })
    expect(await dataSource.getRepository(Account).count()).toBe(12)
  })

  it.each([
    "SET LOCAL app.x = '1'",
    'RESET ALL',
    "SELECT set_config('app.x', '1', true) AS v",
    "SELECT pg_notify('news', 'x')",
    'NOTIFY news',
    'SELECT pg_advisory_xact_lock(1)',
    'DEALLOCATE ALL',
    'DISCARD ALL',
    'SET TRANSACTION READ ONLY',
  ])('%s leaves nothing behind, and is sent', async (text) => {
    await expect(dataSource.query(text)).resolves.toBeDefined()
  })

  it.each([
    ["PREPARE TRANSACTION 'x'", 'PREPARE TRANSACTION'],
    ["SET TRANSACTION SNAPSHOT '00000003-0000001B-1'", 'SET TRANSACTION SNAPSHOT'],
    ['PREPARE p AS SELECT * FROM account', 'PREPARE with the sharded table account'],
    ['DECLARE c CURSOR FOR SELECT * FROM account', 'DECLARE with the sharded table account'],
    ['CREATE TEMP TABLE t AS SELECT * FROM account', 'CREATE TEMPORARY with the sharded table account'],
    ['SELECT pg_advisory_xact_lock(balance) FROM account', 'pg_advisory_xact_lock() with the sharded table account'],
    ["SELECT set_config('app.x', owner, true) FROM account", 'set_config() with the sharded table account'],
    [
      "SELECT set_config('app.x', (SELECT owner FROM account WHERE id = '1'), true)",
      'set_config() with the sharded table account',
    ],
  ])('%s cannot hold on several nodes', async (text, statement) => {
    await byRunner(async (runner) => {
      await runner.startTransaction()
      await expect(runner.query(text)).rejects.toMatchObject({
        code: 'SESSION_STATEMENT_UNSUPPORTED',
        details: { statement },
      })
    })
  })

  it('constraints of sharded tables are set all at once', async () => {
    const [foreignKey] = dataSource.getMetadata('Entry').foreignKeys
    await dataSource.transaction(async (manager) => {
      await expect(manager.query(`SET CONSTRAINTS "${foreignKey?.name}" DEFERRED`)).rejects.toMatchObject({
        code: 'SESSION_STATEMENT_UNSUPPORTED',
      })
      await manager.query('SET CONSTRAINTS ALL DEFERRED')
    })
  })

  it.each([
    "SET LOCAL DateStyle = 'German'",
    'SET LOCAL extra_float_digits = 0',
    "SELECT set_config('extra_float_digits', '-1', true)",
    'SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE',
    "SELECT set_config(name, 'x', true) FROM (VALUES ('app.x')) v(name)",
  ])('%s holds for unsharded tables, and shards are not read with it', async (text) => {
    await byRunner(async (runner) => {
      await runner.startTransaction()
      await runner.query(text)
      expect(await runner.manager.count(Setting)).toBe(0)
      for (const read of [
        () => runner.manager.count(Account),
        () => runner.manager.findOneBy(Account, { id: '1' }),
        () => runner.query('SELECT * FROM account'),
      ])
        await expect(read()).rejects.toMatchObject({ code: 'SESSION_NOT_HELD' })
      await runner.rollbackTransaction()
      expect(await runner.manager.count(Account)).toBe(12)
    })
  })

  it.each([
    ['search_path', "SET LOCAL search_path = 'public'"],
    ['datestyle', "SET LOCAL DateStyle = 'German'"],
    ['extra_float_digits', "SELECT set_config('extra_float_digits', '-1', true)"],
  ])('%s is set back, and shards are read: that is the way out', async (name, text) => {
    await byRunner(async (runner) => {
      await runner.startTransaction()
      await runner.query(text)
      const refused = await runner.manager.count(Account).catch((error: Error) => error.message)
      expect(refused).toContain(`RESET ${name} before what reads shards, or read them in another transaction.`)
      expect(refused).not.toContain('SET LOCAL')
      await runner.query(`RESET ${name}`)
      expect(await runner.manager.count(Account)).toBe(12)
      expect(await runner.query('SELECT count(*)::int AS n FROM account')).toEqual([{ n: 12 }])
      await runner.commitTransaction()
      expect(await runner.manager.count(Account)).toBe(12)
    })
  })

  it('what a session was told outside of a transaction is not lost on shards: they are read in transactions only', async () => {
    await byRunner(async (runner) => {
      await runner.query("SET app.owner = 'a'")
      for (const read of [
        () => runner.manager.count(Account),
        () => runner.manager.createQueryBuilder(Account, 'a').getMany(),
        () => runner.query('SELECT * FROM account'),
        () => runner.manager.save(Account, { id: '99', owner: 'x' }),
      ])
        await expect(read()).rejects.toMatchObject({
          code: 'SESSION_NOT_HELD',
          details: { settings: ['app.owner'] },
        })
      expect(await runner.query("SELECT current_setting('app.owner') AS v")).toEqual([{ v: 'a' }])
      await runner.startTransaction()
      expect(await runner.query("SELECT DISTINCT current_setting('app.owner') AS v FROM account")).toEqual([{ v: 'a' }])
      await runner.commitTransaction()
    })
    expect(await dataSource.getRepository(Account).countBy({ id: '99' })).toBe(0)
  })

  it('a node that cannot take over what was set says so, and nothing was written there', async () => {
    const onB = idOn(dataSource.shards(Account).find(({ node }) => node === 'b')?.name)
    const role = `only_a_${Date.now()}`
    await dataSource.query(`CREATE ROLE ${role}`)
    try {
      // Where both nodes are of one server, the role is there, and may not read.
      const [a, b] = databases.nodes.map((url) => new URL(url).host)
      await byRunner(async (runner) => {
        await runner.startTransaction()
        await runner.query(`SET LOCAL ROLE ${role}`)
        await expect(runner.query(`SELECT * FROM account WHERE id = ${onB}`)).rejects.toMatchObject(
          a === b ? { code: '42501' } : { code: 'SESSION_NOT_HELD', details: { node: 'b' }, cause: { code: '22023' } },
        )
      })
    } finally {
      await dataSource.query(`DROP ROLE ${role}`)
    }
  })
  const idOn = (shard: string | undefined): string =>
    twelveAccounts().find(({ id }) => dataSource.locate(Account, id).shard === shard)?.id ?? '1'

  it('costs a transaction on one shard no message more', async () => {
    const sent: string[] = []
    const off = dataSource.onStatement(({ node, text }) => void sent.push(`${node}: ${text}`))
    await dataSource.transaction(async (manager) => {
      await manager.query('SELECT set_config($1, $2, true)', ['app.owner', "it's"])
      await manager.findOneBy(Account, { id: idOn(dataSource.shards(Account).find(({ node }) => node === 'b')?.name) })
    })
    off()
    expect(sent.map((text) => text.replace(/SELECT "[\s\S]*/, 'SELECT …'))).toEqual([
      `b: START TRANSACTION\n;SELECT pg_catalog.set_config('app.owner', 'it''s', true)`,
      'b: SELECT …',
      'b: COMMIT',
    ])
  })

  it('settings hold in a transaction of one shard wherever that is', async () => {
    const single = await open({ transactions: 'single-shard' })
    try {
      for (const { id } of twelveAccounts())
        await single.transaction(async (manager) => {
          await manager.query("SET LOCAL TimeZone = 'Asia/Tokyo'")
          const [row] = await manager.query('SELECT current_setting($2) AS v FROM account WHERE id = $1', [
            id,
            'TimeZone',
          ])
          expect(row).toEqual({ v: 'Asia/Tokyo' })
        })
    } finally {
      await single.destroy()
    }
  })

  it('a notification of a transaction that is not committed is never sent', async () => {
    const seen: string[] = []
    await byRunner(async (listener) => {
      const { client } = (await listener.connect()).connection
      client.on('notification', ({ payload }: { payload: string }) => void seen.push(payload))
      await listener.query('LISTEN orders')
      for (const outcome of ['COMMIT', 'ROLLBACK'])
        await byRunner(async (runner) => {
          await runner.query('BEGIN')
          await runner.query("SELECT pg_notify('orders', $1)", [outcome])
          await runner.query('UPDATE account SET balance = balance + 1')
          await runner.query(outcome)
        })
      await listener.query('SELECT 1')
      await expect.poll(() => seen).toEqual(['COMMIT'])
    })
  })
})
