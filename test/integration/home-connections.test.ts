import { once } from 'node:events'
import { DataSource } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, ShardedDataSource } from '../../src/index'
import { Account, bank, Setting, twelveAccounts } from '../parity/bank'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

type Work = (dataSource: DataSource, index: number) => Promise<unknown>

const joined = (dataSource: DataSource) =>
  dataSource.getRepository(Account).createQueryBuilder('a').orderBy('a.id', 'ASC')

/** What reads or writes shards, and needs the home node beside them. */
const statements: readonly (readonly [string, Work])[] = [
  [
    'a join of an unsharded table',
    (dataSource) =>
      joined(dataSource)
        .innerJoin(Setting, 's', 's.value = a.balance')
        .select(['a.id AS id', 's.name AS name'])
        .getRawMany(),
  ],
  [
    'entities with an unsharded one each',
    async (dataSource) => {
      const accounts = await joined(dataSource)
        .leftJoinAndMapOne('a.setting', Setting, 's', 's.value = a.balance')
        .getMany()
      return accounts.map((account) => [account.id, (account as { setting?: Setting }).setting?.name])
    },
  ],
  [
    'groups beside a count of an unsharded table',
    (dataSource) =>
      dataSource.query(
        'SELECT owner, sum(balance)::int AS sum, (SELECT count(*)::int FROM setting) AS n FROM account GROUP BY owner ORDER BY owner',
      ),
  ],
  [
    'a stream of a join',
    async (dataSource) => {
      const rows = await joined(dataSource)
        .innerJoin(Setting, 's', 's.value = a.balance')
        .select(['a.id AS id', 's.name AS name'])
        .stream()
      const names: unknown[] = []
      rows.on('data', (row) => names.push((row as unknown as { name: string }).name))
      await once(rows, 'end')
      return names
    },
  ],
  [
    'an update from an unsharded table',
    async (dataSource) => {
      const [, affected] = await dataSource.query(
        'UPDATE account SET owner = s.name FROM setting s WHERE s.value = account.balance',
      )
      return affected
    },
  ],
  [
    'an insert that asks an unsharded table',
    (dataSource, index) =>
      dataSource.query('INSERT INTO account (id, owner) VALUES ($1, (SELECT max(name) FROM setting)) RETURNING owner', [
        1000 + index,
      ]),
  ],
]

/** What a caller does with a query runner of its own, which keeps the connection of the home node. */
const withRunner: readonly (readonly [string, Work])[] = [
  [
    'a scatter behind a query of the home node',
    (dataSource) =>
      onRunner(dataSource, async (runner) => {
        await runner.query('SELECT 1')
        return [await runner.manager.count(Account), await runner.query('SELECT sum(balance)::int AS n FROM account')]
      }),
  ],
  [
    'reads of one shard each behind connect()',
    (dataSource) =>
      onRunner(dataSource, async (runner) => {
        await runner.connect()
        const owners: unknown[] = []
        for (const { id } of twelveAccounts()) owners.push((await runner.manager.findOneBy(Account, { id }))?.owner)
        return owners
      }),
  ],
  [
    'a join behind connect()',
    (dataSource) =>
      onRunner(dataSource, async (runner) => {
        await runner.connect()
        return runner.query('SELECT a.id, s.name FROM account a JOIN setting s ON s.value = a.balance ORDER BY a.id')
      }),
  ],
]

async function onRunner<T>(
  dataSource: DataSource,
  work: (runner: ReturnType<DataSource['createQueryRunner']>) => Promise<T>,
): Promise<T> {
  const runner = dataSource.createQueryRunner()
  try {
    return await work(runner)
  } finally {
    await runner.release()
  }
}

const burst = async (dataSource: DataSource, work: Work): Promise<readonly unknown[]> =>
  (await Promise.allSettled(Array.from({ length: 20 }, (_, index) => work(dataSource, index)))).map((one) =>
    one.status === 'fulfilled' ? one.value : String(one.reason),
  )

describe('connections of the home node beside those of a scatter', () => {
  let databases: FreshDatabases
  let plain: DataSource
  const sharded = new Map<number, ShardedDataSource>()

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    plain = new DataSource({
      type: 'postgres',
      url: databases.oracle,
      entities: [...bank.entities],
      poolSize: 1,
      connectTimeoutMS: 3000,
    })
    for (const poolSize of [1, 3]) {
      sharded.set(
        poolSize,
        new ShardedDataSource({
          type: 'postgres',
          entities: [...bank.entities],
          nodes: { a: { url: a, poolSize }, b: { url: b, poolSize } },
          connectTimeoutMS: 3000,
          groups: { account: { shards: hash({ shards: 4 }) } },
        }),
      )
    }
    for (const dataSource of [plain, ...sharded.values()]) await dataSource.initialize()
    for (const dataSource of [plain, sharded.get(3)]) {
      await dataSource?.synchronize()
      await dataSource?.getRepository(Setting).save([
        { name: 'x', value: 20 },
        { name: 'y', value: 70 },
        { name: 'z', value: 90 },
      ])
    }
  })
  beforeEach(async () => {
    for (const dataSource of [plain, sharded.get(3)]) {
      await dataSource?.getRepository(Account).clear({ cascade: true })
      await dataSource?.getRepository(Account).insert(twelveAccounts())
    }
  })
  afterAll(async () => {
    for (const dataSource of [plain, ...sharded.values()]) await dataSource.destroy()
    await databases.drop()
  })

  describe.each([1, 3])('in a pool of %i', (poolSize) => {
    it.each([...statements, ...withRunner])('answers twenty at once: %s', async (_, work) => {
      const dataSource = sharded.get(poolSize)
      if (!dataSource) throw new RangeError('There is a data source of each size.')
      expect(await burst(dataSource, work)).toEqual(await burst(plain, work))
    })
  })
})
