import { on } from 'node:events'
import { QueryFailedError } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { onTargets } from '../../support/targets'
import { builders, expectExactOrRefused } from './builders'
import { shop } from './shop'
import { openShop, orderId } from './shop-rows'

describe('streams of a query builder', () => {
  onTargets({ ...shop, seed: openShop }, (target) => {
    const { customers, orders, items, settings } = builders(target)
    const read = async (query: { stream(): Promise<AsyncIterable<unknown>> }): Promise<unknown[]> => {
      const rows: unknown[] = []
      for await (const row of await query.stream()) rows.push(row)
      return rows
    }

    it('gives raw rows in order', async () => {
      const rows = await read(customers().select(['c.id', 'c.name']).orderBy('c.id', 'DESC'))
      expect(rows).toHaveLength(11)
      expect(rows.slice(0, 2)).toEqual([
        { c_id: '11', c_name: 'Fritz' },
        { c_id: '10', c_name: 'eve' },
      ])
    })
    it('gives every row once, without an order', async () => {
      const rows = await read(items().select('i.id', 'id'))
      expect(new Set((rows as { id: string }[]).map(({ id }) => id)).size).toBe(47)
      expect(rows).toHaveLength(47)
    })
    it('gives the rows of one shard', async () => {
      const rows = await read(
        orders().select('o.number', 'number').where('o.customerId = :c', { c: 4 }).orderBy('o.total'),
      )
      expect(rows).toEqual([{ number: 8 }, { number: 10 }, { number: 7 }, { number: 9 }])
    })
    it('gives whole rows in their types', async () => {
      const [row] = await read(orders().where('o.number = 6'))
      expect(row).toMatchObject({
        o_id: orderId(6),
        o_customerId: '3',
        o_total: '90.25',
        o_placedAt: new Date('2024-01-04T00:00:00Z'),
        o_note: null,
      })
    })
    it('merges ties, nulls and limits', async () => {
      const rows = await read(
        customers().select('c.id', 'id').orderBy('c.score', 'DESC').addOrderBy('c.id').limit(5).offset(1),
      )
      expect(rows).toEqual([{ id: '10' }, { id: '11' }, { id: '9' }, { id: '8' }, { id: '7' }])
    })
    it('streams a join', async () => {
      const rows = await read(
        customers().innerJoin('c.orders', 'o').select(['c.id', 'o.number']).where('o.total < 11').orderBy('o.number'),
      )
      expect(rows).toEqual([
        { c_id: '4', o_number: 8 },
        { c_id: '6', o_number: 11 },
        { c_id: '9', o_number: 19 },
      ])
    })
    it('streams groups', () =>
      expectExactOrRefused(
        target,
        () =>
          read(
            orders().select('o.status', 'status').addSelect('COUNT(*)', 'n').groupBy('o.status').orderBy('o.status'),
          ),
        [
          { status: 'pending', n: '4' },
          { status: 'paid', n: '6' },
          { status: 'shipped', n: '6' },
          { status: 'cancelled', n: '5' },
        ],
      ))
    it('streams no rows', async () => {
      expect(await read(customers().where('c.points > 999'))).toEqual([])
    })
    it('streams an unsharded table', async () => {
      expect(await read(settings().select('s.name', 'name').orderBy('s.name'))).toEqual([
        { name: 'currency' },
        { name: 'empty' },
        { name: 'limit' },
      ])
    })
    it('is a readable that tells of data and of its end', async () => {
      const stream = await customers().select('c.id', 'id').orderBy('c.id').limit(3).stream()
      const rows: unknown[] = []
      for await (const [row] of on(stream, 'data', { close: ['end'] })) rows.push(row)
      expect(rows).toEqual([{ id: '1' }, { id: '2' }, { id: '3' }])
    })
    it('may be left early, again and again, without keeping connections', async () => {
      for (let round = 0; round < 30; round++) {
        const stream = await items().select('i.id', 'id').orderBy('i.id').stream()
        for await (const row of stream) {
          expect(row).toEqual({ id: '11' })
          break
        }
      }
      expect(await items().getCount()).toBe(47)
    })
    it('fails for a mistake in the query', async () => {
      await expect(read(customers().where('c.nothing = 1'))).rejects.toThrow('does not exist')
      // The driver's own error, over one shard, over several, and where one node finishes.
      for (const query of [
        customers().where('c.nothing = 1'),
        customers().where('c.id = 1 AND c.nothing = 1'),
        customers().select('count(*)').having('max(c.nothing) > 1'),
        customers().select('c.id').where('10 / (c.id - c.id) = 1'),
      ])
        await expect(read(query)).rejects.not.toBeInstanceOf(QueryFailedError)
      expect(await customers().getCount()).toBe(11)
    })
  })
})
