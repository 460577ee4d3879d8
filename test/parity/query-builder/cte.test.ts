import { describe, expect, it } from 'vitest'
import { onTargets } from '../../support/targets'
import { builders, expectExactOrRefused, ids } from './builders'
import { Category, Customer, Order, Setting, shop, Warehouse } from './shop'
import { openShop } from './shop-rows'

describe('common table expressions of a query builder', () => {
  onTargets({ ...shop, seed: openShop }, (target) => {
    const { customers, orders } = builders(target)
    const make = () => target.dataSource.createQueryBuilder()

    it('reads one of one shard key', async () => {
      const rows = await make()
        .addCommonTableExpression(
          orders('x').select(['x.number AS number', 'x.total AS total']).where('x.customerId = :c', { c: 4 }),
          'own',
        )
        .select('own.number', 'number')
        .from('own', 'own')
        .where('own.total > 40')
        .orderBy('own.number')
        .getRawMany()
      expect(rows).toEqual([{ number: 7 }, { number: 9 }, { number: 10 }])
    })

    it('reads rows of all shards', async () => {
      const rows = await make()
        .addCommonTableExpression(orders('x').select(['x.number AS number', 'x.total AS total']), 'live')
        .select('live.number', 'number')
        .from('live', 'live')
        .where('live.total > 80')
        .orderBy('live.number', 'DESC')
        .getRawMany()
      expect(rows).toEqual([{ number: 17 }, { number: 14 }, { number: 9 }, { number: 6 }])
    })

    it('names its columns', async () => {
      const rows = await make()
        .addCommonTableExpression(customers('x').select(['x.id', 'x.points']).where('x.id IN (2, 3)'), 'few', {
          columnNames: ['key', 'score'],
        })
        .select('few.key', 'key')
        .addSelect('few.score', 'score')
        .from('few', 'few')
        .orderBy('few.key')
        .getRawMany()
      expect(rows).toEqual([
        { key: '2', score: 200 },
        { key: '3', score: 300 },
      ])
    })

    it('is joined on the shard key', async () => {
      const found = await customers()
        .addCommonTableExpression(
          make()
            .select('o.customerId', 'customerId')
            .addSelect('COUNT(*)', 'n')
            .from(Order, 'o')
            .groupBy('o.customerId'),
          'counts',
        )
        .innerJoin('counts', 'k', 'k."customerId" = c.id')
        .where('k.n >= 3')
        .orderBy('c.id')
        .getMany()
      expect(ids(found)).toEqual(['3', '4', '8', '9'])
    })

    it('is used in a subquery', async () => {
      const found = await customers()
        .addCommonTableExpression(
          make().select('o.customerId', 'customerId').from(Order, 'o').where("o.status = 'paid'"),
          'payers',
        )
        .where('c.id IN (SELECT "customerId" FROM payers)')
        .orderBy('c.id')
        .getMany()
      expect(ids(found)).toEqual(['1', '3', '4', '7', '9', '11'])
    })

    it('has two, one of which reads the other', async () => {
      const rows = await make()
        .addCommonTableExpression(
          make()
            .select('o.customerId', 'customer')
            .addSelect('o.total', 'total')
            .from(Order, 'o')
            .where('o.customerId = 9'),
          'a',
        )
        .addCommonTableExpression('SELECT MAX(total) AS top FROM a', 'b')
        .select('b.top', 'top')
        .from('b', 'b')
        .getRawMany()
      expect(rows).toEqual([{ top: '90.25' }])
    })

    it('is materialized, or not', async () => {
      for (const materialized of [true, false]) {
        const rows = await make()
          .addCommonTableExpression(customers('x').select('x.id', 'id').where('x.points = 300'), 'top', {
            materialized,
          })
          .select('top.id', 'id')
          .from('top', 'top')
          .orderBy('top.id')
          .getRawMany()
        expect(rows).toEqual([{ id: '3' }, { id: '7' }, { id: '11' }])
      }
    })

    it('is recursive over numbers', () =>
      expectExactOrRefused(
        target,
        async () =>
          make()
            .addCommonTableExpression('SELECT 1 UNION ALL SELECT n + 1 FROM steps WHERE n < 4', 'steps', {
              recursive: true,
              columnNames: ['n'],
            })
            .select('o.number', 'number')
            .from(Order, 'o')
            .innerJoin('steps', 's', 's.n = o.number')
            .where('o.customerId = 3')
            .getRawMany(),
        [{ number: 4 }],
      ))

    it('is written with values', () =>
      expectExactOrRefused(
        target,
        async () =>
          customers()
            .addCommonTableExpression("VALUES (1, 'one'), (7, 'seven')", 'words', { columnNames: ['id', 'word'] })
            .innerJoin('words', 'w', 'w.id = c.id')
            .select('c.name', 'name')
            .addSelect('w.word', 'word')
            .orderBy('c.id')
            .getRawMany(),
        [
          { name: 'Ada', word: 'one' },
          { name: 'dora', word: 'seven' },
        ],
      ))

    it('holds a limited list', () =>
      expectExactOrRefused(
        target,
        async () =>
          make()
            .addCommonTableExpression(
              make().select('o.total', 'total').from(Order, 'o').orderBy('o.total', 'DESC').limit(2),
              'top',
            )
            .select('SUM(top.total)', 'sum')
            .from('top', 'top')
            .getRawOne(),
        { sum: '190.50' },
      ))

    it('holds a group that is not by the shard key', () =>
      expectExactOrRefused(
        target,
        async () =>
          make()
            .addCommonTableExpression(
              make().select('g.name', 'name').addSelect('COUNT(*)', 'n').from(Category, 'g').groupBy('g.name'),
              'sizes',
            )
            .select('sizes.name', 'name')
            .addSelect('sizes.n', 'n')
            .from('sizes', 'sizes')
            .orderBy('sizes.name')
            .getRawMany(),
        [
          { name: 'gift', n: '12' },
          { name: 'home', n: '8' },
          { name: 'office', n: '4' },
        ],
      ))

    it('reads two groups', () =>
      expectExactOrRefused(
        target,
        async () =>
          make()
            .addCommonTableExpression(
              make().select('w.city', 'city').from(Warehouse, 'w').where("w.code = 'W2'"),
              'place',
            )
            .select('c.id', 'id')
            .from(Customer, 'c')
            .innerJoin('place', 'p', 'p.city = c.addressCity')
            .orderBy('c.id')
            .getRawMany(),
        [{ id: '1' }, { id: '5' }, { id: '9' }],
      ))

    it('reads an unsharded table alone', async () => {
      const rows = await make()
        .addCommonTableExpression(make().select('s.value', 'value').from(Setting, 's'), 'v')
        .select('SUM(v.value)', 'sum')
        .from('v', 'v')
        .getRawMany()
      expect(rows).toEqual([{ sum: '10' }])
    })
  })
})
