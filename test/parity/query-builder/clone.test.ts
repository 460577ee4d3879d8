import { Brackets } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { onTargets } from '../../support/targets'
import { builders, ids, numbers } from './builders'
import { Order, shop } from './shop'
import { openShop } from './shop-rows'

describe('clones of a query builder', () => {
  onTargets({ ...shop, seed: openShop }, (target) => {
    const { customers, orders, categories } = builders(target)

    it('gives the same answer', async () => {
      const query = customers().where('c.points = :p', { p: 300 }).orderBy('c.id', 'DESC')
      expect(ids(await query.clone().getMany())).toEqual(['11', '7', '3'])
      expect(query.clone().getQueryAndParameters()).toEqual(query.getQueryAndParameters())
    })
    it('does not change the builder that it comes from', async () => {
      const query = customers().where('c.points = :p', { p: 300 }).orderBy('c.id')
      const narrowed = query.clone().andWhere('c.id > :id', { id: 5 }).setParameter('p', 100)
      expect(ids(await narrowed.getMany())).toEqual(['9'])
      expect(ids(await query.getMany())).toEqual(['3', '7', '11'])
    })
    it('keeps joins, pages and selects', async () => {
      const query = customers()
        .leftJoinAndSelect('c.orders', 'o')
        .select(['c.id', 'o.id', 'o.number'])
        .where('c.id = 7')
        .orderBy('o.number', 'DESC')
      const [copy] = await query.clone().getMany()
      expect(numbers(copy?.orders ?? [])).toEqual([13, 12])
      expect(Object.keys(copy ?? {}).toSorted()).toEqual(['id', 'orders'])
    })
    it('keeps brackets and subqueries', async () => {
      const query = customers()
        .where(new Brackets((qb) => qb.where('c.id = 1').orWhere('c.id = 3')))
        .andWhere(
          (qb) => `c.id IN ${qb.subQuery().select('o.customerId').from(Order, 'o').where('o.total > 90').getQuery()}`,
        )
      expect(ids(await query.clone().getMany())).toEqual(['3'])
    })
    it('counts a clone of a page', async () => {
      const query = orders().where('o.total > 50').orderBy('o.number').skip(1).take(2)
      expect(await query.clone().skip(undefined).take(undefined).getCount()).toBe(11)
      expect(numbers(await query.getMany())).toEqual([4, 6])
    })
    it('keeps groups and havings', async () => {
      const query = orders()
        .select('o.status', 'status')
        .groupBy('o.status')
        .having('COUNT(*) > :n', { n: 5 })
        .orderBy('o.status')
      expect(await query.clone().getRawMany()).toEqual([{ status: 'paid' }, { status: 'shipped' }])
    })
    it('is cloned twice', async () => {
      const query = categories().where({ customerId: '2' }).orderBy('g.rank').clone().clone()
      expect((await query.getMany()).map(({ name }) => name)).toEqual(['gift', 'home', 'office'])
    })
    it('runs clones at the same time', async () => {
      const query = orders().orderBy('o.number')
      const found = await Promise.all(
        ['1', '2', '3', '4'].map((id) => query.clone().where('o.customerId = :id', { id }).getMany()),
      )
      expect(found.map(numbers)).toEqual([[1], [2], [4, 5, 6], [7, 8, 9, 10]])
    })
    it('makes a builder of the same data source from a builder', async () => {
      const found = await customers()
        .createQueryBuilder()
        .select('o')
        .from(Order, 'o')
        .where('o.number = 9')
        .getOneOrFail()
      expect(found.number).toBe(9)
    })
    it('gives its query and its parameters', () => {
      const [text, parameters] = customers()
        .where('c.id = :id AND c.points > :p', { id: 7, p: 1 })
        .getQueryAndParameters()
      expect(parameters).toEqual([7, 1])
      expect(text).toContain('"c"."id" = $1 AND "c"."points" > $2')
      const query = customers().where('c.id = :id', { id: 7 })
      expect(query.getParameters()).toEqual({ id: 7 })
      expect(query.getSql()).toContain('$1')
      expect(query.getQuery()).toContain(':id')
    })
  })
})
