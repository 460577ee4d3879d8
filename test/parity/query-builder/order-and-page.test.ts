import { describe, expect, it } from 'vitest'
import { onTargets } from '../../support/targets'
import { builders, ids, numbers } from './builders'
import { shop } from './shop'
import { openShop } from './shop-rows'

describe('order and pages of a query builder', () => {
  onTargets({ ...shop, seed: openShop }, (target) => {
    const { customers, orders, items, categories } = builders(target)

    describe('orders', () => {
      it('by a bigint, not as text', async () => {
        expect(ids(await customers().orderBy('c.id', 'DESC').getMany())).toEqual([
          '11',
          '10',
          '9',
          '8',
          '7',
          '6',
          '5',
          '4',
          '3',
          '2',
          '1',
        ])
      })
      it('by an int with ties broken', async () => {
        const found = await customers().orderBy('c.points', 'DESC').addOrderBy('c.id').getMany()
        expect(ids(found)).toEqual(['3', '7', '11', '2', '6', '10', '1', '5', '9', '4', '8'])
      })
      it('by an enum, as it is declared', async () => {
        const found = await customers().orderBy('c.tier').addOrderBy('c.id', 'DESC').getMany()
        expect(ids(found)).toEqual(['11', '8', '5', '2', '10', '7', '4', '1', '9', '6', '3'])
      })
      it('by a numeric, with its null last', async () => {
        const found = await customers().orderBy('c.balance').getMany()
        expect(ids(found)).toEqual(['1', '2', '3', '4', '5', '6', '8', '9', '10', '11', '7'])
      })
      it('by a numeric downwards, with its null first', async () => {
        const found = await customers().orderBy('c.balance', 'DESC').limit(3).getMany()
        expect(ids(found)).toEqual(['7', '11', '10'])
      })
      it('with nulls where it says', async () => {
        const first = await customers().orderBy('c.score', 'ASC', 'NULLS FIRST').addOrderBy('c.id').limit(3).getMany()
        expect(ids(first)).toEqual(['5', '10', '1'])
        const last = await customers().orderBy('c.score', 'DESC', 'NULLS LAST').addOrderBy('c.id').getMany()
        expect(ids(last).slice(-3)).toEqual(['1', '5', '10'])
      })
      it('by a text, as the database does', async () => {
        const found = await customers().orderBy('c.name').getMany()
        const asked = await target.dataSource.query('SELECT name FROM unnest($1::text[]) AS name ORDER BY name', [
          found.map(({ name }) => name),
        ])
        expect(found.map((row) => ({ name: row.name }))).toEqual(asked)
        expect(found).toHaveLength(11)
      })
      it('by a text with a collation', async () => {
        const found = await customers().select('c.name', 'name').orderBy('c.name COLLATE "C"').getRawMany()
        expect(found.map(({ name }) => name)).toEqual(
          ['Ada', 'Bob', 'Fritz', 'dora', 'eve', 'Çelik', 'Élan', 'Émile', 'Øyvind', 'Zoë', 'ångström'].toSorted(
            (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)),
          ),
        )
      })
      it('by a boolean', async () => {
        const found = await customers().orderBy('c.active', 'DESC').addOrderBy('c.id').limit(7).getMany()
        expect(ids(found)).toEqual(['1', '3', '5', '7', '9', '11', '2'])
      })
      it('by microseconds', async () => {
        const found = await customers().orderBy('c.seenAt').getMany()
        expect(ids(found)).toEqual(['11', '3', '6', '9', '1', '4', '7', '10', '2', '5', '8'])
      })
      it('by a uuid', async () => {
        const found = await orders().orderBy('o.id').limit(4).getMany()
        expect(numbers(found)).toEqual([12, 11, 23, 10])
      })
      it('by a date with ties', async () => {
        const found = await orders().orderBy('o.placedAt', 'DESC').addOrderBy('o.number').limit(5).getMany()
        expect(numbers(found)).toEqual([22, 23, 21, 18, 19])
      })
      it('by an array and by json', async () => {
        const tags = await customers().orderBy('c.tags').addOrderBy('c.id').limit(7).getMany()
        expect(ids(tags)).toEqual(['2', '4', '6', '8', '10', '1', '11'])
        const json = await customers().orderBy("c.profile ->> 'lang'").addOrderBy('c.id').limit(4).getRawMany()
        expect(json.map(({ c_id }) => c_id)).toEqual(['2', '5', '8', '3'])
      })
      it('by a property of an embedded', async () => {
        const found = await customers().orderBy('c.address.city').addOrderBy('c.id').limit(4).getMany()
        expect(ids(found)).toEqual(['1', '5', '9', '3'])
      })
      it('by an expression', async () => {
        const found = await customers().select('c.id', 'id').orderBy('c.id % 3').addOrderBy('c.id').getRawMany()
        expect(ids(found)).toEqual(['3', '6', '9', '1', '4', '7', '10', '2', '5', '8', '11'])
      })
      it('by a named expression', async () => {
        const found = await customers()
          .select('c.id', 'id')
          .addSelect('ABS(c.balance)', 'distance')
          .where('c.balance IS NOT NULL')
          .orderBy('distance')
          .limit(3)
          .getRawMany()
        expect(found).toEqual([
          { id: '4', distance: '2.0000' },
          { id: '3', distance: '8.5000' },
          { id: '5', distance: '12.5000' },
        ])
      })
      it('by a named expression that goes beside an entity', async () => {
        const { entities, raw } = await customers()
          .addSelect('LENGTH(c.name)', 'length')
          .orderBy('length', 'DESC')
          .addOrderBy('c.id')
          .limit(3)
          .getRawAndEntities()
        expect(ids(entities)).toEqual(['4', '9', '2'])
        expect(raw.map(({ length }) => length)).toEqual([8, 6, 5])
      })
      it('by a column that is not selected', async () => {
        const found = await customers()
          .select('c.name')
          .orderBy('c.points', 'DESC')
          .addOrderBy('c.id')
          .limit(3)
          .getMany()
        expect(found).toEqual([{ name: 'Zoë' }, { name: 'dora' }, { name: 'Fritz' }])
        const raw = await customers().select('c.name', 'name').orderBy('c.id', 'DESC').limit(2).getRawMany()
        expect(raw).toEqual([{ name: 'Fritz' }, { name: 'eve' }])
      })
      it('by an object', async () => {
        const found = await customers()
          .orderBy({ 'c.tier': 'DESC', 'c.points': { order: 'ASC', nulls: 'NULLS LAST' }, 'c.id': 'DESC' })
          .getMany()
        expect(ids(found)).toEqual(['9', '6', '3', '4', '1', '10', '7', '8', '5', '2', '11'])
      })
      it('by three columns in different directions', async () => {
        const found = await orders()
          .orderBy('o.status', 'DESC')
          .addOrderBy('o.total', 'ASC')
          .addOrderBy('o.number', 'DESC')
          .limit(8)
          .getMany()
        expect(numbers(found)).toEqual([11, 19, 7, 15, 23, 22, 2, 10])
      })
      it('by a random number', async () => {
        const found = await customers().select('c.id', 'id').orderBy('RANDOM()').getRawMany()
        expect(ids(found).toSorted()).toEqual(['1', '10', '11', '2', '3', '4', '5', '6', '7', '8', '9'])
      })
      it('replaces the order by a later one, or drops it', async () => {
        expect(ids(await customers().orderBy('c.points').orderBy('c.id', 'DESC').limit(2).getMany())).toEqual([
          '11',
          '10',
        ])
        expect(ids(await customers().orderBy('c.points').orderBy().where('c.id = 5').getMany())).toEqual(['5'])
      })
      it('by a key of two columns', async () => {
        const found = await categories().orderBy('g.name', 'DESC').addOrderBy('g.customerId', 'DESC').limit(3).getMany()
        expect(found.map(({ customerId, name }) => [customerId, name])).toEqual([
          ['11', 'office'],
          ['8', 'office'],
          ['5', 'office'],
        ])
      })
      it('inside one shard', async () => {
        const found = await orders().where('o.customerId = 4').orderBy('o.total').getMany()
        expect(numbers(found)).toEqual([8, 10, 7, 9])
      })
    })

    describe('pages', () => {
      const all = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11']
      it.each([
        [0, 3],
        [3, 3],
        [9, 3],
        [11, 3],
        [100, 5],
        [0, 100],
        [5, 1],
        [1, 10],
      ])('skips %i and takes %i', async (skip, take) => {
        expect(ids(await customers().orderBy('c.id').skip(skip).take(take).getMany())).toEqual(
          all.slice(skip, skip + take),
        )
        expect(ids(await customers().orderBy('c.id').offset(skip).limit(take).getMany())).toEqual(
          all.slice(skip, skip + take),
        )
      })
      it('has a limit without an offset, and an offset without a limit', async () => {
        expect(ids(await customers().orderBy('c.id').limit(4).getMany())).toEqual(all.slice(0, 4))
        expect(ids(await customers().orderBy('c.id').offset(8).getMany())).toEqual(all.slice(8))
        expect(ids(await customers().orderBy('c.id').skip(9).getMany())).toEqual(all.slice(9))
      })
      it('takes nothing', async () => {
        expect(await customers().orderBy('c.id').limit(0).getMany()).toEqual([])
      })
      it('drops a limit', async () => {
        expect(await customers().limit(2).limit(undefined).getMany()).toHaveLength(11)
      })
      it('takes without an order', async () => {
        const found = ids(await customers().take(5).getMany())
        expect(found).toHaveLength(5)
        expect(new Set(found).size).toBe(5)
        expect(found.every((id) => all.includes(id))).toBe(true)
      })
      it('goes on after a key', async () => {
        const found = await orders()
          .where('(o.total, o.number) > (:total, :number)', { total: '40.25', number: 10 })
          .orderBy('o.total')
          .addOrderBy('o.number')
          .limit(4)
          .getMany()
        expect(numbers(found)).toEqual([21, 7, 18, 4])
      })
      it('walks over all pages once', async () => {
        const seen: string[] = []
        for (let page = 0; page < 10; page++) {
          const found = await items()
            .orderBy('i.price')
            .addOrderBy('i.id')
            .skip(page * 5)
            .take(5)
            .getMany()
          expect(found).toHaveLength(page < 9 ? 5 : 2)
          seen.push(...ids(found))
        }
        expect(new Set(seen).size).toBe(47)
      })
      it('pages raw rows of an expression', async () => {
        const rows = await orders()
          .select('o.number', 'number')
          .addSelect('o.total * 2', 'double')
          .orderBy('double', 'DESC')
          .addOrderBy('o.number')
          .offset(1)
          .limit(3)
          .getRawMany()
        expect(rows).toEqual([
          { number: 6, double: '180.50' },
          { number: 17, double: '180.50' },
          { number: 9, double: '160.50' },
        ])
      })
      it('has parameters after a page', async () => {
        const query = customers().where('c.points >= :p', { p: 100 }).orderBy('c.id').skip(2).take(2)
        expect(ids(await query.getMany())).toEqual(['3', '5'])
        expect(ids(await query.setParameter('p', 300).getMany())).toEqual(['11'])
      })
    })
  })
})
