import { beforeEach, describe, expect, it } from 'vitest'
import { onTargets } from '../../support/targets'
import { expectExactOrRefused } from './builders'
import { Customer, Order, shop } from './shop'
import { openShop } from './shop-rows'

describe('raw SQL that reads', () => {
  onTargets({ ...shop, seed: openShop }, (target) => {
    const query = (text: string, parameters?: unknown[]) => target.dataSource.query(text, parameters)

    it('names tables as the entities do', async () => {
      expect(await query('SELECT id, name FROM customer WHERE id <= 2 ORDER BY id')).toEqual([
        { id: '1', name: 'Ada' },
        { id: '2', name: 'Émile' },
      ])
    })
    it('names tables in quotes, with a schema, and in capitals', async () => {
      expect(await query('SELECT number FROM "order" WHERE number = 5')).toEqual([{ number: 5 }])
      expect(await query('SELECT number FROM public."order" WHERE number = 5')).toEqual([{ number: 5 }])
      expect(await query('SELECT id FROM CUSTOMER WHERE ID = 5')).toEqual([{ id: '5' }])
    })
    it('has parameters', async () => {
      expect(
        await query('SELECT number FROM "order" WHERE "customerId" = $1 AND total > $2 ORDER BY number', [4, 45]),
      ).toEqual([{ number: 7 }, { number: 9 }])
      expect(
        await query('SELECT number FROM "order" WHERE "customerId" = ANY($1) ORDER BY number', [['1', '6']]),
      ).toEqual([{ number: 1 }, { number: 11 }])
    })
    it('uses one parameter twice, and parameters out of order', async () => {
      expect(
        await query('SELECT id FROM customer WHERE points = $2 AND id > $1 OR id = $1 ORDER BY id', [5, 300]),
      ).toEqual([{ id: '5' }, { id: '7' }, { id: '11' }])
    })
    it('reads deleted rows as well: nobody hides them', async () => {
      expect(await query('SELECT COUNT(*) AS n FROM customer')).toEqual([{ n: '12' }])
      expect(await query('SELECT COUNT(*)::int AS n FROM "order"')).toEqual([{ n: 23 }])
    })
    it('selects everything of a table', async () => {
      const rows = await query('SELECT * FROM warehouse ORDER BY code DESC LIMIT 1')
      expect(rows).toEqual([{ code: 'W5', city: 'Paris', capacity: 500 }])
    })
    it('orders and limits by position and by name', async () => {
      expect(await query('SELECT id, points AS p FROM customer ORDER BY 2 DESC, 1 LIMIT 3')).toEqual([
        { id: '3', p: 300 },
        { id: '7', p: 300 },
        { id: '11', p: 300 },
      ])
      expect(
        await query('SELECT id, points AS p FROM customer ORDER BY p, id DESC OFFSET 1 FETCH FIRST 2 ROWS ONLY'),
      ).toEqual([
        { id: '8', p: 0 },
        { id: '4', p: 0 },
      ])
      expect(await query('SELECT id FROM customer ORDER BY id LIMIT $1 OFFSET $2', [2, 3])).toEqual([
        { id: '4' },
        { id: '5' },
      ])
    })
    it('groups', async () => {
      expect(
        await query(
          'SELECT tier, COUNT(*) AS n, AVG(points) AS mean FROM customer GROUP BY tier HAVING COUNT(*) > 3 ORDER BY tier',
        ),
      ).toEqual([
        { tier: 'silver', n: '4', mean: '150.0000000000000000' },
        { tier: 'bronze', n: '4', mean: '150.0000000000000000' },
        { tier: 'gold', n: '4', mean: '150.0000000000000000' },
      ])
    })
    it('groups by position', async () => {
      expect(await query('SELECT active, SUM(points) FROM customer GROUP BY 1 ORDER BY 1')).toEqual([
        { active: false, sum: '600' },
        { active: true, sum: '1200' },
      ])
    })
    it('selects distinct rows', async () => {
      expect(await query('SELECT DISTINCT points FROM customer ORDER BY points')).toEqual([
        { points: 0 },
        { points: 100 },
        { points: 200 },
        { points: 300 },
      ])
    })
    it('joins on the shard key', async () => {
      expect(
        await query(
          'SELECT c.name, o.number FROM customer c JOIN "order" o ON o."customerId" = c.id WHERE o.total < 11 ORDER BY o.number',
        ),
      ).toEqual([
        { name: 'ångström', number: 8 },
        { name: 'Çelik', number: 11 },
        { name: 'Øyvind', number: 19 },
        { name: 'Ñandú', number: 22 },
      ])
    })
    it('joins with a comma and a condition', async () => {
      expect(
        await query('SELECT i.id FROM "order" o, item i WHERE i."orderId" = o.id AND o.number = $1 ORDER BY i.id', [2]),
      ).toEqual([{ id: '21' }, { id: '22' }, { id: '23' }])
    })
    it('joins tables without aliases', async () => {
      expect(
        await query(
          'SELECT customer.id FROM customer LEFT JOIN "order" ON "order"."customerId" = customer.id WHERE "order".id IS NULL ORDER BY customer.id',
        ),
      ).toEqual([{ id: '5' }, { id: '10' }])
    })
    it('uses a common table expression', async () => {
      expect(
        await query(
          'WITH own AS (SELECT number, total FROM "order" WHERE "customerId" = $1) SELECT number FROM own WHERE total > 45 ORDER BY number',
          ['4'],
        ),
      ).toEqual([{ number: 7 }, { number: 9 }])
    })
    it('computes without any table', async () => {
      expect(await query('SELECT 1 + $1::int AS n', [2])).toEqual([{ n: 3 }])
      expect(await query("SELECT 'customer' AS text")).toEqual([{ text: 'customer' }])
    })
    it('reads an unsharded table', async () => {
      expect(await query('SELECT name FROM setting WHERE value > $1 ORDER BY name', [0])).toEqual([
        { name: 'currency' },
        { name: 'limit' },
      ])
    })
    it('leaves names in literals and comments alone', async () => {
      expect(
        await query('SELECT \'from "order"\' AS a, id /* from customer */ FROM customer -- customer\nWHERE id = 1'),
      ).toEqual([{ a: 'from "order"', id: '1' }])
    })
    it('unites rows of two tables', () =>
      expectExactOrRefused(
        target,
        () => query('SELECT code FROM warehouse WHERE capacity > 400 UNION ALL SELECT name FROM setting ORDER BY 1'),
        [{ code: 'W5' }, { code: 'currency' }, { code: 'empty' }, { code: 'limit' }],
      ))
    it('unites rows of one group', () =>
      expectExactOrRefused(
        target,
        () =>
          query(
            'SELECT id FROM customer WHERE id < 3 UNION SELECT "customerId" FROM "order" WHERE number < 5 ORDER BY 1',
          ),
        [{ id: '1' }, { id: '2' }, { id: '3' }],
      ))
    it('subtracts', () =>
      expectExactOrRefused(
        target,
        () => query('SELECT id FROM customer EXCEPT SELECT "customerId" FROM "order" ORDER BY 1'),
        [{ id: '5' }, { id: '10' }],
      ))

    it('goes through a repository, a manager, a query runner', async () => {
      const text = 'SELECT number FROM "order" WHERE "customerId" = 6'
      expect(await target.dataSource.getRepository(Order).query(text)).toEqual([{ number: 11 }])
      expect(await target.dataSource.getRepository(Customer).query(text)).toEqual([{ number: 11 }])
      expect(await target.dataSource.manager.query(text)).toEqual([{ number: 11 }])
      const runner = target.dataSource.createQueryRunner()
      try {
        expect(await runner.query(text)).toEqual([{ number: 11 }])
      } finally {
        await runner.release()
      }
    })
    it('is a tagged template', async () => {
      const { dataSource } = target
      const customer = 4
      const found = await dataSource.sql<
        { number: number }[]
      >`SELECT number FROM "order" WHERE "customerId" = ${customer} ORDER BY number`
      expect(found.map(({ number }) => number)).toEqual([7, 8, 9, 10])
      const some = [1, 6]
      expect(
        await dataSource.manager.sql`SELECT number FROM "order" WHERE "customerId" IN (${() => some}) ORDER BY number`,
      ).toEqual([{ number: 1 }, { number: 11 }])
      expect(
        await dataSource.getRepository(Order).sql`SELECT COUNT(*)::int AS n FROM "order" WHERE total > ${50}`,
      ).toEqual([{ n: 13 }])
    })
    it('sees what its transaction wrote, and nothing else does', async () => {
      await target.dataSource
        .transaction(async (manager) => {
          await manager.query('UPDATE customer SET points = points + 1 WHERE id IN (1, 2)')
          expect(await manager.query('SELECT points FROM customer WHERE id IN (1, 2) ORDER BY id')).toEqual([
            { points: 101 },
            { points: 201 },
          ])
          throw new Error('undo')
        })
        .catch((error: Error) => expect(error.message).toBe('undo'))
      expect(await query('SELECT points FROM customer WHERE id IN (1, 2) ORDER BY id')).toEqual([
        { points: 100 },
        { points: 200 },
      ])
    })
    it('fails for mistakes with the error of PostgreSQL', async () => {
      await expect(query('SELECT nothing FROM customer')).rejects.toThrow('column "nothing" does not exist')
      await expect(query('SELECT 1 FROM nowhere')).rejects.toThrow('relation "nowhere" does not exist')
      await expect(query('SELEC 1')).rejects.toThrow('syntax error at or near "SELEC"')
    })
  })
})

