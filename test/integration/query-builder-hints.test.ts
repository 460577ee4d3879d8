import { Brackets, type SelectQueryBuilder as Builder, SelectQueryBuilder } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  hash,
  ShardedDataSource,
  type ShardedDataSourceOptions,
  type ShardedRepository,
  ShardedSelectQueryBuilder,
} from '../../src/index'
import { Account, bank, Entry, ids, Setting, twelveAccounts } from '../parity/bank'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

describe('query builders of narrowed repositories', () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource
  let forbidding: ShardedDataSource
  const accounts = () => dataSource.getRepository(Account)
  const entries = () => dataSource.getRepository(Entry)
  const shardOf = (id: string) => dataSource.locate(Account, id).shard
  const onShardOf = (id: string) => ids.filter((one) => shardOf(one) === shardOf(id))
  const idsOf = async (builder: Builder<Account>) => (await builder.orderBy('a.id').getMany()).map(({ id }) => id)
  const open = async (options: Partial<ShardedDataSourceOptions> = {}) => {
    const [a = '', b = ''] = databases.nodes
    return new ShardedDataSource({
      type: 'postgres',
      entities: [...bank.entities],
      nodes: { a: { url: a }, b: { url: b } },
      groups: { account: { shards: hash({ shards: 4 }) } },
      ...options,
    }).initialize()
  }

  beforeAll(async () => {
    databases = await createDatabases(2)
    dataSource = await open()
    await dataSource.synchronize()
    forbidding = await open({ scatter: { reads: 'forbid', writes: 'forbid' } })
  })
  beforeEach(async () => {
    await accounts().clear({ cascade: true })
    await accounts().insert(twelveAccounts())
    await entries().insert(
      ids.flatMap((accountId, index) => [1, 2].map((n) => ({ accountId, amount: index * 10 + n }))),
    )
  })
  afterAll(async () => {
    await forbidding.destroy()
    await dataSource.destroy()
    await databases.drop()
  })

  it('are query builders of TypeORM, and so are their clones', () => {
    for (const builder of [
      accounts().createQueryBuilder('a'),
      dataSource.createQueryBuilder(Account, 'a'),
      dataSource.manager.createQueryBuilder(Account, 'a'),
      dataSource.createQueryBuilder(),
      accounts().onShard(shardOf('1')).createQueryBuilder('a'),
      accounts().withShardKey('1').createQueryBuilder('a').clone(),
      accounts().acrossShards().createQueryBuilder('a').subQuery(),
    ]) {
      expect(builder).toBeInstanceOf(SelectQueryBuilder)
      expect(builder).toBeInstanceOf(ShardedSelectQueryBuilder)
    }
  })

  describe('with a shard key', () => {
    it('read the rows of that key, whatever else is asked', async () => {
      const own = () => entries().withShardKey('5').createQueryBuilder('e')
      expect(await own().getCount()).toBe(2)
      expect(await own().where('e.amount > 0').orWhere('e.amount < 0').getCount()).toBe(2)
      expect(await own().clone().clone().getCount()).toBe(2)
      expect(await own().select('SUM(e.amount)::int', 'sum').getRawOne()).toEqual(
        await entries()
          .createQueryBuilder('e')
          .select('SUM(e.amount)::int', 'sum')
          .where({ accountId: '5' })
          .getRawOne(),
      )
      expect(
        await own()
          .where(new Brackets((qb) => qb.where('e.amount > 0').orWhere('1 = 1')))
          .getExists(),
      ).toBe(true)
      expect(await own().where({ accountId: '6' }).getCount()).toBe(0)
      const [page, count] = await own()
        .leftJoinAndSelect('e.account', 'a')
        .orderBy('e.amount')
        .take(1)
        .getManyAndCount()
      expect([page.map(({ accountId }) => accountId), count]).toEqual([['5'], 2])
    })

    it('ask one shard, also of subqueries that name no key', async () => {
      const nodes: string[] = []
      const stop = dataSource.onStatement(({ shard }) => nodes.push(shard ?? ''))
      const found = await accounts()
        .withShardKey('5')
        .createQueryBuilder('a')
        .where((qb) => `a.id IN ${qb.subQuery().select('e.accountId').from(Entry, 'e').getQuery()}`)
        .getMany()
      stop()
      expect(found.map(({ id }) => id)).toEqual(['5'])
      expect([...new Set(nodes)]).toEqual([shardOf('5')])
    })

    it('write the rows of that key', async () => {
      const own = () => entries().withShardKey('5').createQueryBuilder()
      const made = await own()
        .insert()
        .values([{ amount: 100 }, { amount: 101 }])
        .execute()
      expect(made.identifiers).toHaveLength(2)
      expect(await entries().countBy({ accountId: '5' })).toBe(4)
      expect(
        (await own().update().set({ note: 'n' }).where('amount > 0').orWhere('amount < 0').execute()).affected,
      ).toBe(4)
      expect((await own().update({ note: 'm' }).execute()).affected).toBe(4)
      expect(await entries().countBy({ note: 'm' })).toBe(4)
      expect((await own().delete().where('amount >= 100').execute()).affected).toBe(2)
      expect((await own().delete().execute()).affected).toBe(2)
      expect(await entries().countBy({ accountId: '5' })).toBe(0)
      expect(await entries().count()).toBe(22)
    })

    it('refuse a row of another shard, and a key of nobody', async () => {
      const elsewhere = ids.find((id) => shardOf(id) !== shardOf('5')) ?? ''
      const own = entries().withShardKey('5').createQueryBuilder()
      await expect(own.insert().values({ accountId: elsewhere, amount: 1 }).execute()).rejects.toMatchObject({
        code: 'WRONG_SHARD',
      })
      expect(() => entries().withShardKey(null).createQueryBuilder('e')).toThrow(/KEY_MISSING/)
    })
  })

  describe('on one shard', () => {
    it('read and write that shard', async () => {
      const mine = onShardOf('1')
      const here = () => accounts().onShard(shardOf('1')).createQueryBuilder('a')
      expect(await idsOf(here())).toEqual(mine)
      expect(await idsOf(here().clone().where('a.id IN (:...ids)', { ids }))).toEqual(mine)
      expect((await here().update().set({ owner: 'x' }).execute()).affected).toBe(mine.length)
      expect(await accounts().countBy({ owner: 'x' })).toBe(mine.length)
      expect((await here().delete().where('owner = :x', { x: 'x' }).execute()).affected).toBe(mine.length)
      expect(await accounts().count()).toBe(12 - mine.length)
    })

    it('take part in a transaction', async () => {
      const undone = dataSource.transaction(async (manager) => {
        const inside = manager.getRepository(Account) as ShardedRepository<Account>
        const here = () => inside.onShard(shardOf('1')).createQueryBuilder('a')
        expect((await here().update().set({ owner: 'x' }).execute()).affected).toBe(onShardOf('1').length)
        expect(await here().where({ owner: 'x' }).getCount()).toBe(onShardOf('1').length)
        expect(await inside.withShardKey('1').createQueryBuilder('a').where({ owner: 'x' }).getCount()).toBe(1)
        expect(await inside.countBy({ owner: 'x' })).toBe(onShardOf('1').length)
        throw new Error('undo')
      })
      await expect(undone).rejects.toThrow('undo')
      expect(await accounts().countBy({ owner: 'x' })).toBe(0)
    })

    it('refuse a row of another shard, and a shard of another group', async () => {
      const elsewhere = ids.find((id) => shardOf(id) !== shardOf('1')) ?? ''
      const here = accounts().onShard(shardOf('1')).createQueryBuilder('a')
      const insert = here.insert().values({ ...twelveAccounts()[0], id: elsewhere })
      await expect(insert.execute()).rejects.toMatchObject({ code: 'WRONG_SHARD' })
    })
  })

  it('pass the scatter policy where all shards are asked for', async () => {
    const repository = forbidding.getRepository(Account)
    await expect(repository.createQueryBuilder('a').getMany()).rejects.toMatchObject({ code: 'SCATTER_FORBIDDEN' })
    const all = () => repository.acrossShards().createQueryBuilder('a')
    expect(await idsOf(all())).toEqual(ids)
    expect(await all().clone().getCount()).toBe(12)
    expect(await all().leftJoinAndSelect('a.entries', 'e').orderBy('a.id').take(3).getMany()).toHaveLength(3)
    expect((await all().update().set({ owner: 'x' }).execute()).affected).toBe(12)
    expect((await all().delete().where("owner = 'y'").execute()).affected).toBe(0)
    const count = 'SELECT count(*)::int AS n FROM account'
    await expect(forbidding.manager.query(count)).rejects.toMatchObject({ code: 'SCATTER_FORBIDDEN' })
    expect(await forbidding.manager.acrossShards().query(count)).toEqual([{ n: 12 }])
    // A find that TypeORM itself does over all shards.
    const whole = { loadRelationIds: true, order: { id: 'ASC' } } as const
    await expect(repository.find(whole)).rejects.toMatchObject({ code: 'SCATTER_FORBIDDEN' })
    expect(await repository.acrossShards().find(whole)).toHaveLength(12)
  })

  it('explain what they would do, and run nothing', async () => {
    const texts: string[] = []
    const own = await accounts().withShardKey('5').createQueryBuilder('a').explain()
    expect(own).toMatchObject({ entity: 'Account', operation: 'query', shards: [shardOf('5')], steps: [] })
    expect(own.statements).toHaveLength(1)
    const page = () => accounts().createQueryBuilder('a').orderBy('a.balance', 'DESC').offset(2).limit(5)
    const plan = await page().explain()
    expect(plan.shards).toHaveLength(4)
    expect(plan.steps).toEqual(['merge 2 sorted answers', 'skip 2 rows', 'take 5 rows'])
    const stop = dataSource.onStatement(({ text }) => texts.push(text))
    await page().explain()
    expect(texts).toEqual([])
    await page().getMany()
    stop()
    expect([...texts].sort()).toEqual(plan.statements.map(({ text }) => text).sort())
    const sums = await accounts().createQueryBuilder('a').select('SUM(a.balance)', 's').groupBy('a.owner').explain()
    expect(sums.steps[0]).toBe('let one node finish the groups of the shards')
    const joined = await accounts().createQueryBuilder('a').leftJoinAndSelect('a.entries', 'e').take(2).explain()
    expect(joined.text).toContain('DISTINCT')
    const ids = await accounts().explain({ loadRelationIds: true })
    expect(ids).toMatchObject({ operation: 'find', entity: 'Account' })
    const nested = await accounts()
      .createQueryBuilder('a')
      .where((qb) => `a.owner IN ${qb.subQuery().select('b.owner').from(Account, 'b').getQuery()}`)
      .explain()
    expect(nested.steps.at(-1)).toBe('ask 4 shard(s) the whole, with the rows of its other parts in their places')
    const unsharded = await dataSource
      .createQueryBuilder(Setting, 's')
      .explain()
      .catch((error: unknown) => error)
    expect(unsharded).toMatchObject({ code: 'NOT_SHARDED' })
  })
})
