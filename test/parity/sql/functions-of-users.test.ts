import { beforeAll, describe, expect, it } from 'vitest'
import { answer, expectAlike, expectRefused, onEveryDatabase, openSides, rolledBack } from './sides'

describe('a stable function of the user that reads an unsharded table', () => {
  const sides = openSides()

  beforeAll(() =>
    onEveryDatabase(
      sides,
      `SET check_function_bodies = off;
       CREATE OR REPLACE FUNCTION public.code_of(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT code FROM ref WHERE id = $1'`,
    ),
  )

  it.each([1, 2, 3, 4, 5, 6])('is asked on the home node, wherever a transaction began: %d', async (k) => {
    for (const { name, shards, dataSource } of sides.sharded()) {
      if (shards < 2) continue
      await rolledBack(dataSource, async (runner) => {
        await runner.query(`SELECT 1 FROM acct WHERE k = ${k}`)
        const rows = await runner.query('SELECT count(*)::int AS n, code_of(3) AS c, now() = now() AS t FROM ord')
        expect({ name, rows }).toEqual({ name, rows: [{ n: 60, c: 'c3', t: true }] })
      })
    }
  })
})

describe('a volatile function of the user', () => {
  const sides = openSides()

  beforeAll(() =>
    onEveryDatabase(
      sides,
      `SET check_function_bodies = off;
       CREATE SEQUENCE IF NOT EXISTS public.drawn;
       CREATE OR REPLACE FUNCTION public.sorted(int[]) RETURNS int[] LANGUAGE sql AS 'SELECT array_agg(x ORDER BY x) FROM unnest($1) x';
       CREATE OR REPLACE FUNCTION public.plus(int, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1 + $2; END';
       CREATE OR REPLACE FUNCTION public.draw() RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('drawn') $$;
       CREATE OR REPLACE FUNCTION public.relabel(int, text) RETURNS text LANGUAGE sql AS 'UPDATE ref SET label = $2 WHERE id = $1 RETURNING code';
       CREATE OR REPLACE FUNCTION public.orders_of(int) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM ord WHERE k = $1';
       CREATE OR REPLACE FUNCTION public.settled_orders_of(int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM ord WHERE k = $1';
       CREATE OR REPLACE FUNCTION public.name_of(regclass) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $$t$$::text'`,
    ),
  )

  it.each([
    'SELECT k, sorted(array_agg(qty)) AS q FROM ord GROUP BY k ORDER BY k',
    'SELECT status, sorted(array_agg(id)) AS q FROM ord GROUP BY status ORDER BY 2',
    'SELECT id, plus(qty, 2) AS p FROM ord WHERE plus(id, 0) < 9 ORDER BY plus(qty, id), id LIMIT plus(2, 2) OFFSET plus(0, 1)',
    'SELECT DISTINCT plus(qty, k) AS p FROM ord ORDER BY 1',
    'SELECT a.k, s FROM acct a JOIN plus(3, 4) s ON a.k = s',
    'SELECT o.id, p.s FROM ord o, LATERAL plus(o.qty, 1) p(s) WHERE p.s = 3 ORDER BY o.id',
    'SELECT id FROM ord WHERE plus(qty, 1) = 2 UNION ALL SELECT plus(m, 100) FROM memo ORDER BY 1',
    'WITH x AS (SELECT k, sorted(array_agg(m.m)) AS s FROM acct JOIN memo m ON m.qty = acct.score GROUP BY k) SELECT x.s, count(*)::int AS n FROM x JOIN ord o ON o.k = x.k GROUP BY 1 ORDER BY 1',
    'SELECT count(DISTINCT draw()) AS n FROM ord',
    'SELECT r.id, sorted(array_agg(o.qty)) AS q FROM ref r JOIN ord o ON o.id = r.id GROUP BY r.id ORDER BY r.id',
  ])('is asked on the home node, over the rows of all shards: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT relabel(o.id, o.status) AS c FROM ord o WHERE o.status IS NOT NULL AND o.id < 9 ORDER BY o.id',
    'INSERT INTO memo (m, qty, note) SELECT o.id + 50, o.qty, relabel(o.id, $$seen$$) FROM ord o WHERE o.id IN (2, 3, 4)',
  ])('writes unsharded tables as it did: %s', async (text) => {
    const outcome = (dataSource: Parameters<typeof rolledBack>[0]) =>
      rolledBack(dataSource, async (runner) => [
        await answer(runner, text),
        await answer(runner, 'SELECT id, label FROM ref ORDER BY id'),
        await answer(runner, 'SELECT m, note FROM memo ORDER BY m'),
      ])
    const expected = await outcome(sides.plain())
    for (const { name, dataSource } of sides.sharded())
      expect([name, ...(await outcome(dataSource))]).toEqual([name, ...expected])
  })

  it('writes without a transaction, too', async () => {
    const label = async (text: string) => {
      const rows = []
      for (const dataSource of [sides.plain(), ...sides.sharded().map((side) => side.dataSource)]) {
        await dataSource.query(text)
        rows.push(await dataSource.query('SELECT label FROM ref WHERE id = 1'))
      }
      return rows
    }
    const written = await label(`SELECT relabel(o.qty, 'by a query') FROM ord o WHERE o.qty = 1 AND o.id > 3`)
    expect(new Set(written.map((rows) => JSON.stringify(rows)))).toEqual(new Set(['[{"label":"by a query"}]']))
    await label(`UPDATE ref SET label = 'l1' WHERE id = 1`)
  })

  it.each(['UPDATE ord SET qty = plus(qty, 1) WHERE id < 9', 'DELETE FROM ord WHERE plus(qty, 1) = 2'])(
    'is refused in a write of several shards: %s',
    (text) => expectRefused(sides, text),
  )

  it.each([
    'SELECT k, orders_of(k) FROM acct',
    'SELECT k, settled_orders_of(k) FROM acct',
    `SELECT count(*) FROM acct WHERE name_of('ord') = 't'`,
  ])('does not find rows of shards: %s', async (text) => {
    for (const { name, dataSource } of sides.sharded())
      expect([name, await answer(dataSource, text)]).toEqual([name, { error: 'STATEMENT_UNSUPPORTED' }])
  })

  it('leaves mistakes to PostgreSQL', () => expectAlike(sides, 'SELECT ord.id FROM ord o'))
})
