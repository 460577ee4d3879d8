import { AsyncLocalStorage } from 'node:async_hooks'
import type { EntityManager } from 'typeorm'
import {
  addTransactionalDataSource,
  deleteDataSourceByName,
  initializeTransactionalContext,
  Propagation,
  runInTransaction,
  StorageDriver,
} from 'typeorm-transactional'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, ShardedDataSource } from '../../src/index'
import { Account, bank, Entry, ids, Setting, twelveAccounts } from '../parity/bank'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

const requests = new AsyncLocalStorage<EntityManager | undefined>()
let databases: FreshDatabases
let dataSource: ShardedDataSource

const open = (options: { currentManager?: () => EntityManager | undefined }): ShardedDataSource =>
  new ShardedDataSource({
    type: 'postgres',
    entities: [...bank.entities],
    nodes: {
      a: { url: databases.nodes[0] ?? '', poolSize: 20 },
      b: { url: databases.nodes[1] ?? '', poolSize: 20 },
    },
    groups: { account: { shards: hash({ shards: 4 }) } },
    ...options,
  })

beforeAll(async () => {
  databases = await createDatabases(2)
  dataSource = open({ currentManager: () => requests.getStore() })
  await dataSource.initialize()
  await dataSource.synchronize()
})
beforeEach(async () => {
  await dataSource.getRepository(Entry).deleteAll()
  await dataSource.getRepository(Account).deleteAll()
  await dataSource.getRepository(Setting).deleteAll()
})
afterAll(async () => {
  await dataSource.destroy()
  await databases.drop()
})

/** What a request's middleware does: a transaction around its work. */
const inRequest = <T>(work: () => Promise<T>): Promise<T> =>
  requests.exit(() => dataSource.transaction((manager) => requests.run(manager, work)))

const tick = () => new Promise((resolve) => setTimeout(resolve, Math.random() * 5))

describe('currentManager', () => {
  it('puts repositories, managers, builders and SQL into the transaction of the request', async () => {
    const accounts = dataSource.getRepository(Account)
    const before = accounts.createQueryBuilder('a')
    await expect(
      inRequest(async () => {
        await accounts.save(twelveAccounts())
        await dataSource.manager.insert(Setting, { name: 'x' })
        expect(await accounts.count()).toBe(12)
        expect(await dataSource.getRepository(Account).findBy({ id: '3' })).toHaveLength(1)
        expect(await accounts.withShardKey('3').find()).toHaveLength(1)
        expect(await accounts.createQueryBuilder('a').getCount()).toBe(12)
        expect(await dataSource.createQueryBuilder(Account, 'a').getCount()).toBe(12)
        expect(await dataSource.createQueryBuilder().select('a').from(Account, 'a').getCount()).toBe(12)
        expect(await dataSource.query('SELECT count(*)::int AS n FROM account')).toEqual([{ n: 12 }])
        expect(await dataSource.manager.query('SELECT name FROM setting')).toEqual([{ name: 'x' }])
        // Asked outside, each of them sees nothing.
        expect(await requests.exit(() => accounts.count())).toBe(0)
        expect(await before.getCount()).toBe(0)
        throw new RangeError('undo')
      }),
    ).rejects.toThrow('undo')
    expect(await accounts.count()).toBe(0)
    expect(await dataSource.getRepository(Setting).count()).toBe(0)
  })

  it('remembers nothing of a request in what was made during it', async () => {
    const made = await inRequest(async () => {
      const accounts = dataSource.createEntityManager().getRepository(Account)
      await accounts.save(twelveAccounts())
      return { accounts, narrowed: accounts.acrossShards(), tree: dataSource.manager.getRepository(Account) }
    })
    for (const repository of Object.values(made)) {
      expect(await repository.count()).toBe(12)
      expect(await repository.createQueryBuilder('a').getCount()).toBe(12)
    }
  })

  it('keeps 50 requests apart', async () => {
    const accounts = dataSource.getRepository(Account)
    await accounts.save(ids.map((id) => ({ id, owner: 'nobody' })))
    const outcomes = await Promise.allSettled(
      Array.from({ length: 50 }, (_, n) =>
        inRequest(async () => {
          await tick()
          await dataSource.getRepository(Entry).insert({ accountId: String((n % 12) + 1), amount: n })
          await tick()
          // Its own row, and of the others only what they have committed.
          const seen = (await dataSource.getRepository(Entry).find()).map(({ amount }) => amount)
          expect(seen.filter((amount) => amount === n || amount % 2 === 1)).toEqual([n])
          if (n % 2) throw new RangeError('odd')
        }),
      ),
    )
    expect(outcomes.map(({ status }) => status)).toEqual(outcomes.map((_, n) => (n % 2 ? 'rejected' : 'fulfilled')))
    const entries = await dataSource.getRepository(Entry).find({ order: { amount: 'ASC' } })
    expect(entries.map(({ amount }) => amount)).toEqual(Array.from({ length: 25 }, (_, n) => 2 * n))
    expect(requests.getStore()).toBeUndefined()
  })

  it('nests: inner transactions are savepoints, a new one stands beside, the outer goes on after a throw', async () => {
    const accounts = dataSource.getRepository(Account)
    await inRequest(async () => {
      await accounts.insert({ id: '1', owner: 'outer' })
      await expect(
        dataSource.transaction(async (manager) =>
          requests.run(manager, async () => {
            await accounts.insert({ id: '2', owner: 'inner' })
            expect(await accounts.count()).toBe(2)
            throw new RangeError('inner')
          }),
        ),
      ).rejects.toThrow('inner')
      expect(await accounts.count()).toBe(1)
      await inRequest(async () => {
        expect(await accounts.count()).toBe(0)
        await accounts.insert({ id: '3', owner: 'beside' })
      })
      expect(await accounts.count()).toBe(2)
      await expect(requests.run(undefined, () => accounts.find())).resolves.toMatchObject([{ id: '3' }])
    })
    expect((await accounts.find({ order: { id: 'ASC' } })).map(({ owner }) => owner)).toEqual(['outer', 'beside'])
  })

  it('lets what was made for a query runner win', async () => {
    const runner = dataSource.createQueryRunner()
    try {
      await runner.startTransaction()
      await inRequest(async () => {
        await dataSource.getRepository(Account).insert({ id: '1', owner: 'request' })
        expect(await runner.manager.count(Account)).toBe(0)
        expect(await runner.manager.getRepository(Account).createQueryBuilder('a').getCount()).toBe(0)
      })
      await runner.rollbackTransaction()
    } finally {
      await runner.release()
    }
    expect(await dataSource.getRepository(Account).count()).toBe(1)
  })

  it('refuses work that is left behind when the transaction has ended', async () => {
    let late: Promise<unknown> = Promise.resolve()
    let go: () => void = () => undefined
    const ended = new Promise<void>((resolve) => {
      go = resolve
    })
    await inRequest(async () => {
      late = ended.then(() => dataSource.getRepository(Account).count())
    })
    go()
    await expect(late).rejects.toMatchObject({ code: 'CURRENT_MANAGER_INVALID' })
  })
})

