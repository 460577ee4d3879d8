import { Entity, In, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardedRepository, ShardKey } from '../../src/index'
import { Account, bank, Entry, ids, twelveAccounts } from '../parity/bank'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

/** Of a group of its own. */
@Entity()
@Sharded(hash({ shards: 2 }))
class Note {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number
}

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
      entities: [...bank.entities, Note],
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

  it('run raw SQL that names tables as the entities do on one shard, and on all in their order', async () => {
    const text = 'SELECT id FROM account WHERE balance > $1 ORDER BY id'
    const mine = onShardOf('1').map((id) => ({ id }))
    expect(await accounts().onShard(shardOf('1')).query(text, [0])).toEqual(mine)
    expect(await dataSource.manager.onShard(shardOf('1')).query(text, [0])).toEqual(mine)
    expect(await dataSource.manager.onShard(shardOf('1')).query(`EXPLAIN ${text.replace('$1', '0')}`)).not.toEqual([])
    const all = await accounts().acrossShards().query<{ shard: string; result: { id: string }[] }[]>(text, [0])
    expect(all).toEqual(
      dataSource.shards(Account).map(({ name }) => ({
        shard: name,
        result: ids.filter((id) => shardOf(id) === name).map((id) => ({ id })),
      })),
    )
    const elsewhere = ids.find((id) => shardOf(id) !== shardOf('1'))
    expect(await accounts().onShard(shardOf('1')).query('SELECT 1 FROM account WHERE id = $1', [elsewhere])).toEqual([])
    const database = 'SELECT current_database() AS name'
    expect(await accounts().onShard(shardOf('1')).query(database)).toEqual(
      await dataSource.shard(shardOf('1')).query(database),
    )
  })

  it('write by raw SQL on all shards, or on none', async () => {
    const balances = async () => (await accounts().find({ order: { id: 'ASC' } })).map(({ balance }) => balance)
    const before = await balances()
    const all = accounts().acrossShards()
    const last = dataSource.shards(Account).at(-1)?.name ?? ''
    const failing = ids.find((id) => shardOf(id) === last)
    for (const start of ['UPDATE account', 'UPDATE "__shard__"."account"', '-- all\nUPDATE account']) {
      const text = `${start} SET balance = balance / (CASE id WHEN $1 THEN 0 ELSE 2 END)`
      await expect(all.query(text, [failing])).rejects.toThrow('division by zero')
      expect(await balances()).toEqual(before)
    }
    // A row is of one shard: the first that it is not of refuses it.
    const insert = `INSERT INTO account (id, balance) VALUES ('777', 1)`
    await expect(all.query(insert)).rejects.toMatchObject({ code: 'WRONG_SHARD' })
    expect(await balances()).toEqual(before)
    await all.query('UPDATE account SET balance = balance + 1')
    expect(await balances()).toEqual(before.map((balance) => balance + 1))
  })

  it('run raw SQL on the rows of one key', async () => {
    const entries = dataSource.getRepository(Entry)
    await entries.insert(ids.map((accountId) => ({ accountId, amount: 1 })))
    const asked: string[] = []
    const stop = dataSource.onStatement(({ shard }) => asked.push(shard ?? ''))
    for (const own of [accounts().withShardKey('5'), dataSource.manager.withShardKey('5')]) {
      expect(await own.query('SELECT a.id FROM account a WHERE balance > $1 OR true', [0])).toEqual([{ id: '5' }])
      expect(await own.query('SELECT count(*)::int AS n FROM entry')).toEqual([{ n: 1 }])
      const joined = 'FROM entry e JOIN account ON account.id = e."accountId"'
      expect(
        await own.query(`SELECT account.id ${joined} WHERE account.id IN (SELECT "accountId" FROM entry)`),
      ).toEqual([{ id: '5' }])
      expect(await own.query('SELECT id FROM account WHERE id = 6')).toEqual([])
      expect(await own.query('UPDATE entry SET amount = amount + $1', [1])).toEqual([[], 1])
    }
    stop()
    expect([...new Set(asked)]).toEqual([shardOf('5')])
    expect(await entries.sum('amount')).toBe(14)
    expect(await dataSource.manager.withShardKey('5').query('DELETE FROM entry')).toEqual([[], 1])
    expect(await entries.count()).toBe(11)
    const insert = 'INSERT INTO entry ("accountId", amount) VALUES ($1, 7) RETURNING amount'
    expect(await entries.withShardKey('5').query(insert, ['5'])).toEqual([{ amount: 7 }])
  })

  it('run raw SQL of a hint inside a transaction and within limits', async () => {
    const undone = dataSource.transaction(async (manager) => {
      const inside = (manager.getRepository(Account) as ShardedRepository<Account>).withLimits({ deadlineMs: 10_000 })
      expect(await inside.withShardKey('1').query(`UPDATE account SET owner = 'x'`)).toEqual([[], 1])
      expect(await inside.onShard(shardOf('1')).query(`SELECT id FROM account WHERE owner = 'x'`)).toEqual([
        { id: '1' },
      ])
      throw new Error('undo')
    })
    await expect(undone).rejects.toThrow('undo')
    expect(await accounts().countBy({ owner: 'x' })).toBe(0)
    const signal = AbortSignal.abort(new Error('no more'))
    for (const limited of [accounts().withLimits({ signal }), accounts().onShard(shardOf('1')).withLimits({ signal })])
      await expect(limited.query('SELECT id FROM account')).rejects.toThrow('no more')
    await expect(accounts().withShardKey('1').withLimits({ signal }).query('SELECT id FROM account')).rejects.toThrow(
      'no',
    )
    await expect(accounts().acrossShards().withLimits({ signal }).query('SELECT id FROM account')).rejects.toThrow('no')
  })

  it('refuse raw SQL that a hint does not fit', async () => {
    const elsewhere = ids.find((id) => shardOf(id) !== shardOf('5'))
    const insert = `INSERT INTO account (id, owner) VALUES (${elsewhere}, 'x')`
    const { manager } = dataSource
    for (const hinted of [manager.withShardKey('5'), manager.onShard(shardOf('5'))])
      await expect(hinted.query(insert)).rejects.toMatchObject({ code: 'WRONG_SHARD' })
    expect(await accounts().countBy({ owner: 'x' })).toBe(0)
    const refused = async (query: Promise<unknown>, code: string) => expect(query).rejects.toMatchObject({ code })
    const other = dataSource.shards(Note)[0]?.name ?? ''
    await refused(manager.onShard(other).query('SELECT id FROM account'), 'SHARD_UNKNOWN')
    await refused(accounts().onShard(other).query('SELECT 1'), 'SHARD_UNKNOWN')
    await refused(manager.withShardKey('5').query('SELECT name FROM setting'), 'NOT_SHARDED')
    await refused(manager.withShardKey(null).query('SELECT id FROM account'), 'KEY_MISSING')
    await refused(manager.withShardKey('x').query('SELECT id FROM account'), 'KEY_INVALID')
    for (const text of [
      'SELECT s.name FROM setting s LEFT JOIN account a ON a.id = s.id',
      'WITH a AS (SELECT id FROM account) SELECT id FROM a',
      'SELECT id FROM account UNION SELECT id FROM account',
    ])
      await refused(manager.withShardKey('5').query(text), 'STATEMENT_UNSUPPORTED')
    const missing = manager.withShardKey('5').query('DELETE FROM entry WHERE amount = $1')
    await expect(missing).rejects.toThrow('there is no parameter $1')
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
