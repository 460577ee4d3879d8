import { Between, Brackets, ILike, In, IsNull, LessThan, Like, MoreThan, Not, NotBrackets, Raw } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { onTargets } from '../../support/targets'
import { builders, ids, numbers } from './builders'
import { Order, shop } from './shop'
import { openShop, orderId } from './shop-rows'

describe('conditions of a query builder', () => {
  onTargets({ ...shop, seed: openShop }, (target) => {
    const { customers, orders, items, categories, warehouses, settings } = builders(target)
    const found = async (query: ReturnType<typeof customers>) => ids(await query.orderBy('c.id').getMany())
    const foundOrders = async (query: ReturnType<typeof orders>) => numbers(await query.orderBy('o.number').getMany())

    describe('on the shard key', () => {
      it('is a string, a number, or a bigint', async () => {
        for (const id of ['7', 7, 7n, '007'])
          expect(await found(customers().where('c.id = :id', { id }))).toEqual(['7'])
      })
      it('is a literal', async () => {
        expect(await found(customers().where('c.id = 7'))).toEqual(['7'])
        expect(await found(customers().where("c.id = '7'"))).toEqual(['7'])
        expect(await found(customers().where('7 = c.id'))).toEqual(['7'])
      })
      it('is a list', async () => {
        expect(await found(customers().where('c.id IN (:...ids)', { ids: [1, '5', 9] }))).toEqual(['1', '5', '9'])
        expect(await found(customers().where('c.id IN (2, 4)'))).toEqual(['2', '4'])
      })
      it('is an array', async () => {
        expect(await found(customers().where('c.id = ANY(:ids)', { ids: ['3', '8'] }))).toEqual(['3', '8'])
      })
      it('is a range', async () => {
        expect(await found(customers().where('c.id > 3 AND c.id <= 6'))).toEqual(['4', '5', '6'])
        expect(await found(customers().where('c.id BETWEEN :a AND :b', { a: 9, b: 20 }))).toEqual(['9', '10', '11'])
      })
      it('is another than one', async () => {
        expect(await found(customers().where('c.id <> 1 AND c.id < 4'))).toEqual(['2', '3'])
        expect(await found(customers().where('c.id NOT IN (1, 2, 3, 4, 5, 6, 7, 8)'))).toEqual(['9', '10', '11'])
      })
      it('contradicts itself', async () => {
        expect(await found(customers().where('c.id = 1 AND c.id = 2'))).toEqual([])
        expect(await found(customers().where('c.id = 1').andWhere('c.id = 2'))).toEqual([])
      })
      it('is one of two', async () => {
        expect(await found(customers().where('c.id = 1').orWhere('c.id = 2'))).toEqual(['1', '2'])
        expect(await found(customers().where('c.id = 1 OR c.points = 300'))).toEqual(['1', '3', '7', '11'])
      })
      it('binds OR weaker than AND, over the clauses as one text', async () => {
        const query = customers().where('c.id = 1 OR c.id = 2').andWhere('c.points = 300')
        expect(await found(query)).toEqual(['1'])
      })
      it('is a key that no row has', async () => {
        expect(await found(customers().where('c.id = 123456789012345'))).toEqual([])
      })
      it('is null', async () => {
        expect(await found(customers().where('c.id IS NULL'))).toEqual([])
        expect(await found(customers().where('c.id = :id', { id: null }))).toEqual([])
      })
      it('is an expression', async () => {
        expect(await found(customers().where('c.id % 5 = 0'))).toEqual(['5', '10'])
        expect(await found(customers().where('c.id + 1 = 3'))).toEqual(['2'])
        expect(await found(customers().where("c.id = '7'::bigint"))).toEqual(['7'])
        expect(await found(customers().where('c.id = 3 + 4'))).toEqual(['7'])
      })
      it('is the column of a colocated entity', async () => {
        expect(await foundOrders(orders().where('o.customerId = :id', { id: '4' }))).toEqual([7, 8, 9, 10])
        expect(await foundOrders(orders().where('o.customerId IN (:...ids)', { ids: [1, 4] }))).toEqual([
          1, 7, 8, 9, 10,
        ])
      })
      it('is the property of a relation', async () => {
        expect(await foundOrders(orders().where('o.customer = :id', { id: 4 }))).toEqual([7, 8, 9, 10])
      })
      it('is a text', async () => {
        const rows = await warehouses().where('w.code = :code', { code: 'W2' }).getMany()
        expect(rows).toEqual([{ code: 'W2', city: 'Oslo', capacity: 200 }])
      })
      it('is one column of two of the primary key', async () => {
        const rows = await categories().where('g.customerId = 2').orderBy('g.rank').getMany()
        expect(rows.map(({ name }) => name)).toEqual(['gift', 'home', 'office'])
      })
    })

    describe('as strings', () => {
      it('takes named parameters, also twice', async () => {
        expect(await found(customers().where('c.points >= :n AND c.points <= :n', { n: 300 }))).toEqual([
          '3',
          '7',
          '11',
        ])
      })
      it('takes parameters set apart', async () => {
        expect(await found(customers().where('c.tier = :tier').setParameter('tier', 'gold'))).toEqual(['3', '6', '9'])
        expect(await found(customers().where('c.tier = :tier').setParameters({ tier: 'silver' }))).toEqual([
          '2',
          '5',
          '8',
          '11',
        ])
      })
      it('takes no function as a parameter', () => {
        expect(() => customers().where('c.points = :n', { n: () => '100 + 200' })).toThrow('Function parameter')
      })
      it('replaces where by a later where', async () => {
        expect(await found(customers().where('c.id = 1').where('c.id = 2'))).toEqual(['2'])
      })
      it('knows property paths of embeddeds', async () => {
        expect(await found(customers().where('c.address.city = :city', { city: 'Łódź' }))).toEqual(['2', '6', '10'])
        expect(await found(customers().where('c.address.postcode IS NULL'))).toEqual(['3', '6', '9'])
      })
      it('knows escaped column names', async () => {
        expect(await found(customers().where('"c"."addressCity" = :city', { city: 'Oslo' }))).toEqual(['1', '5', '9'])
      })
      it('leaves text that looks like a property alone', async () => {
        expect(await found(customers().where("c.name = 'c.id' OR c.name = 'eve'"))).toEqual(['10'])
      })
      it('compares enums, numerics, booleans, dates', async () => {
        expect(await found(customers().where('c.tier > :t', { t: 'silver' }).andWhere('c.id < 5'))).toEqual([
          '1',
          '3',
          '4',
        ])
        expect(await found(customers().where('c.balance > :b', { b: '65' }))).toEqual(['11'])
        expect(await found(customers().where('c.balance = 65.00'))).toEqual(['10'])
        expect(await found(customers().where('NOT c.active AND c.id < 5'))).toEqual(['2', '4'])
        const date = new Date('2024-01-11T00:00:00Z')
        expect(await foundOrders(orders().where('o.placedAt >= :date', { date }))).toEqual([21, 22, 23])
      })
      it('compares microseconds', async () => {
        expect(await found(customers().where("c.seenAt = '2024-03-01 12:00:00.123174+00'"))).toEqual(['2'])
        expect(await found(customers().where("c.seenAt < '2024-03-01 12:00:00.123110+00'"))).toEqual(['11'])
      })
      it('matches patterns, with accents', async () => {
        expect(await found(customers().where('c.name LIKE :p', { p: 'É%' }))).toEqual(['2', '8'])
        expect(await found(customers().where('c.name ILIKE :p', { p: 'ø%' }))).toEqual(['9'])
        expect(await found(customers().where("c.name ~ '^[a-z]+$'"))).toEqual(['7', '10'])
        expect(await found(customers().where('c.email NOT LIKE :p', { p: '1%' }))).toEqual([
          '2',
          '3',
          '5',
          '6',
          '7',
          '9',
        ])
      })
      it('looks into json and arrays', async () => {
        expect(await found(customers().where("c.profile ->> 'lang' = 'de'"))).toEqual(['2', '5', '8'])
        expect(
          await found(customers().where('c.profile @> :p', { p: JSON.stringify({ nested: { vip: true } }) })),
        ).toEqual(['10'])
        expect(await found(customers().where(':tag = ANY(c.tags)', { tag: 't5' }))).toEqual(['5'])
        expect(await found(customers().where('c.tags && ARRAY[:...tags]', { tags: ['t1', 't3'] }))).toEqual(['1', '3'])
        expect(await found(customers().where("c.profile ? 'lang' AND c.id < 3"))).toEqual(['1', '2'])
      })
      it('holds quotes, semicolons and comments inside of texts', async () => {
        for (const name of ["O'Brien; --", '/* c.id = 1 */', 'a"b', '$1', ':id'])
          expect(await found(customers().where('c.name = :name', { name }))).toEqual([])
        expect(await found(customers().where("c.name <> 'it''s; -- c.id = 5' AND c.id < 3"))).toEqual(['1', '2'])
      })
      it('compares columns with each other', async () => {
        expect(await found(customers().where('c.points > c.id * 30'))).toEqual(['1', '2', '3', '6', '7'])
      })
      it('compares rows', async () => {
        expect(await found(customers().where('(c.points, c.id) > (200, 6)'))).toEqual(['3', '7', '10', '11'])
        expect(await found(customers().where('(c.id, c.points) IN ((1, 100), (2, 0), (3, 300))'))).toEqual(['1', '3'])
      })
    })

    describe('as objects', () => {
      it('is one object', async () => {
        expect(await found(customers().where({ tier: 'gold' }))).toEqual(['3', '6', '9'])
        expect(await found(customers().where({ id: '7' }))).toEqual(['7'])
        expect(await found(customers().where({ id: '7', tier: 'gold' }))).toEqual([])
      })
      it('is a list of objects', async () => {
        expect(await found(customers().where([{ id: '1' }, { tier: 'gold', points: 100 }]))).toEqual(['1', '9'])
      })
      it('has operators', async () => {
        expect(await found(customers().where({ id: In(['1', '2']) }))).toEqual(['1', '2'])
        expect(await found(customers().where({ points: MoreThan(200) }))).toEqual(['3', '7', '11'])
        expect(await found(customers().where({ points: LessThan(100) }))).toEqual(['4', '8'])
        expect(await found(customers().where({ points: Between(1, 100) }))).toEqual(['1', '5', '9'])
        expect(await found(customers().where({ email: IsNull() }))).toEqual(['4', '8'])
        expect(await found(customers().where({ email: Not(IsNull()), points: 0 }))).toEqual([])
        expect(await found(customers().where({ name: Like('%a') }))).toEqual(['1', '7'])
        expect(await found(customers().where({ name: ILike('É%') }))).toEqual(['2', '8'])
        expect(await found(customers().where({ points: Raw((alias) => `${alias} % 300 = 0`) }))).toEqual([
          '3',
          '4',
          '7',
          '8',
          '11',
        ])
        expect(await found(customers().where({ id: In([]) }))).toEqual([])
        expect(
          await found(
            customers()
              .where({ id: Not('1') })
              .andWhere('c.id < 4'),
          ),
        ).toEqual(['2', '3'])
      })
      it('reaches into an embedded', async () => {
        expect(await found(customers().where({ address: { city: 'Oslo' } }))).toEqual(['1', '5', '9'])
      })
      it('goes through a transformer', async () => {
        expect(await found(customers().where({ nickname: 'nick5' }))).toEqual(['5'])
        expect(await found(customers().where('c.nickname = :n', { n: '~nick5' }))).toEqual(['5'])
      })
      it('is mixed with strings', async () => {
        expect(
          await found(customers().where({ tier: 'gold' }).andWhere('c.points = 100').orWhere({ id: '1' })),
        ).toEqual(['1', '9'])
      })
      it('names a relation by its key', async () => {
        expect(await foundOrders(orders().where({ customer: { id: '3' } }))).toEqual([4, 5, 6])
        expect(await foundOrders(orders().where({ customerId: '3', status: 'paid' }))).toEqual([5])
      })
    })

    describe('as brackets', () => {
      it('groups', async () => {
        const query = customers()
          .where('c.active')
          .andWhere(
            new Brackets((qb) => qb.where('c.tier = :a', { a: 'gold' }).orWhere('c.tier = :b', { b: 'bronze' })),
          )
        expect(await found(query)).toEqual(['1', '3', '7', '9'])
      })
      it('nests', async () => {
        const query = customers().where(
          new Brackets((outer) =>
            outer
              .where('c.id = 1')
              .orWhere(new Brackets((inner) => inner.where('c.points = 200').andWhere('c.id > :id', { id: 5 }))),
          ),
        )
        expect(await found(query)).toEqual(['1', '6', '10'])
      })
      it('negates', async () => {
        const query = customers().where(new NotBrackets((qb) => qb.where('c.id > 3').orWhere('c.points = 200')))
        expect(await found(query)).toEqual(['1', '3'])
      })
      it('negates the shard key', async () => {
        const query = customers().where(
          new NotBrackets((qb) => qb.where('c.id IN (:...ids)', { ids: [1, 2, 3, 4, 5, 6, 7] })),
        )
        expect(await found(query)).toEqual(['8', '9', '10', '11'])
      })
      it('holds objects', async () => {
        const query = customers().where(new Brackets((qb) => qb.where({ id: '1' }).orWhere([{ id: '2' }, { id: '3' }])))
        expect(await found(query)).toEqual(['1', '2', '3'])
      })
      it('narrows to one shard beside other conditions', async () => {
        const query = orders()
          .where(new Brackets((qb) => qb.where('o.customerId = :c', { c: '9' })))
          .andWhere(new Brackets((qb) => qb.where('o.total > 50').orWhere('o.status = :s', { s: 'cancelled' })))
        expect(await foundOrders(query)).toEqual([17, 18, 19])
      })
    })

    describe('by ids', () => {
      it('is one id, or a list', async () => {
        expect(await found(customers().whereInIds('4'))).toEqual(['4'])
        expect(await found(customers().whereInIds(['4', 2, { id: '6' }]))).toEqual(['2', '4', '6'])
      })
      it('is an empty list', async () => {
        expect(await found(customers().whereInIds([]))).toEqual([])
      })
      it('is an id that is not the shard key', async () => {
        expect(await foundOrders(orders().whereInIds([orderId(2), orderId(17)]))).toEqual([2, 17])
      })
      it('is of two columns', async () => {
        const rows = await categories()
          .whereInIds([
            { customerId: '2', name: 'home' },
            { customerId: '3', name: 'gift' },
            { customerId: '3', name: 'office' },
          ])
          .orderBy('g.customerId')
          .getMany()
        expect(rows.map(({ customerId, name }) => [customerId, name])).toEqual([
          ['2', 'home'],
          ['3', 'gift'],
        ])
      })
      it('is joined by AND and by OR', async () => {
        expect(await found(customers().where('c.points = 100').andWhereInIds(['1', '2', '5']))).toEqual(['1', '5'])
        expect(await found(customers().where('c.points = 300').orWhereInIds(['1', '2']))).toEqual([
          '1',
          '2',
          '3',
          '7',
          '11',
        ])
      })
    })

    describe('with deleted rows', () => {
      it('leaves them out', async () => {
        expect(await found(customers().where('c.id > 10'))).toEqual(['11'])
        expect(await found(customers().where('c.id = 1 OR c.id = 12'))).toEqual(['1'])
      })
      it('takes them in', async () => {
        expect(await found(customers().withDeleted().where('c.id > 10'))).toEqual(['11', '12'])
        expect(await foundOrders(orders().withDeleted().where('o.deletedAt IS NOT NULL'))).toEqual([3, 20])
      })
    })

    it('sets find options', async () => {
      const query = customers().setFindOptions({
        where: [{ id: '1' }, { points: MoreThan(200), active: true }],
        order: { points: 'DESC', id: 'ASC' },
        take: 3,
        skip: 1,
      })
      expect(ids(await query.getMany())).toEqual(['7', '11', '1'])
    })

    it('sets find options with relations and a select', async () => {
      const query = target.dataSource
        .getRepository(Order)
        .createQueryBuilder('o')
        .setFindOptions({
          select: { id: true, number: true, items: { id: true } },
          relations: { items: true },
          where: { customerId: '4' },
          order: { number: 'DESC', items: { id: 'ASC' } },
          loadEagerRelations: false,
        })
      expect((await query.getMany()).map(({ number, items: own }) => [number, own.map(({ id }) => id)])).toEqual([
        [10, ['101', '102']],
        [9, ['91']],
        [8, ['81', '82', '83']],
        [7, ['71', '72']],
      ])
    })

    it('reads an item by its own id, wherever it lies', async () => {
      const one = await items().where('i.id = :id', { id: '172' }).getOneOrFail()
      expect(one).toMatchObject({ id: '172', customerId: '9', quantity: 3, price: '5.00' })
      expect(one.attributes).toEqual({ colour: 'red', weight: 17 })
    })

    it('filters another group and an unsharded table', async () => {
      const cities = await warehouses().where('w.city = :city AND w.capacity > 100', { city: 'Paris' }).getMany()
      expect(cities.map(({ code }) => code)).toEqual(['W5'])
      expect((await settings().where('s.value > 0').orderBy('s.value').getMany()).map(({ name }) => name)).toEqual([
        'currency',
        'limit',
      ])
    })
  })
})
