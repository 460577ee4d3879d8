import { describe, expect, it } from 'vitest'
import { onTargets } from '../../support/targets'
import { builders, expectExactOrRefused } from './builders'
import { Order, shop } from './shop'
import { openShop } from './shop-rows'

describe('groups and aggregates of a query builder', () => {
  onTargets({ ...shop, seed: openShop }, (target) => {
    const { customers, orders, items, warehouses, settings } = builders(target)

    describe('without groups', () => {
      it('counts, sums, and finds the least and the greatest', async () => {
        const row = await orders()
          .select('COUNT(*)', 'n')
          .addSelect('SUM(o.total)', 'sum')
          .addSelect('MIN(o.total)', 'min')
          .addSelect('MAX(o.total)', 'max')
          .getRawOne()
        expect(row).toEqual({ n: '21', sum: '995.25', min: '0.25', max: '100.25' })
      })
      it('averages with the weight of each shard', async () => {
        const row = await orders().select('AVG(o.number)', 'mean').addSelect('AVG(o.total)', 'total').getRawOne()
        expect(row).toEqual({ mean: '12.0476190476190476', total: '47.3928571428571429' })
      })
      it('skips nulls', async () => {
        const row = await customers()
          .select('COUNT(c.balance)', 'n')
          .addSelect('AVG(c.score)', 'score')
          .addSelect('SUM(c.balance)', 'sum')
          .getRawOne()
        expect(row).toEqual({ n: '10', score: 51 / 2 / 9, sum: '219.5000' })
      })
      it('gives nulls over no rows', async () => {
        const row = await orders()
          .select('COUNT(*)', 'n')
          .addSelect('SUM(o.total)', 'sum')
          .addSelect('AVG(o.total)', 'mean')
          .addSelect('MAX(o.number)', 'max')
          .where('o.number > 100')
          .getRawOne()
        expect(row).toEqual({ n: '0', sum: null, mean: null, max: null })
      })
      it('counts distinct values', async () => {
        const row = await items()
          .select('COUNT(DISTINCT i.sku)', 'skus')
          .addSelect('COUNT(DISTINCT i.price)', 'prices')
          .getRawOne()
        expect(row).toEqual({ skus: '5', prices: '4' })
      })
      it('counts distinct shard keys', async () => {
        const row = await orders().select('COUNT(DISTINCT o.customerId)', 'n').getRawOne()
        expect(row).toEqual({ n: '10' })
      })
      it('computes with aggregates', async () => {
        const row = await orders()
          .select('MAX(o.number) - MIN(o.number)', 'span')
          .addSelect('SUM(o.total) / COUNT(*)', 'mean')
          .getRawOne()
        expect(row).toEqual({ span: 22, mean: '47.3928571428571429' })
      })
      it('aggregates over an expression', async () => {
        const row = await items().select('SUM(i.quantity * i.price)', 'worth').getRawOne()
        expect(row).toEqual({ worth: '677.50' })
      })
      it('aggregates with a filter', async () => {
        const row = await orders()
          .select("COUNT(*) FILTER (WHERE o.status = 'paid')", 'paid')
          .addSelect('SUM(CASE WHEN o.total > 50 THEN 1 ELSE 0 END)', 'big')
          .getRawOne()
        expect(row).toEqual({ paid: '6', big: '11' })
      })
      it('aggregates booleans', async () => {
        const row = await customers()
          .select('BOOL_AND(c.active)', 'every')
          .addSelect('BOOL_OR(c.active)', 'some')
          .getRawOne()
        expect(row).toEqual({ every: false, some: true })
      })
      it('aggregates an array in its own order', () =>
        expectExactOrRefused(
          target,
          async () =>
            orders().select('ARRAY_AGG(o.number ORDER BY o.number DESC)', 'list').where('o.number < 8').getRawOne(),
          { list: [7, 6, 5, 4, 2, 1] },
        ))
      it('joins texts in their own order', () =>
        expectExactOrRefused(
          target,
          async () => warehouses().select("STRING_AGG(w.code, ',' ORDER BY w.code)", 'codes').getRawOne(),
          { codes: 'W1,W2,W3,W4,W5' },
        ))
      it('takes a deviation', () =>
        expectExactOrRefused(
          target,
          async () => customers().select('ROUND(STDDEV_POP(c.points), 6)', 'deviation').getRawOne(),
          { deviation: '106.794001' },
        ))
      it('takes a percentile', () =>
        expectExactOrRefused(
          target,
          async () => orders().select('PERCENTILE_DISC(0.5) WITHIN GROUP (ORDER BY o.number)', 'median').getRawOne(),
          { median: 12 },
        ))
      it('keeps an aggregate inside one shard as it is', async () => {
        const row = await orders()
          .select('ARRAY_AGG(o.number ORDER BY o.total)', 'list')
          .addSelect('STDDEV_POP(o.number)::numeric(6,4)', 'deviation')
          .where('o.customerId = 4')
          .getRawOne()
        expect(row).toEqual({ list: [8, 10, 7, 9], deviation: '1.1180' })
      })
      it('aggregates enums, dates and texts', async () => {
        const row = await orders()
          .select('MIN(o.status)', 'status')
          .addSelect('MAX(o.placedAt)', 'last')
          .addSelect('MAX(o.note COLLATE "C")', 'note')
          .getRawOne()
        expect(row).toEqual({ status: 'pending', last: new Date('2024-01-12T00:00:00Z'), note: 'note 8' })
      })
      it('keeps microseconds in the greatest', async () => {
        const row = await customers()
          .select("to_char(MAX(c.seenAt) AT TIME ZONE 'UTC', 'US')", 'last')
          .addSelect("to_char(MIN(c.seenAt) AT TIME ZONE 'UTC', 'US')", 'first')
          .getRawOne()
        expect(row).toEqual({ last: '123194', first: '123103' })
      })
    })

    describe('with groups', () => {
      it('is by a column', async () => {
        const rows = await orders()
          .select('o.status', 'status')
          .addSelect('COUNT(*)', 'n')
          .addSelect('SUM(o.total)', 'sum')
          .groupBy('o.status')
          .orderBy('o.status')
          .getRawMany()
        expect(rows).toEqual([
          { status: 'pending', n: '4', sum: '161.00' },
          { status: 'paid', n: '6', sum: '331.50' },
          { status: 'shipped', n: '6', sum: '311.50' },
          { status: 'cancelled', n: '5', sum: '191.25' },
        ])
      })
      it('is by the shard key', async () => {
        const rows = await orders()
          .select('o.customerId', 'customer')
          .addSelect('AVG(o.number)', 'mean')
          .groupBy('o.customerId')
          .orderBy('o.customerId', 'DESC')
          .limit(3)
          .getRawMany()
        expect(rows).toEqual([
          { customer: '12', mean: '22.5000000000000000' },
          { customer: '11', mean: '21.0000000000000000' },
          { customer: '9', mean: '18.0000000000000000' },
        ])
      })
      it('is by two columns', async () => {
        const rows = await customers()
          .select('c.tier', 'tier')
          .addSelect('c.active', 'active')
          .addSelect('COUNT(*)', 'n')
          .groupBy('c.tier')
          .addGroupBy('c.active')
          .orderBy('c.tier')
          .addOrderBy('c.active')
          .getRawMany()
        expect(rows).toEqual([
          { tier: 'silver', active: false, n: '2' },
          { tier: 'silver', active: true, n: '2' },
          { tier: 'bronze', active: false, n: '2' },
          { tier: 'bronze', active: true, n: '2' },
          { tier: 'gold', active: false, n: '1' },
          { tier: 'gold', active: true, n: '2' },
        ])
      })
      it('is by an expression', async () => {
        const rows = await orders()
          .select("date_trunc('week', o.placedAt AT TIME ZONE 'UTC')::date::text", 'week')
          .addSelect('COUNT(*)', 'n')
          .groupBy("date_trunc('week', o.placedAt AT TIME ZONE 'UTC')::date::text")
          .orderBy('week')
          .getRawMany()
        expect(rows).toEqual([
          { week: '2024-01-01', n: '12' },
          { week: '2024-01-08', n: '9' },
        ])
      })
      it('is by the name of an expression', async () => {
        const rows = await customers()
          .select("c.profile ->> 'lang'", 'lang')
          .addSelect('COUNT(*)', 'n')
          .groupBy('lang')
          .orderBy('lang', 'ASC', 'NULLS FIRST')
          .getRawMany()
        expect(rows).toEqual([
          { lang: null, n: '1' },
          { lang: 'de', n: '3' },
          { lang: 'en', n: '3' },
          { lang: 'fr', n: '4' },
        ])
      })
      it('is by a null, once', async () => {
        const rows = await orders()
          .select('o.note', 'note')
          .addSelect('COUNT(*)', 'n')
          .where('o.number IN (3, 6, 9, 12)')
          .groupBy('o.note')
          .getRawMany()
        expect(rows).toEqual([{ note: null, n: '3' }])
      })
      it('has a condition on the merged group', async () => {
        const rows = await items()
          .select('i.sku', 'sku')
          .addSelect('SUM(i.quantity)', 'quantity')
          .groupBy('i.sku')
          .having('SUM(i.quantity) > :least', { least: 21 })
          .orderBy('i.sku')
          .getRawMany()
        expect(rows).toEqual([
          { sku: 'sku-3', quantity: '22' },
          { sku: 'sku-4', quantity: '22' },
        ])
      })
      it('has several conditions on the group', async () => {
        const rows = await items()
          .select('i.sku', 'sku')
          .groupBy('i.sku')
          .having('COUNT(*) >= :n', { n: 10 })
          .andHaving('MAX(i.quantity) = 4')
          .orHaving('MIN(i.id) = 11')
          .orderBy('i.sku')
          .getRawMany()
        expect(rows).toEqual([{ sku: 'sku-2' }, { sku: 'sku-3' }, { sku: 'sku-4' }])
      })
      it('is ordered by an aggregate, with a limit', async () => {
        const rows = await items()
          .select('i.sku', 'sku')
          .addSelect('SUM(i.quantity)', 'quantity')
          .groupBy('i.sku')
          .orderBy('SUM(i.quantity)', 'DESC')
          .addOrderBy('i.sku')
          .limit(2)
          .getRawMany()
        expect(rows).toEqual([
          { sku: 'sku-3', quantity: '22' },
          { sku: 'sku-4', quantity: '22' },
        ])
      })
      it('is ordered by the name of an aggregate, with an offset', async () => {
        const rows = await orders()
          .select('o.customerId', 'customer')
          .addSelect('COUNT(*)', 'n')
          .groupBy('o.customerId')
          .orderBy('n', 'DESC')
          .addOrderBy('customer')
          .offset(1)
          .limit(4)
          .getRawMany()
        expect(rows).toEqual([
          { customer: '3', n: '3' },
          { customer: '8', n: '3' },
          { customer: '9', n: '3' },
          { customer: '7', n: '2' },
        ])
      })
      it('counts distinct values in each group', async () => {
        const rows = await orders()
          .select('o.status', 'status')
          .addSelect('COUNT(DISTINCT o.customerId)', 'customers')
          .addSelect('COUNT(DISTINCT o.total)', 'totals')
          .groupBy('o.status')
          .orderBy('o.status')
          .getRawMany()
        expect(rows).toEqual([
          { status: 'pending', customers: '4', totals: '4' },
          { status: 'paid', customers: '6', totals: '6' },
          { status: 'shipped', customers: '6', totals: '6' },
          { status: 'cancelled', customers: '5', totals: '5' },
        ])
      })
      it('joins before it groups', async () => {
        const rows = await customers()
          .leftJoin('c.orders', 'o')
          .select('c.tier', 'tier')
          .addSelect('COUNT(o.id)', 'orders')
          .addSelect('COUNT(DISTINCT c.id)', 'customers')
          .groupBy('c.tier')
          .orderBy('c.tier')
          .getRawMany()
        expect(rows).toEqual([
          { tier: 'silver', orders: '5', customers: '4' },
          { tier: 'bronze', orders: '7', customers: '4' },
          { tier: 'gold', orders: '7', customers: '3' },
        ])
      })
      it('groups what is joined by the entity', async () => {
        const { entities, raw } = await customers()
          .leftJoin('c.orders', 'o')
          .addSelect('COUNT(o.id)', 'n')
          .groupBy('c.id')
          .having('COUNT(o.id) > 2')
          .orderBy('c.id')
          .getRawAndEntities()
        expect(entities.map(({ id }) => id)).toEqual(['3', '4', '8', '9'])
        expect(raw.map(({ n }) => n)).toEqual(['3', '4', '3', '3'])
      })
      it('has totals of totals', () =>
        expectExactOrRefused(
          target,
          async () =>
            orders()
              .select('o.status', 'status')
              .addSelect('COUNT(*)', 'n')
              .groupBy('ROLLUP (o.status)')
              .orderBy('o.status', 'ASC', 'NULLS LAST')
              .getRawMany(),
          [
            { status: 'pending', n: '4' },
            { status: 'paid', n: '6' },
            { status: 'shipped', n: '6' },
            { status: 'cancelled', n: '5' },
            { status: null, n: '21' },
          ],
        ))
      it('computes a window over groups', () =>
        expectExactOrRefused(
          target,
          async () =>
            orders()
              .select('o.status', 'status')
              .addSelect('RANK() OVER (ORDER BY SUM(o.total) DESC)', 'rank')
              .groupBy('o.status')
              .orderBy('rank')
              .getRawMany(),
          [
            { status: 'paid', rank: '1' },
            { status: 'shipped', rank: '2' },
            { status: 'cancelled', rank: '3' },
            { status: 'pending', rank: '4' },
          ],
        ))
      it('computes a window over all rows', () =>
        expectExactOrRefused(
          target,
          async () =>
            orders()
              .select('o.number', 'number')
              .addSelect('ROW_NUMBER() OVER (ORDER BY o.total, o.number)', 'row')
              .orderBy('row')
              .limit(3)
              .getRawMany(),
          [
            { number: 11, row: '1' },
            { number: 22, row: '2' },
            { number: 8, row: '3' },
          ],
        ))
      it('computes a window by the shard key', async () => {
        const rows = await orders()
          .select('o.number', 'number')
          .addSelect('SUM(o.total) OVER (PARTITION BY o.customerId ORDER BY o.number)', 'running')
          .where('o.number BETWEEN 12 AND 15')
          .orderBy('o.number')
          .getRawMany()
        expect(rows).toEqual([
          { number: 12, running: '70.25' },
          { number: 13, running: '100.50' },
          { number: 14, running: '100.25' },
          { number: 15, running: '160.50' },
        ])
      })
      it('is of an unsharded table', async () => {
        const rows = await settings()
          .select('s.value > 0', 'set')
          .addSelect('COUNT(*)', 'n')
          .groupBy('s.value > 0')
          .orderBy('1')
          .getRawMany()
        expect(rows).toEqual([
          { set: false, n: '1' },
          { set: true, n: '2' },
        ])
      })
      it('finds no group where there is no row', async () => {
        const query = orders()
          .select('o.status', 'status')
          .addSelect('COUNT(*)', 'n')
          .where('o.number > 99')
          .groupBy('o.status')
        expect(await query.getRawMany()).toEqual([])
      })
      it('refuses what is not grouped, as PostgreSQL does', async () => {
        const query = orders().select(['o.status', 'o.number']).groupBy('o.status')
        await expect(query.getRawMany()).rejects.toThrow('must appear in the GROUP BY clause')
      })
    })

    describe('by the repository', () => {
      it('agrees with the query builder', async () => {
        const repository = target.dataSource.getRepository(Order)
        expect(await repository.sum('number')).toBe(253)
        expect(await orders().select('SUM(o.number)', 'sum').getRawOne()).toEqual({ sum: '253' })
      })
    })
  })
})
