import { describe, expect, it } from 'vitest'
import { onTargets } from '../../support/targets'
import { builders, expectExactOrRefused, ids, numbers } from './builders'
import { Category, Customer, Item, Order, Payment, Setting, shop, Warehouse } from './shop'
import { openShop } from './shop-rows'

describe('subqueries of a query builder', () => {
  onTargets({ ...shop, seed: openShop }, (target) => {
    const { customers, orders, items, warehouses } = builders(target)

    describe('that look into the same shard', () => {
      it('is EXISTS with the shard key', async () => {
        const query = customers().where((qb) => {
          const own = qb.subQuery().select('1').from(Order, 'o').where('o.customerId = c.id').andWhere('o.total > 90')
          return `EXISTS ${own.getQuery()}`
        })
        expect(ids(await query.orderBy('c.id').getMany())).toEqual(['3', '8', '9'])
      })

      it('is NOT EXISTS', async () => {
        const query = customers().where((qb) => {
          const own = qb.subQuery().select('o.id').from(Order, 'o').where('o.customerId = c.id')
          return `NOT EXISTS ${own.getQuery()}`
        })
        expect(ids(await query.orderBy('c.id').getMany())).toEqual(['5', '10'])
      })

      it('is whereExists with parameters', async () => {
        const paid = (method: string) =>
          target.dataSource
            .createQueryBuilder(Payment, 'p')
            .where('p.customerId = c.id')
            .andWhere('p.method = :method', { method })
        expect(ids(await customers().whereExists(paid('cash')).orderBy('c.id').getMany())).toEqual([
          '3',
          '4',
          '7',
          '8',
          '9',
        ])
        const both = customers()
          .where('c.points > 100')
          .andWhereExists(
            target.dataSource.createQueryBuilder(Payment, 'p').where("p.customerId = c.id AND p.method = 'card'"),
          )
        expect(ids(await both.orderBy('c.id').getMany())).toEqual(['2', '3'])
        const either = customers()
          .where('c.id = 1')
          .orWhereExists(
            target.dataSource.createQueryBuilder(Payment, 'p').where('p.customerId = c.id AND p.amount > 95'),
          )
        expect(ids(await either.orderBy('c.id').getMany())).toEqual(['1', '8'])
      })

      it('is IN of the shard key', async () => {
        const query = customers().where(
          (qb) =>
            `c.id IN ${qb.subQuery().select('o.customerId').from(Order, 'o').where("o.status = 'paid'").getQuery()}`,
        )
        expect(ids(await query.orderBy('c.id').getMany())).toEqual(['1', '3', '4', '7', '9', '11'])
      })

      it('is NOT IN of the shard key', async () => {
        const query = customers().where(
          (qb) => `c.id NOT IN ${qb.subQuery().select('o.customerId').from(Order, 'o').getQuery()}`,
        )
        expect(ids(await query.orderBy('c.id').getMany())).toEqual(['5', '10'])
      })

      it('takes parameters of the outer builder', async () => {
        const query = customers()
          .where(
            (qb) =>
              `c.id IN ${qb
                .subQuery()
                .select('o.customerId')
                .from(Order, 'o')
                .where('o.status = :status')
                .andWhere('o.total < :total')
                .getQuery()}`,
          )
          .setParameters({ status: 'cancelled', total: 20 })
        expect(ids(await query.orderBy('c.id').getMany())).toEqual(['6', '9'])
      })

      it('is a column', async () => {
        const rows = await customers()
          .select('c.id', 'id')
          .addSelect((qb) => qb.select('COUNT(*)', 'n').from(Order, 'o').where('o.customerId = c.id'), 'orders')
          .where('c.id <= 5')
          .orderBy('c.id')
          .getRawMany()
        expect(rows).toEqual([
          { id: '1', orders: '1' },
          { id: '2', orders: '1' },
          { id: '3', orders: '3' },
          { id: '4', orders: '4' },
          { id: '5', orders: '0' },
        ])
      })

      it('is a column by which it is ordered', async () => {
        const rows = await customers()
          .select('c.id', 'id')
          .addSelect((qb) => qb.select('MAX(o.number)', 'm').from(Order, 'o').where('o.customerId = c.id'), 'last')
          .orderBy('last', 'DESC', 'NULLS LAST')
          .limit(3)
          .getRawMany()
        expect(rows).toEqual([
          { id: '11', last: 21 },
          { id: '9', last: 19 },
          { id: '8', last: 16 },
        ])
      })

      it('compares with an aggregate of the same shard key', async () => {
        const query = orders().where(
          (qb) =>
            `o.total = ${qb.subQuery().select('MAX(x.total)').from(Order, 'x').where('x.customerId = o.customerId').getQuery()}`,
        )
        expect(numbers(await query.orderBy('o.number').getMany())).toEqual([1, 2, 6, 9, 11, 12, 14, 17, 21, 23])
      })

      it('follows a foreign key', async () => {
        const query = orders().where(
          (qb) =>
            `EXISTS ${qb.subQuery().select('1').from(Item, 'i').where('i.orderId = o.id AND i.quantity = 4').getQuery()}`,
        )
        expect(numbers(await query.orderBy('o.number').getMany())).toEqual([5, 11, 17, 23])
      })

      it('nests', async () => {
        const query = customers().where((qb) => {
          const inner = qb.subQuery().select('1').from(Item, 'i').where('i.orderId = o.id AND i.price > 9')
          const outer = qb
            .subQuery()
            .select('1')
            .from(Order, 'o')
            .where('o.customerId = c.id')
            .andWhere(`EXISTS ${inner.getQuery()}`)
          return `EXISTS ${outer.getQuery()}`
        })
        expect(ids(await query.orderBy('c.id').getMany())).toEqual(['4', '6', '8', '9'])
      })

      it('is FROM: rows of one table', async () => {
        const rows = await target.dataSource
          .createQueryBuilder()
          .select('t.number', 'number')
          .from(
            (qb) =>
              qb.select('o.number', 'number').addSelect('o.total', 'total').from(Order, 'o').where('o.total > 60'),
            't',
          )
          .where('t.total < 80')
          .orderBy('t.number')
          .getRawMany()
        expect(rows).toEqual([{ number: 1 }, { number: 4 }, { number: 12 }, { number: 15 }, { number: 23 }])
      })

      it('is FROM: grouped by the shard key', async () => {
        const rows = await target.dataSource
          .createQueryBuilder()
          .select('t.customer', 'customer')
          .addSelect('t.n', 'n')
          .from(
            (qb) =>
              qb.select('o.customerId', 'customer').addSelect('COUNT(*)', 'n').from(Order, 'o').groupBy('o.customerId'),
            't',
          )
          .where('t.n > 2')
          .orderBy('t.customer')
          .getRawMany()
        expect(rows).toEqual([
          { customer: '3', n: '3' },
          { customer: '4', n: '4' },
          { customer: '8', n: '3' },
          { customer: '9', n: '3' },
        ])
      })

      it('is for one shard key, whatever is in it', async () => {
        const rows = await target.dataSource
          .createQueryBuilder()
          .select('AVG(t.total)::numeric(10,2)', 'mean')
          .from(
            (qb) =>
              qb
                .select('o.total', 'total')
                .from(Order, 'o')
                .where('o.customerId = 4')
                .orderBy('o.total', 'DESC')
                .limit(2),
            't',
          )
          .getRawMany()
        expect(rows).toEqual([{ mean: '65.25' }])
      })
    })

    describe('that may look into other shards', () => {
      it('is a limited list in FROM', () =>
        expectExactOrRefused(
          target,
          async () =>
            target.dataSource
              .createQueryBuilder()
              .select('SUM(t.total)', 'sum')
              .from(
                (qb) =>
                  qb
                    .select('o.total', 'total')
                    .from(Order, 'o')
                    .orderBy('o.total', 'DESC')
                    .addOrderBy('o.number')
                    .limit(3),
                't',
              )
              .getRawOne(),
          { sum: '280.75' },
        ))

      it('is a group in FROM that is not by the shard key', () =>
        expectExactOrRefused(
          target,
          async () =>
            target.dataSource
              .createQueryBuilder()
              .select('MAX(t.n)', 'most')
              .from(
                (qb) => qb.select('o.status', 'status').addSelect('COUNT(*)', 'n').from(Order, 'o').groupBy('o.status'),
                't',
              )
              .getRawOne(),
          { most: '6' },
        ))

      it('is an aggregate over all rows', () =>
        expectExactOrRefused(
          target,
          async () =>
            numbers(
              await orders()
                .where((qb) => `o.total > ${qb.subQuery().select('AVG(x.total)').from(Order, 'x').getQuery()}`)
                .orderBy('o.number')
                .getMany(),
            ),
          [1, 4, 6, 7, 9, 12, 14, 15, 17, 18, 23],
        ))

      it('is IN of a column that places no row', () =>
        expectExactOrRefused(
          target,
          async () =>
            ids(
              await customers()
                .where(
                  (qb) =>
                    `c.points IN ${qb.subQuery().select('d.points').from(Customer, 'd').where('d.id = 3').getQuery()}`,
                )
                .orderBy('c.id')
                .getMany(),
            ),
          ['3', '7', '11'],
        ))

      it('is EXISTS without any tie', () =>
        expectExactOrRefused(
          target,
          async () =>
            ids(
              await customers()
                .where((qb) => `EXISTS ${qb.subQuery().select('1').from(Order, 'o').where('o.number = 14').getQuery()}`)
                .orderBy('c.id')
                .limit(3)
                .getMany(),
            ),
          ['1', '2', '3'],
        ))

      it('is of another group', () =>
        expectExactOrRefused(
          target,
          async () =>
            ids(
              await customers()
                .where(
                  (qb) =>
                    `c.addressCity IN ${qb.subQuery().select('w.city').from(Warehouse, 'w').where('w.capacity >= 200').getQuery()}`,
                )
                .orderBy('c.id')
                .limit(4)
                .getMany(),
            ),
          ['1', '2', '3', '4'],
        ))

      it('is of an unsharded table', () =>
        expectExactOrRefused(
          target,
          async () =>
            ids(
              await customers()
                .where((qb) => `c.id IN ${qb.subQuery().select('s.value').from(Setting, 's').getQuery()}`)
                .orderBy('c.id')
                .getMany(),
            ),
          ['3', '7'],
        ))

      it('is a sharded one inside an unsharded query', () =>
        expectExactOrRefused(
          target,
          async () =>
            target.dataSource
              .createQueryBuilder(Setting, 's')
              .select('s.name', 'name')
              .where((qb) => `s.value IN ${qb.subQuery().select('c.id').from(Customer, 'c').getQuery()}`)
              .orderBy('s.name')
              .getRawMany(),
          [{ name: 'currency' }, { name: 'limit' }],
        ))

      it('is of one shard key inside of all', () =>
        expectExactOrRefused(
          target,
          async () =>
            ids(
              await customers()
                .where(
                  (qb) =>
                    `EXISTS ${qb.subQuery().select('1').from(Category, 'g').where("g.customerId = 2 AND g.name = 'office'").getQuery()}`,
                )
                .orderBy('c.id')
                .limit(2)
                .getMany(),
            ),
          ['1', '2'],
        ))

      it('is all of the other rows of a table', () =>
        expectExactOrRefused(
          target,
          async () =>
            numbers(
              await orders()
                .where((qb) => `o.total >= ALL ${qb.subQuery().select('x.total').from(Order, 'x').getQuery()}`)
                .orderBy('o.number')
                .getMany(),
            ),
          [14],
        ))
    })

    it('leaves other groups their own subqueries', async () => {
      const found = await warehouses()
        .where(
          (qb) =>
            `w.capacity = ${qb.subQuery().select('MAX(x.capacity)').from(Warehouse, 'x').where('x.code = w.code').getQuery()}`,
        )
        .orderBy('w.code')
        .getMany()
      expect(found.map(({ code }) => code)).toEqual(['W1', 'W2', 'W3', 'W4', 'W5'])
    })

    it('gives the query of a subquery in brackets', () => {
      const query = items().subQuery().select('i.id').from(Item, 'i').getQuery()
      expect(query).toMatch(/^\(SELECT "i"\."id" AS "i_id" FROM .*"item" "i"\)$/)
    })
  })
})
