import { Client } from 'pg'
import { DataSource } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, ShardedDataSource, type ShardedDataSourceOptions } from '../../src/index'
import { Account, bank, ids, twelveAccounts } from '../parity/bank'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

const hour = 3_600_000

describe('the cache of results', () => {
  let databases: FreshDatabases
  let plain: DataSource
  let sharded: ShardedDataSource
  const open = async (cache: ShardedDataSourceOptions['cache']) => {
    const [a = '', b = ''] = databases.nodes
    return new ShardedDataSource({
      type: 'postgres',
      entities: [...bank.entities],
      nodes: { a: { url: a }, b: { url: b } },
      groups: { account: { shards: hash({ shards: 4 }) } },
      ...(cache !== undefined && { cache }),
    }).initialize()
  }
  const tables = async (url: string) => {
    const client = new Client({ connectionString: url })
    await client.connect()
    const { rows } = await client.query(`SELECT 1 FROM pg_tables WHERE tablename = 'query-result-cache'`)
    await client.end()
    return rows.length
  }

  beforeAll(async () => {
    databases = await createDatabases(2)
    const entities = [...bank.entities]
    plain = await new DataSource({ type: 'postgres', url: databases.oracle, entities, cache: true }).initialize()
    await plain.synchronize()
    sharded = await open(true)
    await sharded.synchronize()
  })
  beforeEach(async () => {
    for (const dataSource of [plain, sharded]) {
      await dataSource.queryResultCache?.clear()
      await dataSource.getRepository(Account).clear({ cascade: true })
      await dataSource.getRepository(Account).insert(twelveAccounts())
    }
  })
  afterAll(async () => {
    await plain.destroy()
    await sharded.destroy()
    await databases.drop()
  })

  it('has its table on the home node only, and keeps it over schema work', async () => {
    expect(await Promise.all(databases.nodes.map(tables))).toEqual([1, 0])
    await sharded.synchronize()
    expect(await Promise.all(databases.nodes.map(tables))).toEqual([1, 0])
  })

  it('answers as plain TypeORM does, from the cache and past it', async () => {
    const run = async (dataSource: DataSource) => {
      const repository = dataSource.getRepository(Account)
      const ask = async (cache: number | { id: string; milliseconds: number } | false) => [
        (await repository.find({ cache, order: { id: 'ASC' } })).map(({ id, owner }) => [id, owner]),
        (await repository.findAndCount({ cache, where: { owner: 'x' } }))[1],
        await repository.count({ cache }),
        (await repository.find({ cache, where: { id: '5' } })).length,
        await repository
          .createQueryBuilder('a')
          .cache(cache !== false, hour)
          .where("a.owner = 'x'")
          .getCount(),
      ]
      const first = await ask(hour)
      await repository.update({ id: '5' }, { owner: 'x' })
      await repository.delete({ id: '7' })
      return [first, await ask(hour), await ask(false)]
    }
    const answers = await run(sharded)
    expect(answers).toEqual(await run(plain))
    expect(answers[1]).toEqual(answers[0])
    expect(answers[2]).not.toEqual(answers[0])
  })

  it('is forgotten by identifier', async () => {
    const accounts = sharded.getRepository(Account)
    const ask = () => accounts.createQueryBuilder('a').cache('all', hour).getCount()
    expect(await ask()).toBe(12)
    await accounts.delete({ id: '7' })
    expect(await ask()).toBe(12)
    await sharded.queryResultCache?.remove(['all'])
    expect(await ask()).toBe(11)
  })

  it('never mixes shards', async () => {
    const accounts = sharded.getRepository(Account)
    const counts = async () => {
      const found: number[] = []
      for (const { name } of sharded.shards(Account)) {
        const cache = { id: 'same', milliseconds: hour }
        found.push((await accounts.onShard(name).find({ cache })).length)
        found.push(await accounts.onShard(name).createQueryBuilder('a').cache('count', hour).getCount())
        found.push(await sharded.shard(name).getRepository(Account).count({ cache: hour }))
      }
      return found
    }
    const first = await counts()
    expect(first.reduce((sum, one) => sum + one, 0)).toBe(3 * ids.length)
    expect(new Set(first).size).toBeGreaterThan(1)
    await accounts.deleteAll()
    expect(await counts()).toEqual(first)
  })

  it('is always asked where it is always enabled', async () => {
    const always = await open({ alwaysEnabled: true, duration: hour })
    const accounts = always.getRepository(Account)
    expect(await accounts.count()).toBe(12)
    await sharded.getRepository(Account).delete({ id: '7' })
    expect(await accounts.count()).toBe(12)
    expect(await accounts.count({ cache: false })).toBe(11)
    await always.destroy()
  })
})
