import { describe, expect, it } from 'vitest'
import { expectAlike, expectRefused, onEveryDatabase, openSides } from './sides'

describe('volatile functions over shards', () => {
  const sides = openSides()

  it.each([
    'SELECT count(DISTINCT random()) FROM ord',
    'SELECT count(DISTINCT gen_random_uuid()), count(*) FROM ord',
    'SELECT count(*) FROM (SELECT DISTINCT random() FROM ord) x',
    'SELECT count(*) FROM (SELECT random() FROM ord GROUP BY random()) x',
    'SELECT count(*) FROM (SELECT random() r, count(*) FROM ord GROUP BY 1) x',
    'SELECT count(DISTINCT r) FROM (SELECT id, random() AS r FROM ord) x',
    'SELECT count(*) FROM (SELECT id FROM ord ORDER BY random() LIMIT 5) x',
    'SELECT count(DISTINCT n) FROM (SELECT row_number() OVER (ORDER BY random()) AS n FROM ord) x',
    'SELECT count(*) FROM ord WHERE random() < 2',
  ])('are asked once a row: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT count(DISTINCT r) FROM (SELECT (SELECT random()) AS r FROM ord) x',
    'SELECT count(DISTINCT r) FROM ord, (SELECT random() AS r) x',
    'SELECT count(DISTINCT r) FROM ord, LATERAL (SELECT random() AS r) x',
    'WITH x AS (SELECT random() AS r) SELECT count(DISTINCT r) FROM ord, x',
    'WITH x AS (SELECT random() r) SELECT count(*) FROM ord WHERE qty > (SELECT r - 5 FROM x)',
    'SELECT count(DISTINCT r) FROM ord JOIN (VALUES (random())) v(r) ON true',
  ])('are asked once where they hang on no row: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT count(*) FROM (SELECT random() a, random() b, row_number() OVER () FROM ord) x WHERE a <> b',
    'SELECT count(*) FROM (SELECT DISTINCT random() a, random() b FROM ord) x WHERE a <> b',
    'SELECT count(*) FROM (SELECT random() a, random() b FROM ord LIMIT 30) x WHERE a <> b',
    'SELECT max(a) <> max(b) AS differ FROM (SELECT random() a, random() b, row_number() OVER () FROM ord) x',
    'SELECT sum(random()) <> sum(random()) AS differ, count(DISTINCT id) FROM ord',
    'SELECT sum(random()) <> sum(random()) AS differ, status FROM ord GROUP BY status ORDER BY status',
  ])('are asked once for each place where they stand: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT random() AS r, row_number() OVER () FROM ord ORDER BY r',
    'SELECT random() AS r, row_number() OVER () FROM ord ORDER BY random()',
    'SELECT random() AS r FROM ord ORDER BY r',
    'SELECT random() AS r FROM ord ORDER BY random() LIMIT 20',
    'SELECT random() AS r, count(*) FROM ord GROUP BY random() ORDER BY r',
    'SELECT avg(random()) AS r, status FROM ord GROUP BY status ORDER BY r',
    'SELECT DISTINCT random() AS a, random() AS r FROM ord ORDER BY r LIMIT 20',
  ])('are the same in an output and in the order by it: %s', async (text) => {
    for (const dataSource of [sides.plain(), ...sides.sharded().map((side) => side.dataSource)]) {
      const rows: { r: number }[] = await dataSource.query(text)
      const numbers = rows.map(({ r }) => r)
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
    }
  })

  it('are asked once for a CTE that is read twice', () =>
    expectAlike(
      sides,
      'WITH x AS (SELECT id, random() r FROM ord) SELECT count(*) FROM x a JOIN x b ON a.id = b.id AND a.r = b.r',
    ))

  it.each([
    'SELECT count(DISTINCT r) FROM ord CROSS JOIN random() r',
    'WITH x AS (SELECT random() r) SELECT count(*) FROM (SELECT id FROM ord UNION ALL SELECT 1 FROM x) y WHERE y.id IS NULL AND false',
    'WITH x AS (SELECT random() r) SELECT count(*) FROM (SELECT r FROM x WHERE EXISTS (SELECT FROM ord) UNION SELECT r FROM x) y',
  ])('are asked on one node where each shard would be: %s', (text) => expectAlike(sides, text))

  it('are refused where they speak of a node', () =>
    expectRefused(sides, 'SELECT id FROM ord WHERE pg_relation_size(0) > 0'))

  it('are known by the catalog of the nodes: functions of users too', async () => {
    await onEveryDatabase(
      sides,
      `CREATE OR REPLACE FUNCTION public.noise(int) RETURNS float8 LANGUAGE sql VOLATILE PARALLEL SAFE AS 'SELECT random() + $1 * 0';
       CREATE SEQUENCE IF NOT EXISTS public.numbers;
       CREATE OR REPLACE FUNCTION public.next_no() RETURNS bigint LANGUAGE sql VOLATILE AS $$ SELECT nextval('numbers') $$;
       CREATE OR REPLACE AGGREGATE public.list_of(int) (sfunc = array_append, stype = int[], initcond = '{}')`,
    )
    await expectAlike(sides, 'SELECT count(DISTINCT noise(id)) FROM ord')
    await expectAlike(sides, 'SELECT cardinality(list_of(id)) AS n, count(*) FROM ord')
    await expectAlike(sides, 'SELECT k, cardinality(list_of(id)) AS n FROM ord GROUP BY k ORDER BY k')
    // A sequence of each node would give the same numbers twice: it is asked on the home node.
    await expectAlike(sides, 'SELECT count(DISTINCT n) FROM (SELECT next_no() AS n FROM ord) x')
    await expectRefused(sides, 'UPDATE ord SET qty = next_no() WHERE id < 0')
    await expectAlike(sides, 'SELECT count(*) FROM ord WHERE (SELECT next_no()) > 0')
  })
})
