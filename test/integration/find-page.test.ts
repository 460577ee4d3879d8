import { AfterLoad, Column, Entity, In, MoreThan, PrimaryColumn, VirtualColumn } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  hash,
  maxPageSize,
  type Page,
  type PageOptions,
  Sharded,
  ShardedDataSource,
  type ShardedDataSourceOptions,
  type ShardedEntityManager,
  ShardKey,
  type StatementEvent,
} from '../../src/index'
import { Account, bank, Entry, ids, Setting, twelveAccounts } from '../parity/bank'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

const secret = 'sixteen bytes or more'
const idsOf = (page: Page<{ id: string | number }>): number[] => page.rows.map(({ id }) => Number(id))

const heard: string[] = []

/** Unsharded. */
@Entity()
class Measure {
  @PrimaryColumn('int')
  id!: number

  @Column('double precision')
  value!: number

  @AfterLoad()
  loaded(): void {
    heard.push(`measure ${this.id}`)
  }
}

@Entity()
@Sharded(hash({ shards: 4 }))
class Level {
  @PrimaryColumn('int')
  id!: number

  @ShardKey()
  @Column('int')
  tenant!: number

  @VirtualColumn({ type: 'int', query: (alias) => `${alias}."id" * 2` })
  twice!: number

  @AfterLoad()
  loaded(): void {
    heard.push(`level ${this.id}`)
  }
}

