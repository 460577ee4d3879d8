import { In } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, ShardedDataSource, ShardedRepository } from '../../src/index'
import { Account, bank, Entry, ids, twelveAccounts } from '../parity/bank'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

describe('repositories narrowed to shards', () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource
  const accounts = () => dataSource.getRepository(Account)
  const shardOf = (id: string) => dataSource.locate(Account, id).shard
  const onShardOf = (id: string) => ids.filter((one) => shardOf(one) === shardOf(id))

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    dataSource = await new ShardedDataSource({
      type: 'postgres',
      entities: [...bank.entities],
      nodes: { a: { url: a }, b: { url: b } },
      groups: { account: { shards: hash({ shards: 4 }) } },
    }).initialize()
    await dataSource.synchronize()
  })
  beforeEach(async () => {
    await accounts().clear({ cascade: true })
    await accounts().insert(twelveAccounts())
  })
  afterAll(async () => {
    await dataSource.destroy()
    await databases.drop()
  })

  it('read and write one shard', async () => {
    const here = accounts().onShard(shardOf('1'))
    const mine = onShardOf('1')
    expect(await here.count()).toBe(mine.length)
    expect((await here.find({ order: { id: 'ASC' } })).map(({ id }) => id)).toEqual(mine)
    const elsewhere = ids.find((id) => !mine.includes(id)) ?? ''
    expect(await here.findOneBy({ id: elsewhere })).toBeNull()
    expect((await here.updateAll({ owner: 'x' })).affected).toBe(mine.length)
    expect((await here.delete({ id: In(ids) })).affected).toBe(mine.length)
    expect(await accounts().countBy({ owner: 'x' })).toBe(0)
    expect(await accounts().count()).toBe(12 - mine.length)
    const built = await accounts().onShard(shardOf('2')).createQueryBuilder('a').where('a.balance > 0').getCount()
    expect(built).toBe(await accounts().onShard(shardOf('2')).count())
  })

  it('read and write the rows of one key', async () => {
    const entries = dataSource.getRepository(Entry).withShardKey('5')
    expect(await entries.save({ amount: 1 })).toMatchObject({ accountId: '5' })
    await entries.insert([{ amount: 2 }, { amount: 3 }])
    await dataSource.getRepository(Entry).insert({ accountId: '6', amount: 9 })
    expect(await entries.find({ order: { amount: 'DESC' } })).toMatchObject([
      { amount: 3 },
      { amount: 2 },
      { amount: 1 },
    ])
    expect(await entries.sum('amount')).toBe(6)
    expect((await entries.updateAll({ note: 'n' })).affected).toBe(3)
    expect((await entries.deleteAll()).affected).toBe(3)
    expect(await dataSource.getRepository(Entry).find()).toMatchObject([{ accountId: '6', note: '' }])
  })

  it('run raw SQL on one shard, and on all in their order', async () => {
    const text = 'SELECT count(*)::int AS count FROM "__shard__"."account" WHERE balance > $1'
    expect(await accounts().onShard(shardOf('1')).query(text, [0])).toEqual([{ count: onShardOf('1').length }])
    const all = await accounts().acrossShards().query<{ shard: string; result: { count: number }[] }[]>(text, [0])
    expect(all.map(({ shard }) => shard)).toEqual(dataSource.shards(Account).map(({ name }) => name))
    expect(all.reduce((sum, { result }) => sum + (result[0]?.count ?? 0), 0)).toBe(12)
  })

  it('keep the class and what extends it', () => {
    const extended = accounts().extend({ answer: () => 42 })
    for (const narrowed of [extended.onShard(shardOf('1')), extended.withShardKey('1'), extended.acrossShards()]) {
      expect(narrowed).toBeInstanceOf(ShardedRepository)
      expect(narrowed.answer()).toBe(42)
    }
  })

  it('take part in a transaction', async () => {
    await expect(
      dataSource.transaction(async (manager) => {
        const inside = manager.getRepository(Account) as ShardedRepository<Account>
        await inside.onShard(shardOf('1')).updateAll({ owner: 'x' })
        expect(await inside.countBy({ owner: 'x' })).toBe(onShardOf('1').length)
        expect(await inside.acrossShards().count()).toBe(12)
        throw new Error('undo')
      }),
    ).rejects.toThrow('undo')
    expect(await accounts().countBy({ owner: 'x' })).toBe(0)
  })

  it('explain what they would do', async () => {
    const keyed = await accounts().explain({ where: { id: '5' } })
    expect(keyed.shards).toEqual([shardOf('5')])
    expect(keyed.statements).toHaveLength(1)
    const scatter = await accounts().explain({ order: { balance: 'DESC' }, take: 5, skip: 2 })
    expect(scatter.statements.map(({ node }) => node).sort()).toEqual(['a', 'b'])
    expect(scatter.steps).toEqual(['merge 2 sorted answers', 'skip 2 rows', 'take 5 rows', 'make entities of the page'])
    expect(scatter.text).toContain('find Account')
  })
})
