import { describe, expect, it } from 'vitest'
import { onTargets } from '../../support/targets'
import { builders, expectExactOrRefused, ids, numbers } from './builders'
import { shop } from './shop'
import { openShop } from './shop-rows'

describe('counts of a query builder', () => {
  onTargets({ ...shop, seed: openShop }, (target) => {
    const { customers, orders, items, categories, payments, warehouses, settings, visits } = builders(target)

    it('counts each table', async () => {
      expect(await customers().getCount()).toBe(11)
      expect(await orders().getCount()).toBe(21)
      expect(await items().getCount()).toBe(47)
      expect(await categories().getCount()).toBe(24)
      expect(await payments().getCount()).toBe(11)
      expect(await warehouses().getCount()).toBe(5)
      expect(await settings().getCount()).toBe(3)
      expect(await visits().getCount()).toBe(0)
    })
    it('counts with deleted rows', async () => {
      expect(await customers().withDeleted().getCount()).toBe(12)
      expect(await orders().withDeleted().getCount()).toBe(23)
    })
    it('counts under a condition', async () => {
      expect(await orders().where('o.total > 50').getCount()).toBe(11)
      expect(await orders().where({ status: 'paid' }).getCount()).toBe(6)
      expect(await orders().where('o.customerId = 4').getCount()).toBe(4)
      expect(await orders().where('o.customerId IN (4, 9)').getCount()).toBe(7)
      expect(await orders().where('o.number > 1000').getCount()).toBe(0)
    })
    it('counts entities whose key has two columns', async () => {
      expect(await categories().where("g.name = 'home'").getCount()).toBe(8)
    })
    it('does not count pages', async () => {
      expect(await customers().orderBy('c.id').skip(3).take(2).getCount()).toBe(11)
      expect(await customers().orderBy('c.id').offset(3).limit(2).getCount()).toBe(11)
    })
    it('counts parents of a join once, raw or with entities', async () => {
      expect(await customers().leftJoin('c.orders', 'o').getCount()).toBe(11)
      expect(await customers().innerJoin('c.orders', 'o').getCount()).toBe(9)
      expect(
        await customers().innerJoin('c.orders', 'o').innerJoin('o.items', 'i').where('i.quantity = 4').getCount(),
      ).toBe(3)
    })
    it('counts through a junction table', async () => {
      expect(await orders().innerJoin('o.categories', 'g').getCount()).toBe(12)
      expect(await orders().innerJoin('o.categories', 'g', "g.name = 'home'").getCount()).toBe(4)
    })
    it('counts with a subquery', async () => {
      const query = customers().where('EXISTS (SELECT 1 FROM "order_category" x WHERE x."categoryCustomerId" = c.id)')
      expect(await query.getCount()).toBe(9)
    })

    it('gives a page and its count', async () => {
      const [found, count] = await orders().where('o.total > 50').orderBy('o.number').skip(2).take(3).getManyAndCount()
      expect([numbers(found), count]).toEqual([[6, 7, 9], 11])
    })
    it('gives the last page and its count', async () => {
      const [found, count] = await customers().orderBy('c.id').skip(9).take(5).getManyAndCount()
      expect([ids(found), count]).toEqual([['10', '11'], 11])
    })
    it('gives a page past the end and its count', async () => {
      const [found, count] = await customers().orderBy('c.id').skip(50).take(5).getManyAndCount()
      expect([found, count]).toEqual([[], 11])
    })
    it('gives all and their count', async () => {
      const [found, count] = await orders().where('o.customerId = 9').orderBy('o.number').getManyAndCount()
      expect([numbers(found), count]).toEqual([[17, 18, 19], 3])
    })
    it('gives nothing and zero', async () => {
      expect(await customers().where('c.points > 999').getManyAndCount()).toEqual([[], 0])
      expect(await customers().where('c.id = 999').take(2).getManyAndCount()).toEqual([[], 0])
    })
    it('gives a page of a join and the count of parents', async () => {
      const [found, count] = await customers()
        .leftJoinAndSelect('c.orders', 'o')
        .orderBy('c.points', 'DESC')
        .addOrderBy('c.id')
        .skip(1)
        .take(2)
        .getManyAndCount()
      expect(found.map(({ id, orders: own }) => [id, own.length])).toEqual([
        ['7', 2],
        ['11', 1],
      ])
      expect(count).toBe(11)
    })
    it('counts with a page of a limit', async () => {
      const [found, count] = await customers().orderBy('c.id', 'DESC').limit(2).offset(1).getManyAndCount()
      expect([ids(found), count]).toEqual([['10', '9'], 11])
    })

    it('counts what is distinct in the columns selected', () =>
      expectExactOrRefused(target, async () => orders().select('o.status').distinct(true).getCount(), 21))
    it('counts the rows under a group as TypeORM does', () =>
      expectExactOrRefused(
        target,
        async () => orders().select('o.customerId').where('o.customerId = 4').groupBy('o.customerId').getCount(),
        4,
      ))

    it('tells whether there is a row', async () => {
      expect(await customers().getExists()).toBe(true)
      expect(await customers().where('c.id = 3').getExists()).toBe(true)
      expect(await customers().where('c.id = 12').getExists()).toBe(false)
      expect(await customers().withDeleted().where('c.id = 12').getExists()).toBe(true)
      expect(await orders().where('o.total > 100').getExists()).toBe(true)
      expect(await orders().where('o.total > 101').getExists()).toBe(false)
      expect(await visits().getExists()).toBe(false)
      expect(await settings().where("s.name = 'limit'").getExists()).toBe(true)
    })
    it('tells whether there is a row in one of few shards', async () => {
      expect(await orders().where('o.customerId IN (5, 10)').getExists()).toBe(false)
      expect(await orders().where('o.customerId IN (5, 10, 11)').getExists()).toBe(true)
    })
    it('counts twice the same with one builder', async () => {
      const query = orders().where('o.status = :s', { s: 'paid' }).orderBy('o.number')
      expect(await query.getCount()).toBe(6)
      expect(numbers(await query.getMany())).toEqual([1, 5, 9, 13, 17, 21])
      expect(await query.getCount()).toBe(6)
      expect(await query.getExists()).toBe(true)
    })
  })
})