describe('findPage', () => {
  let databases: FreshDatabases
  const opened: ShardedDataSource[] = []
  let dataSource: ShardedDataSource
  const events: StatementEvent[] = []
  const accounts = () => dataSource.getRepository(Account)

  const open = async (options: Partial<ShardedDataSourceOptions> = {}): Promise<ShardedDataSource> => {
    const [a = '', b = ''] = databases.nodes
    const one = await new ShardedDataSource({
      type: 'postgres',
      entities: [...bank.entities, Measure, Level],
      nodes: { a: { url: a }, b: { url: b } },
      groups: { account: { shards: hash({ shards: 4 }) } },
      cursors: { secret },
      ...options,
    }).initialize()
    opened.push(one)
    return one
  }

  beforeAll(async () => {
    databases = await createDatabases(2)
    dataSource = await open()
    await dataSource.synchronize()
    dataSource.onStatement((event) => events.push(event))
  })
  beforeEach(async () => {
    await accounts().clear({ cascade: true })
    await accounts().insert(twelveAccounts())
    await dataSource
      .getRepository(Entry)
      .insert(ids.flatMap((accountId) => [1, 2, 3].map((amount) => ({ accountId, amount }))))
    await dataSource.getRepository(Setting).clear()
    await dataSource.getRepository(Setting).save(ids.map((id) => ({ name: `setting ${id}`, value: Number(id) % 3 })))
    events.length = 0
  })
  afterAll(async () => {
    for (const one of opened) await one.destroy()
    await databases.drop()
  })

  it('gives rows, cursors and what Relay asks for, frozen', async () => {
    const first = await accounts().findPage({ order: { balance: 'DESC' }, take: 5 })
    expect(idsOf(first)).toEqual([12, 11, 10, 9, 8])
    expect(first.rows[0]).toBeInstanceOf(Account)
    expect(first).toMatchObject({ hasNextPage: true, hasPreviousPage: false })
    expect(first.edges.map(({ node }) => node)).toEqual(first.rows)
    expect(first.edges[0]?.cursor).toBe(first.startCursor)
    expect(first.edges[4]?.cursor).toBe(first.endCursor)
    expect(new Set(first.edges.map(({ cursor }) => cursor)).size).toBe(5)
    const { startCursor, endCursor, hasNextPage, hasPreviousPage } = first
    expect(first.pageInfo).toEqual({ startCursor, endCursor, hasNextPage, hasPreviousPage })
    for (const value of [first, first.rows, first.edges, first.edges[0], first.pageInfo])
      expect(Object.isFrozen(value)).toBe(true)
    expect(JSON.parse(JSON.stringify(first))).toMatchObject({ endCursor, hasNextPage: true })

    const second = await accounts().findPage({ order: { balance: 'DESC' }, take: 5, after: endCursor })
    expect(idsOf(second)).toEqual([7, 6, 5, 4, 3])
    const third = await accounts().findPage({ order: { balance: 'DESC' }, take: 5, after: second.endCursor })
    expect(idsOf(third)).toEqual([2, 1])
    expect(third).toMatchObject({ hasNextPage: false, hasPreviousPage: true })
    const none = await accounts().findPage({ order: { balance: 'DESC' }, take: 5, after: third.endCursor })
    expect(none).toMatchObject({ rows: [], startCursor: null, endCursor: null, hasNextPage: false, edges: [] })

    const back = await accounts().findPage({ order: { balance: 'DESC' }, take: 2, before: third.startCursor ?? '' })
    expect([idsOf(back), back.hasPreviousPage, back.hasNextPage]).toEqual([[4, 3], true, true])
    const last = await accounts().findPage({ order: { balance: 'DESC' }, take: 3, last: true })
    expect([idsOf(last), last.hasPreviousPage, last.hasNextPage]).toEqual([[3, 2, 1], true, false])
    const all = await accounts().findPage({
      order: { balance: 'DESC' },
      take: maxPageSize,
      before: last.startCursor,
      last: true,
    })
    expect([idsOf(all), all.hasPreviousPage]).toEqual([[12, 11, 10, 9, 8, 7, 6, 5, 4], false])
  })

  it('tells listeners of the rows of the page, and not of the one after it', async () => {
    heard.length = 0
    const measures = dataSource.getRepository(Measure)
    await measures.clear()
    await measures.insert([1, 2, 3].map((id) => ({ id, value: id })))
    const levels = dataSource.getRepository(Level)
    await levels.clear()
    await levels.insert([1, 2, 3].map((id) => ({ id, tenant: id })))
    expect(idsOf(await measures.findPage({ take: 2 }))).toEqual([1, 2])
    // The column that a query computes has the page made by SQL.
    expect(idsOf(await levels.findPage({ take: 2 }))).toEqual([1, 2])
    expect(
      idsOf(await levels.onShard(dataSource.locate(Level, 1).shard).findPage({ take: 2, where: { tenant: 1 } })),
    ).toEqual([1])
    expect(heard).toEqual(['measure 1', 'measure 2', 'level 1', 'level 2', 'level 1'])
  })

  it('orders by the primary key where nothing is asked, and works for unsharded entities', async () => {
    expect(idsOf(await accounts().findPage({ take: 3 }))).toEqual([1, 2, 3])
    const settings = dataSource.getRepository(Setting)
    const options = { where: { value: In([1, 2]) }, order: { value: 'DESC' }, take: 3 } as const
    const all = await settings.find({ where: options.where, order: { value: 'DESC', id: 'DESC' } })
    const seen: Setting[] = []
    let page = await settings.findPage(options)
    for (seen.push(...page.rows); page.hasNextPage; seen.push(...page.rows))
      page = await settings.findPage({ ...options, after: page.endCursor })
    expect(seen).toEqual(all)
    expect(seen).toHaveLength(8)
  })

  it('takes the filter of each page, since a cursor is a place in an order', async () => {
    const page = await accounts().findPage({ where: { owner: 'a' }, take: 2 })
    expect(idsOf(page)).toEqual([1, 4])
    const other = await accounts().findPage({ where: { owner: 'b' }, take: 2, after: page.endCursor })
    expect(idsOf(other)).toEqual([5, 8])
  })

  it('goes on where the row of the cursor is gone, changed or its shard left the route', async () => {
    const page = await accounts().findPage({ order: { balance: 'ASC' }, take: 4 })
    await accounts().delete({ id: '4' })
    await accounts().insert({ id: '13', owner: 'n', balance: 45 })
    const next = await accounts().findPage({ order: { balance: 'ASC' }, take: 3, after: page.endCursor })
    expect(idsOf(next)).toEqual([13, 5, 6])
    const one = await accounts().findPage({
      where: { id: '9' },
      order: { balance: 'ASC' },
      take: 3,
      after: next.endCursor,
    })
    expect(idsOf(one)).toEqual([9])
  })

  it('loads relations of the rows of the page, and counts rows of the entity', async () => {
    const options = { relations: { entries: true }, order: { balance: 'ASC' }, take: 5 } as const
    const page = await accounts().findPage(options)
    expect(page.rows.map(({ id, entries }) => [id, entries.length])).toEqual(ids.slice(0, 5).map((id) => [id, 3]))
    const entries = await dataSource
      .getRepository(Entry)
      .findPage({ relations: { account: true }, order: { account: { balance: 'DESC' }, amount: 'ASC' }, take: 4 })
    expect(entries.rows.map(({ account, amount }) => [account.id, amount])).toEqual([
      ['12', 1],
      ['12', 2],
      ['12', 3],
      ['11', 1],
    ])
    const more = await dataSource
      .getRepository(Entry)
      .findPage({ order: { account: { balance: 'DESC' }, amount: 'ASC' }, take: 2, after: entries.endCursor })
    expect(more.rows.map(({ accountId, amount }) => [accountId, amount])).toEqual([
      ['11', 2],
      ['11', 3],
    ])
  })

  it('gives what is selected and no key besides', async () => {
    const page = await accounts().findPage({ select: { owner: true }, order: { balance: 'DESC' }, take: 3 })
    expect(page.rows.map((row) => ({ ...row }))).toEqual([{ owner: 'c' }, { owner: 'b' }, { owner: 'a' }])
    const next = await accounts().findPage({
      select: { owner: true },
      order: { balance: 'DESC' },
      take: 1,
      after: page.endCursor,
    })
    expect(next.rows.map((row) => ({ ...row }))).toEqual([{ owner: 'c' }])
  })

  it.each([undefined, { entries: true }])(
    'leaves out rows of which a find makes no entity, and goes on behind them, with relations %j',
    async (relations) => {
      await accounts().update({ id: In(['3', '8']) }, { rate: '1.5' })
      const options = { select: { rate: true }, order: { balance: 'ASC' }, ...(relations && { relations }) } as const
      const found = await accounts().find(options)
      expect(found.map(({ rate }) => rate)).toEqual(['1.5000', '1.5000'])
      const pages: (readonly Account[])[] = []
      let after: string | null = null
      for (let goesOn = true; goesOn && pages.length < 9; ) {
        const page: Page<Account> = await accounts().findPage({ ...options, take: 2, after })
        pages.push(page.rows)
        after = page.endCursor
        goesOn = page.hasNextPage
      }
      expect(pages.map((rows) => rows.length)).toEqual([0, 1, 0, 1, 0, 0])
      expect(pages.flat()).toEqual(found)
      const end = await accounts().findPage({ ...options, take: 4, last: true })
      expect([end.rows, end.hasPreviousPage]).toEqual([[], true])
      const before = await accounts().findPage({ ...options, take: 2, before: end.startCursor ?? '' })
      expect(before.rows).toEqual(found.slice(1))
    },
  )

  it('takes its options as they are at the call', async () => {
    const where = { owner: 'a' }
    const options = { where, order: { balance: 'DESC' as 'ASC' | 'DESC' }, take: 3 }
    for (const read of [() => accounts().findPage(options), () => accounts().explainPage(options)]) {
      const expected = await read()
      const working = read()
      Object.assign(where, { owner: 'b' })
      Object.assign(options.order, { balance: 'ASC' })
      options.take = 1
      expect(await working).toEqual(expected)
      Object.assign(where, { owner: 'a' })
      Object.assign(options, { order: { balance: 'DESC' }, take: 3 })
    }
    const settings = dataSource.getRepository(Setting)
    const unsharded = { where: { value: 1 }, order: { id: 'ASC' as const }, take: 2 }
    const expected = await settings.findPage(unsharded)
    const working = settings.findPage(unsharded)
    unsharded.where.value = 2
    expect(await working).toEqual(expected)
  })

  it('sends one statement a node, whichever page it is', async () => {
    let after: string | null = null
    for (let round = 0; round < 3; round += 1) {
      events.length = 0
      const page: Page<Account> = await accounts().findPage({ order: { balance: 'ASC' }, take: 4, after })
      expect(events.map(({ node }) => node).sort()).toEqual(['a', 'b'])
      after = page.endCursor
    }
    events.length = 0
    await accounts().findPage({
      where: { id: '4' },
      take: 4,
      after: (await accounts().findPage({ take: 1 })).endCursor,
    })
    expect(events.slice(2)).toHaveLength(1)
    events.length = 0
    await dataSource.getRepository(Setting).findPage({ take: 4 })
    expect(events.map(({ node }) => node)).toEqual(['a'])
  })

  it('sees what its transaction wrote, and is narrowed as other reads are', async () => {
    await dataSource.transaction(async (given) => {
      const manager = given as ShardedEntityManager
      await manager.getRepository(Account).insert({ id: '13', owner: 'n', balance: 1 })
      expect(idsOf(await manager.getRepository(Account).findPage({ order: { balance: 'ASC' }, take: 2 }))).toEqual([
        13, 1,
      ])
      await manager.getRepository(Setting).insert({ name: '' })
      const page = await manager.findPage(Setting, { order: { name: 'ASC' }, take: 1 })
      expect(page.rows[0]?.name).toBe('')
    })
    const shard = dataSource.locate(Account, '1').shard
    const own = [...ids, '13'].filter((id) => dataSource.locate(Account, id).shard === shard)
    const cursor = (await accounts().findPage({ take: 1 })).endCursor
    expect(idsOf(await accounts().onShard(shard).findPage({ take: 100, after: cursor })).map(String)).toEqual(
      own.slice(1),
    )
    expect(idsOf(await accounts().withShardKey('7').findPage({ take: 100, after: cursor }))).toEqual([7])
    expect(idsOf(await accounts().acrossShards().findPage({ take: 3, after: cursor }))).toEqual([2, 3, 4])
    const own7 = await accounts()
      .extend({ page: () => accounts().findPage({ take: 1 }) })
      .page()
    expect(idsOf(own7)).toEqual([1])
    const [row] = (await accounts().findPage({ where: { id: '3' }, take: 1 })).rows
    // An entity of a page remembers its shard: it is saved where it lies.
    await accounts().save(Object.assign(row ?? {}, { balance: 31 }))
    expect((await accounts().findOneBy({ id: '3' }))?.balance).toBe(31)
  })

  it('refuses cursors that are not of this entity, order and secret', async () => {
    const { endCursor } = await accounts().findPage({ order: { balance: 'ASC' }, take: 2 })
    const after = endCursor ?? ''
    const refused = { code: 'CURSOR_INVALID' }
    for (const order of [
      { balance: 'DESC' },
      { owner: 'ASC' },
      { balance: { direction: 'ASC', nulls: 'FIRST' } },
      { id: 'ASC' },
    ])
      await expect(accounts().findPage({ order, take: 2, after } as PageOptions<Account>)).rejects.toMatchObject(
        refused,
      )
    await expect(dataSource.getRepository(Setting).findPage({ take: 2, after })).rejects.toMatchObject(refused)
    for (let at = 0; at < after.length; at += 1) {
      const other = after[at] === 'A' ? 'B' : 'A'
      const changed = after.slice(0, at) + other + after.slice(at + 1)
      await expect(accounts().findPage({ order: { balance: 'ASC' }, take: 2, after: changed })).rejects.toMatchObject(
        refused,
      )
    }
    expect(events).toHaveLength(2)
    const fresh = await open({ cursors: { secret: 'another secret, long enough' } })
    const rotated = await open({ cursors: { secret: [Buffer.from('another secret, long enough'), secret] } })
    const options = { order: { balance: 'ASC' }, take: 2, after } as const
    await expect(fresh.getRepository(Account).findPage(options)).rejects.toMatchObject(refused)
    const next = await rotated.getRepository(Account).findPage(options)
    expect(idsOf(next)).toEqual([3, 4])
    expect(idsOf(await fresh.getRepository(Account).findPage({ ...options, after: next.endCursor }))).toEqual([5, 6])
  })

  it('refuses what makes no page', async () => {
    const page = (options: object) => accounts().findPage(options as PageOptions<Account>)
    for (const take of [undefined, null, 0, -1, 1.5, Number.NaN, '5', maxPageSize + 1])
      await expect(page({ take })).rejects.toMatchObject({ code: 'PAGE_INVALID' })
    for (const more of [
      { skip: 0 },
      { lock: { mode: 'pessimistic_read' } },
      { cache: true },
      { after: 'x', before: 'y' },
      { after: 'x', last: true },
    ])
      await expect(page({ take: 1, ...more })).rejects.toMatchObject({ code: 'PAGE_INVALID' })
    await expect(page({ take: 1, after: 5 })).rejects.toMatchObject({ code: 'CURSOR_INVALID' })
    await expect(
      page({ take: 1, relations: { entries: true }, order: { entries: { amount: 'ASC' } } }),
    ).rejects.toMatchObject({
      code: 'ORDER_UNSUPPORTED',
    })
    expect(events).toHaveLength(0)
    const narrow = await open({ scatter: { reads: 'forbid' } })
    await expect(narrow.getRepository(Account).findPage({ take: 1 })).rejects.toMatchObject({
      code: 'SCATTER_FORBIDDEN',
    })
    expect(idsOf(await narrow.getRepository(Account).findPage({ where: { id: '2' }, take: 1 }))).toEqual([2])
  })

  it('needs a secret of some length', async () => {
    const without: ShardedDataSourceOptions = {
      type: 'postgres',
      nodes: { a: { url: databases.oracle } },
      entities: [...bank.entities],
    }
    const silent = await new ShardedDataSource({ ...without }).initialize()
    opened.push(silent)
    await expect(silent.getRepository(Account).findPage({ take: 1 })).rejects.toMatchObject({
      code: 'CURSOR_SECRET_MISSING',
      details: { entity: 'Account' },
    })
    for (const bad of ['short', [], ['long enough for a secret', 'short'], undefined, 7])
      expect(() => new ShardedDataSource({ ...without, cursors: { secret: bad as never } })).toThrow(
        expect.objectContaining({ code: 'OPTIONS_INVALID' }),
      )
  })

  it('writes one cursor in every session, whatever its settings', async () => {
    const settings =
      '-c TimeZone=Asia/Kolkata -c DateStyle=SQL,DMY -c IntervalStyle=sql_standard -c bytea_output=escape'
    const elsewhere = await open({ extra: { options: settings } })
    const options = { order: { createdAt: 'ASC', rate: 'ASC' }, take: 5 } as const
    const here = await accounts().findPage(options)
    const there = await elsewhere.getRepository(Account).findPage(options)
    expect(there.edges.map(({ cursor }) => cursor)).toEqual(here.edges.map(({ cursor }) => cursor))
    const next = await elsewhere.getRepository(Account).findPage({ ...options, after: here.endCursor })
    expect(idsOf(next)).toEqual(idsOf(await accounts().findPage({ ...options, after: here.endCursor })))
    expect([...idsOf(here), ...idsOf(next)].sort((a, b) => a - b)).toHaveLength(10)
  })

  it('writes floats wholly, whatever the session would do by itself', async () => {
    const [a = ''] = databases.nodes
    for (const digits of [1, 0]) {
      const one = await open({
        entities: [Measure],
        groups: {},
        nodes: { a: { url: a } },
        extra: { options: `-c extra_float_digits=${digits}` },
      })
      await one.synchronize()
      const measures = one.getRepository(Measure)
      await measures.clear()
      await measures.insert([0.1, 0.30000000000000004, 0.3].map((value, id) => ({ id, value })))
      const page = await measures.findPage({ order: { value: 'ASC' }, take: 2 })
      expect(idsOf(page)).toEqual([0, 2])
      expect(idsOf(await measures.findPage({ order: { value: 'ASC' }, take: 2, after: page.endCursor }))).toEqual([1])
    }
  })

  it('finds the keys of a page without the relations that it then loads', async () => {
    const { rows } = await accounts().findPage({ relations: { entries: true }, take: 2 })
    expect(rows.map(({ entries }) => entries.length)).toEqual([3, 3])
    const keys = events.filter(({ text }) => text.includes('__c0'))
    expect(keys.map(({ node }) => node).sort()).toEqual(['a', 'b'])
    for (const { text } of keys) expect(text).not.toMatch(/JOIN|DISTINCT/)
    // One find a shard that has rows of the page.
    expect(events.length - keys.length).toBe(new Set(['1', '2'].map((id) => dataSource.locate(Account, id).shard)).size)
    events.length = 0
    await dataSource.getRepository(Entry).findPage({ order: { account: { balance: 'ASC' } }, take: 2 })
    expect(events[0]?.text).toContain('JOIN')
    expect(events[0]?.text).not.toContain('DISTINCT')
    events.length = 0
    const filtered = await accounts().findPage({ where: { entries: { amount: MoreThan(1) } }, take: 2 })
    expect(idsOf(filtered)).toEqual([1, 2])
    expect(events[0]?.text).toMatch(/DISTINCT.*JOIN/s)
  })

  it('reads its page from an index, however deep', async () => {
    const shard = dataSource.locate(Account, '1').shard
    const mine = accounts().onShard(shard)
    await mine.query('CREATE INDEX ON "__shard__"."account" ("balance", "id")')
    const { endCursor } = await accounts().findPage({ order: { balance: 'ASC' }, take: 1 })
    events.length = 0
    await mine.findPage({ where: { balance: MoreThan(-1) }, order: { balance: 'ASC' }, take: 2, after: endCursor })
    const text = events[0]?.text ?? ''
    expect(text).toContain('("Account"."balance", "Account"."id") > ($2, $3)')
    const plan = await dataSource.transaction(async (manager) => {
      const own = (manager as ShardedEntityManager).getRepository(Account).onShard(shard)
      await own.query('SET LOCAL enable_seqscan = off')
      await own.query('SET LOCAL enable_bitmapscan = off')
      return own.query<Record<string, string>[]>(`EXPLAIN ${text}`, [-1, '10', '1'])
    })
    const lines = plan.map((row) => row['QUERY PLAN']).join('\n')
    expect(lines).toContain('Index Scan using account_balance_id_idx')
    expect(lines).toContain(`Index Cond: ((balance > '-1'::integer) AND (ROW(balance, id) > ROW(10, '1'::bigint)))`)
    expect(lines).not.toContain('Sort')
  })

  it('is explained as it is run, and runs nothing', async () => {
    const order = { balance: 'DESC' } as const
    const { endCursor: after, startCursor } = await accounts().findPage({ order, take: 4 })
    const pages: readonly PageOptions<Account>[] = [
      { order, take: 4, after },
      { order, take: 4, last: true },
      { order, take: 4, relations: { entries: true }, after },
      { where: { id: '5' }, order, take: 4 },
      { where: { id: '5' }, relations: { entries: true }, take: 4 },
    ]
    for (const options of pages) {
      // Types of columns are asked for once.
      await accounts().findPage(options)
      events.length = 0
      const plan = await accounts().explainPage(options)
      expect(events).toEqual([])
      await accounts().findPage(options)
      const texts = events.map(({ text }) => text)
      expect(texts).toEqual(expect.arrayContaining(plan.statements.map(({ text }) => text)))
      const isReloaded = 'relations' in options
      expect(texts.length > plan.statements.length).toBe(isReloaded)
      const isOfOne = 'where' in options
      expect(plan.shards).toHaveLength(isOfOne ? 1 : 4)
      expect(plan.steps).toEqual([
        ...(isOfOne ? [] : ['merge 2 sorted answers']),
        'take 4 rows, and tell by one more whether there are others',
        ...('last' in options ? ['turn the rows round'] : []),
        isReloaded ? 'load the entities of the page by primary key, one find a shard' : 'make entities of the page',
      ])
      expect(plan).toMatchObject({ entity: 'Account', operation: 'findPage' })
    }
    expect((await accounts().withShardKey('5').explainPage({ take: 1 })).reason).toBe('withShardKey(…) says so')
    const refused: readonly (readonly [Promise<unknown>, string])[] = [
      [accounts().explainPage({ take: 0 }), 'PAGE_INVALID'],
      [accounts().explainPage({ order: { owner: 'ASC' }, take: 4, after: startCursor }), 'CURSOR_INVALID'],
      [dataSource.getRepository(Setting).explainPage({ take: 1 }), 'NOT_SHARDED'],
    ]
    for (const [plan, code] of refused) await expect(plan).rejects.toMatchObject({ code })
  })
})
