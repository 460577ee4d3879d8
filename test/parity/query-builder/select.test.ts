import { describe, expect, it } from 'vitest'
import { onTargets } from '../../support/targets'
import { builders, ids, numbers } from './builders'
import { Customer, Order, Setting, shop } from './shop'
import { openShop, orderId } from './shop-rows'

describe('what a query builder selects', () => {
  onTargets({ ...shop, seed: openShop }, (target) => {
    const { customers, orders, items, categories, warehouses, settings } = builders(target)

    it('makes entities with every column that is not hidden, in their types', async () => {
      const [first] = await customers().where('c.id = :id', { id: 1 }).getMany()
      expect(first).toBeInstanceOf(Customer)
      expect(first).toEqual({
        id: '1',
        name: 'Ada',
        email: '1@example.org',
        tier: 'bronze',
        balance: '-29.5000',
        score: 0.5,
        points: 100,
        active: true,
        profile: { lang: 'fr', level: 1, nested: { vip: false } },
        tags: ['a', 't1'],
        seenAt: new Date('2024-03-01T12:00:00.123Z'),
        nickname: 'nick1',
        address: { city: 'Oslo', postcode: 'P1' },
        version: 1,
        deletedAt: null,
      })
    })

    it('makes entities with nulls', async () => {
      const found = await customers()
        .where('c.id IN (:...ids)', { ids: [7, 8, 11] })
        .orderBy('c.id')
        .getMany()
      expect(found.map(({ id, email, balance, profile }) => [id, email, balance, profile?.level])).toEqual([
        ['7', '7@example.org', null, 7],
        ['8', null, '44.0000', 8],
        ['11', '11@example.org', '75.5000', undefined],
      ])
      expect(found[2]?.profile).toBeNull()
    })

    it('selects one property', async () => {
      const found = await customers().select('c.name').orderBy('c.id', 'ASC').limit(3).getMany()
      expect(found).toEqual([{ name: 'Ada' }, { name: 'Émile' }, { name: 'Zoë' }])
    })

    it('selects a list of properties', async () => {
      const found = await customers().select(['c.id', 'c.points']).orderBy('c.id').limit(2).getMany()
      expect(found).toEqual([
        { id: '1', points: 100 },
        { id: '2', points: 200 },
      ])
      expect(found[0]).toBeInstanceOf(Customer)
    })

    it('adds to what is selected', async () => {
      const found = await customers()
        .select('c.id')
        .addSelect('c.tier')
        .addSelect(['c.active'])
        .orderBy('c.id')
        .getOne()
      expect(found).toEqual({ id: '1', tier: 'bronze', active: true })
    })

    it('selects a hidden column when it is named', async () => {
      const found = await customers().addSelect('c.secret').where({ id: '9' }).getOneOrFail()
      expect(found.secret).toBe('s9')
      const without = await customers().where({ id: '9' }).getOneOrFail()
      expect('secret' in without).toBe(false)
    })

    it('selects one property of an embedded', async () => {
      const part = await customers().select(['c.id', 'c.address.city']).where('c.id = 2').getOne()
      expect(part).toEqual({ id: '2', address: { city: 'Łódź' } })
    })

    it('reads a transformed column through its transformer, and raw as it is stored', async () => {
      const query = customers().select(['c.id', 'c.nickname']).where('c.id = 2')
      expect(await query.getMany()).toEqual([{ id: '2', nickname: 'nick2' }])
      expect(await query.getRawMany()).toEqual([{ c_id: '2', c_nickname: '~nick2' }])
    })

    it('gives raw rows with the alias in front of each column', async () => {
      const rows = await customers().select(['c.id', 'c.name', 'c.address.city']).orderBy('c.id', 'DESC').getRawMany()
      expect(rows.length).toBe(11)
      expect(rows[0]).toEqual({ c_id: '11', c_name: 'Fritz', c_addressCity: 'Paris' })
      expect(rows[10]).toEqual({ c_id: '1', c_name: 'Ada', c_addressCity: 'Oslo' })
    })

    it('gives raw rows of whole entities', async () => {
      const row = await orders().where('o.number = 6').getRawOne()
      expect(row).toEqual({
        o_id: orderId(6),
        o_customerId: '3',
        o_number: 6,
        o_status: 'shipped',
        o_total: '90.25',
        o_placedAt: new Date('2024-01-04T00:00:00Z'),
        o_note: null,
        o_version: 1,
        o_updatedAt: expect.any(Date),
        o_deletedAt: null,
      })
    })

    it('names expressions', async () => {
      const rows = await customers()
        .select('c.id', 'key')
        .addSelect('c.points * 2', 'double')
        .addSelect("c.name || '!'", 'loud')
        .orderBy('c.id')
        .limit(2)
        .getRawMany()
      expect(rows).toEqual([
        { key: '1', double: 200, loud: 'Ada!' },
        { key: '2', double: 400, loud: 'Émile!' },
      ])
    })

    it('leaves an expression without a name its name of PostgreSQL', async () => {
      const rows = await customers().select('UPPER(c.name)').where('c.id = 1').getRawMany()
      expect(rows).toEqual([{ upper: 'ADA' }])
    })

    it('selects constants and parameters', async () => {
      const rows = await customers()
        .select('c.id', 'id')
        .addSelect('1', 'one')
        .addSelect("'x'", 'text')
        .addSelect(':p::int', 'parameter')
        .setParameter('p', 42)
        .where('c.id <= 2')
        .orderBy('c.id')
        .getRawMany()
      expect(rows).toEqual([
        { id: '1', one: 1, text: 'x', parameter: 42 },
        { id: '2', one: 1, text: 'x', parameter: 42 },
      ])
    })

    it('gives raw values in their types', async () => {
      const row = await customers()
        .select('c.id::int', 'int')
        .addSelect('c.balance', 'numeric')
        .addSelect('c.score', 'double')
        .addSelect('c.active', 'bool')
        .addSelect('c.tags', 'array')
        .addSelect('c.profile', 'json')
        .addSelect('c.tier', 'enum')
        .where('c.id = 3')
        .getRawOne()
      expect(row).toEqual({
        int: 3,
        numeric: '-8.5000',
        double: 1.5,
        bool: true,
        array: ['a', 't3'],
        json: { lang: 'en', level: 3, nested: { vip: false } },
        enum: 'gold',
      })
    })

    it('gives entities and raw rows side by side', async () => {
      const { entities, raw } = await customers()
        .select(['c.id', 'c.points'])
        .addSelect('c.points + 1', 'more')
        .orderBy('c.id')
        .limit(2)
        .getRawAndEntities()
      expect(entities).toEqual([
        { id: '1', points: 100 },
        { id: '2', points: 200 },
      ])
      expect(raw).toEqual([
        { c_id: '1', c_points: 100, more: 101 },
        { c_id: '2', c_points: 200, more: 201 },
      ])
    })

    it('selects microseconds as text', async () => {
      const rows = await customers()
        .select('c.id', 'id')
        .addSelect("to_char(c.seenAt AT TIME ZONE 'UTC', 'US')", 'us')
        .orderBy('c.id')
        .limit(3)
        .getRawMany()
      expect(rows).toEqual([
        { id: '1', us: '123137' },
        { id: '2', us: '123174' },
        { id: '3', us: '123110' },
      ])
    })

    it('selects inside of json', async () => {
      const rows = await customers()
        .select("c.profile ->> 'lang'", 'lang')
        .addSelect("(c.profile -> 'nested' ->> 'vip')::boolean", 'vip')
        .where('c.id IN (9, 10, 11)')
        .orderBy('c.id')
        .getRawMany()
      expect(rows).toEqual([
        { lang: 'en', vip: false },
        { lang: 'fr', vip: true },
        { lang: null, vip: null },
      ])
    })

    it('selects a CASE', async () => {
      const rows = await orders()
        .select('o.number', 'number')
        .addSelect("CASE WHEN o.total > 50 THEN 'big' ELSE 'small' END", 'size')
        .orderBy('o.number')
        .limit(3)
        .getRawMany()
      expect(rows).toEqual([
        { number: 1, size: 'big' },
        { number: 2, size: 'small' },
        { number: 4, size: 'big' },
      ])
    })

    it('selects distinct values of a column', async () => {
      const rows = await orders().select('o.status', 'status').distinct(true).orderBy('o.status').getRawMany()
      expect(rows).toEqual([{ status: 'pending' }, { status: 'paid' }, { status: 'shipped' }, { status: 'cancelled' }])
    })

    it('selects distinct pairs', async () => {
      const rows = await customers()
        .select('c.active', 'active')
        .addSelect('c.points', 'points')
        .distinct()
        .orderBy('c.active')
        .addOrderBy('c.points', 'DESC')
        .getRawMany()
      expect(rows).toEqual([
        { active: false, points: 200 },
        { active: false, points: 0 },
        { active: true, points: 300 },
        { active: true, points: 100 },
      ])
    })

    it('selects distinct values with nulls, without an order', async () => {
      const rows = await customers()
        .select("c.profile ->> 'lang'", 'lang')
        .distinct(true)
        .getRawMany<{ lang: string }>()
      expect(rows.map(({ lang }) => String(lang)).toSorted()).toEqual(['de', 'en', 'fr', 'null'])
    })

    it('selects distinct rows with a limit and an offset', async () => {
      const rows = await items()
        .select('i.sku', 'sku')
        .distinct(true)
        .orderBy('i.sku', 'DESC')
        .limit(2)
        .offset(1)
        .getRawMany()
      expect(rows).toEqual([{ sku: 'sku-3' }, { sku: 'sku-2' }])
    })

    it('selects distinct on a column: the first row of each by the order', async () => {
      const found = await orders().distinctOn(['o.status']).orderBy('o.status').addOrderBy('o.number', 'DESC').getMany()
      expect(found.map(({ status, number }) => [status, number])).toEqual([
        ['pending', 16],
        ['paid', 21],
        ['shipped', 22],
        ['cancelled', 23],
      ])
    })

    it('selects distinct on the shard key', async () => {
      const rows = await orders()
        .select(['o.customerId', 'o.number'])
        .distinctOn(['o.customerId'])
        .orderBy('o.customerId')
        .addOrderBy('o.total')
        .addOrderBy('o.number')
        .getRawMany()
      expect(rows).toEqual([
        { o_customerId: '1', o_number: 1 },
        { o_customerId: '2', o_number: 2 },
        { o_customerId: '3', o_number: 5 },
        { o_customerId: '4', o_number: 8 },
        { o_customerId: '6', o_number: 11 },
        { o_customerId: '7', o_number: 13 },
        { o_customerId: '8', o_number: 16 },
        { o_customerId: '9', o_number: 19 },
        { o_customerId: '11', o_number: 21 },
        { o_customerId: '12', o_number: 22 },
      ])
    })

    it('selects from a class by the data source', async () => {
      const found = await target.dataSource
        .createQueryBuilder()
        .select('order')
        .from(Order, 'order')
        .where('order.customerId = :id', { id: '4' })
        .orderBy('order.number')
        .getMany()
      expect(numbers(found)).toEqual([7, 8, 9, 10])
      expect(found[0]).toBeInstanceOf(Order)
    })

    it('selects from the name of an entity', async () => {
      const found = await target.dataSource
        .createQueryBuilder()
        .select('x')
        .from('Customer', 'x')
        .orderBy('x.id')
        .getMany()
      expect(ids(found as Customer[])).toEqual(['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11'])
    })

    it('selects with an alias that is a reserved word or has capitals', async () => {
      const found = await orders('select').where('select.number = 5').getMany()
      expect(numbers(found)).toEqual([5])
      const capital = await customers('MyCustomer')
        .select('MyCustomer.id')
        .orderBy('MyCustomer.id')
        .limit(1)
        .getRawMany()
      expect(capital).toEqual([{ MyCustomer_id: '1' }])
    })

    it('selects several columns by the alias alone', async () => {
      const row = await categories().select('g').where("g.customerId = 2 AND g.name = 'home'").getRawOne()
      expect(row).toEqual({ g_customerId: '2', g_name: 'home', g_rank: 2 })
    })

    it('selects from another group and from an unsharded table', async () => {
      expect(await warehouses().orderBy('w.code').limit(2).getMany()).toEqual([
        { code: 'W1', city: 'Paris', capacity: 100 },
        { code: 'W2', city: 'Oslo', capacity: 200 },
      ])
      const found = await settings().orderBy('s.name').getMany()
      expect(found.map(({ name, value }) => [name, value])).toEqual([
        ['currency', 3],
        ['empty', 0],
        ['limit', 7],
      ])
      expect(found[0]).toBeInstanceOf(Setting)
    })

    it('selects nothing where nothing fits', async () => {
      expect(await customers().where('c.points > 1000').getMany()).toEqual([])
      expect(await customers().where('c.points > 1000').getRawMany()).toEqual([])
      expect(await customers().where('c.id = 99').getOne()).toBeNull()
      expect(await customers().select('c.id').where('c.id = 99').getRawOne()).toBeUndefined()
    })

    it('sets a comment, which changes nothing', async () => {
      expect(ids(await customers().comment('why; not */ here').where('c.id < 3').orderBy('c.id').getMany())).toEqual([
        '1',
        '2',
      ])
    })

    it('computes windows inside one shard', async () => {
      const rows = await orders()
        .select('o.number', 'number')
        .addSelect('ROW_NUMBER() OVER (PARTITION BY o.customerId ORDER BY o.total)', 'row')
        .where('o.customerId = 4')
        .orderBy('o.number')
        .getRawMany()
      expect(rows).toEqual([
        { number: 7, row: '3' },
        { number: 8, row: '1' },
        { number: 9, row: '4' },
        { number: 10, row: '2' },
      ])
    })
  })
})