describe('raw SQL that writes', () => {
  onTargets(shop, (target) => {
    const query = (text: string, parameters?: unknown[]) => target.dataSource.query(text, parameters)
    beforeEach(() => openShop(target.dataSource))

    it('updates one shard, and tells how many rows', async () => {
      expect(await query('UPDATE "order" SET note = $1 WHERE "customerId" = $2', ['x', 4])).toEqual([[], 4])
      expect(await query('SELECT number FROM "order" WHERE note = $1 ORDER BY number', ['x'])).toEqual([
        { number: 7 },
        { number: 8 },
        { number: 9 },
        { number: 10 },
      ])
    })
    it('updates all shards', async () => {
      expect(await query("UPDATE customer SET name = 'x' WHERE points = 300")).toEqual([[], 3])
      expect(await query("SELECT id FROM customer WHERE name = 'x' ORDER BY id")).toEqual([
        { id: '3' },
        { id: '7' },
        { id: '11' },
      ])
    })
    it('returns what it updated', async () => {
      const [rows, affected] = await query('UPDATE customer SET points = 7 WHERE id IN (1, 2, 3) RETURNING id, points')
      expect(affected).toBe(3)
      expect(rows.toSorted((a: { id: string }, b: { id: string }) => Number(a.id) - Number(b.id))).toEqual([
        { id: '1', points: 7 },
        { id: '2', points: 7 },
        { id: '3', points: 7 },
      ])
    })
    it('deletes', async () => {
      expect(await query('DELETE FROM item WHERE "customerId" = 4')).toEqual([[], 8])
      expect(await query('DELETE FROM item WHERE quantity > 3')).toEqual([[], 4])
      expect(await query('SELECT COUNT(*)::int AS n FROM item')).toEqual([{ n: 35 }])
    })
    it('inserts one row, and rows of several shards', async () => {
      expect(
        await query('INSERT INTO warehouse (code, city, capacity) VALUES ($1, $2, $3)', ['X1', 'Bern', 1]),
      ).toEqual([])
      expect(
        await query(
          "INSERT INTO warehouse (code, city, capacity) VALUES ('X2', 'Bern', 2), ('X3', 'Bern', 3), ('X4', 'Bern', 4) RETURNING code",
        ),
      ).toEqual([{ code: 'X2' }, { code: 'X3' }, { code: 'X4' }])
      expect(await query("SELECT code FROM warehouse WHERE city = 'Bern' ORDER BY code")).toEqual([
        { code: 'X1' },
        { code: 'X2' },
        { code: 'X3' },
        { code: 'X4' },
      ])
      expect(await query("SELECT capacity FROM warehouse WHERE code = 'X3'")).toEqual([{ capacity: 3 }])
    })
    it('inserts over a conflict', async () => {
      await query(
        "INSERT INTO warehouse (code, city, capacity) VALUES ('W1', 'Bern', 1), ('W9', 'Bern', 9) ON CONFLICT (code) DO UPDATE SET city = EXCLUDED.city",
      )
      expect(await query("SELECT code, capacity FROM warehouse WHERE city = 'Bern' ORDER BY code")).toEqual([
        { code: 'W1', capacity: 100 },
        { code: 'W9', capacity: 9 },
      ])
    })
    it('updates from a colocated table', async () => {
      const [, affected] = await query(
        'UPDATE item SET quantity = 0 FROM "order" o WHERE o.id = item."orderId" AND o."customerId" = item."customerId" AND o.number = 5',
      )
      expect(affected).toBe(3)
      expect(await query('SELECT id FROM item WHERE quantity = 0 ORDER BY id')).toEqual([
        { id: '51' },
        { id: '52' },
        { id: '53' },
      ])
    })
    it('deletes using a colocated table', async () => {
      const [, affected] = await query(
        'DELETE FROM payment USING "order" o WHERE o."customerId" = payment."customerId" AND o.id = payment."orderId" AND o.total > 80',
      )
      expect(affected).toBe(3)
      expect(await query('SELECT COUNT(*)::int AS n FROM payment')).toEqual([{ n: 8 }])
    })
    it('writes an unsharded table', async () => {
      expect(await query("UPDATE setting SET value = 9 WHERE name = 'limit' RETURNING value")).toEqual([
        [{ value: 9 }],
        1,
      ])
    })
    it('refuses a second row of one key, as PostgreSQL does', async () => {
      await expect(query("INSERT INTO warehouse (code, city, capacity) VALUES ('W1', 'x', 1)")).rejects.toThrow(
        'duplicate key',
      )
    })
    it('does not move a row by changing its shard key', async () => {
      const change = query('UPDATE warehouse SET code = $1 WHERE code = $2', ['W1x', 'W1'])
      if (target.shards === 0) expect(await change).toEqual([[], 1])
      else await expect(change).rejects.toMatchObject({ code: expect.stringMatching(/^[A-Z_]+$/) })
      expect(await query('SELECT COUNT(*)::int AS n FROM warehouse')).toEqual([{ n: 5 }])
    })
  })
})