describe('typeorm-transactional', () => {
  let transactional: ShardedDataSource
  beforeAll(async () => {
    initializeTransactionalContext({ storageDriver: StorageDriver.ASYNC_LOCAL_STORAGE })
    transactional = addTransactionalDataSource({ name: 'default', dataSource: open({}) }) as ShardedDataSource
    await transactional.initialize()
  })
  afterAll(async () => {
    deleteDataSourceByName('default')
    await transactional.destroy()
  })

  it('works as with a plain data source', async () => {
    const accounts = transactional.getRepository(Account)
    await expect(
      runInTransaction(async () => {
        await accounts.save(twelveAccounts())
        expect(await accounts.count()).toBe(12)
        expect(await accounts.withShardKey('3').find()).toHaveLength(1)
        expect(await accounts.withShardKey('3').createQueryBuilder('a').getCount()).toBe(1)
        expect(await transactional.query('SELECT count(*)::int AS n FROM account')).toEqual([{ n: 12 }])
        expect(await transactional.createQueryBuilder(Account, 'a').getCount()).toBe(12)
        await runInTransaction(() => accounts.count().then((n) => expect(n).toBe(0)), {
          propagation: Propagation.REQUIRES_NEW,
        })
        await expect(
          runInTransaction(
            async () => {
              await accounts.delete({ id: '1' })
              throw new RangeError('nested')
            },
            { propagation: Propagation.NESTED },
          ),
        ).rejects.toThrow('nested')
        expect(await accounts.count()).toBe(12)
        throw new RangeError('undo')
      }),
    ).rejects.toThrow('undo')
    expect(await accounts.count()).toBe(0)
    const outcomes = await Promise.allSettled(
      ids.map((id) =>
        runInTransaction(async () => {
          await accounts.insert({ id, owner: 'x' })
          await tick()
          if (Number(id) % 2) throw new RangeError('odd')
        }),
      ),
    )
    expect(outcomes.map(({ status }) => status)).toEqual(ids.map((id) => (Number(id) % 2 ? 'rejected' : 'fulfilled')))
    expect((await accounts.find()).map(({ id }) => Number(id) % 2)).toEqual([0, 0, 0, 0, 0, 0])
  })
})
