import type { DataSource } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { expectAlike, expectRefused, openSides } from './sides'
import { Ord } from './world'

describe('names of outputs over shards', () => {
  const sides = openSides()

  it.each([
    'SELECT count(*), (SELECT max(id) FROM ord) FROM ord',
    'SELECT max FROM (SELECT (SELECT max(id) FROM ord), a.k FROM acct a) x ORDER BY k LIMIT 2',
    'SELECT ARRAY(SELECT id FROM ord ORDER BY id LIMIT 2), EXISTS (SELECT 1 FROM ord) FROM acct ORDER BY k LIMIT 1',
    `SELECT json_object('a': id), json_array(id), json_scalar(id), json_serialize(doc) FROM ord ORDER BY id LIMIT 2`,
    `SELECT json('{}'), doc IS JSON FROM ord ORDER BY id LIMIT 1`,
    'SELECT xmlforest(id), xmlelement(name x, id), xmlconcat(xmlelement(name y)) FROM ord ORDER BY id LIMIT 2',
    `SELECT xmlroot(xml '<a/>', version '1.0'), xmlpi(name php), xmlserialize(content xml '<a/>' AS text) FROM ord ORDER BY id LIMIT 1`,
    'SELECT qty::text, CASE WHEN qty > 1 THEN 1 END, COALESCE(qty, 1), NULLIF(qty, 1), qty + 1 FROM ord ORDER BY id LIMIT 1',
    'SELECT count(*) FILTER (WHERE qty > 1), sum(qty)::int, avg(qty) FROM ord',
    'WITH c AS (SELECT max(qty) FROM ord) SELECT id, (SELECT * FROM c) FROM ord ORDER BY 1 LIMIT 1',
    'WITH c AS (SELECT max(qty) AS m FROM ord) SELECT (SELECT * FROM c LIMIT 1)',
    'WITH c AS (SELECT max(qty) AS m FROM ord) SELECT count(*), (SELECT * FROM c c1 JOIN c c2 USING (m)) FROM ord',
    'SELECT (SELECT t.* FROM (SELECT max(qty) FROM ord) t), k FROM acct ORDER BY k LIMIT 2',
    'SELECT CASE WHEN k > 1 THEN 1 ELSE (SELECT * FROM (SELECT max(qty) AS x FROM ord) t) END, k FROM acct ORDER BY k LIMIT 2',
    'SELECT (SELECT * FROM (VALUES (3)) v), (SELECT * FROM (VALUES (3)) v(z)) FROM acct ORDER BY k LIMIT 2',
    'SELECT (SELECT * FROM generate_series(1, 1)), (SELECT * FROM generate_series(1, 1) g) FROM acct ORDER BY k LIMIT 2',
    'SELECT (VALUES (1)), (SELECT max(id) FROM ref UNION SELECT 8), k FROM acct ORDER BY k LIMIT 2',
    'SELECT (SELECT max(qty) FROM ord UNION SELECT 8), k FROM acct ORDER BY k LIMIT 2',
    'SELECT max FROM (SELECT (SELECT t.* FROM (SELECT max(qty) FROM ord) t), k FROM acct) x ORDER BY k LIMIT 2',
    'SELECT (SELECT * FROM (SELECT max(qty) AS x FROM ord) t) FROM acct UNION SELECT 3 ORDER BY x',
  ])('are those of the statement as it is written: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT a FROM ord AS o(a, b) ORDER BY b LIMIT 3',
    'SELECT a, c FROM ord AS o(a, b, c) ORDER BY c DESC, b, a LIMIT 7',
    'SELECT o.id FROM ord AS o(x, id) ORDER BY o.id LIMIT 7',
    'SELECT j.a FROM (ord o JOIN item i ON i.k = o.k) AS j(a, b) ORDER BY j.b, j.a LIMIT 4',
  ])('that an alias gives to columns order a page: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT k FROM acct WHERE EXISTS (SELECT FROM ord WHERE qty > 3) ORDER BY k LIMIT 2',
    'SELECT k FROM acct WHERE EXISTS (SELECT FROM ord WHERE qty > 300) ORDER BY k LIMIT 2',
    'SELECT k FROM acct WHERE NOT EXISTS (SELECT FROM ord GROUP BY status HAVING count(*) > 3) ORDER BY k LIMIT 2',
    'SELECT k FROM acct WHERE EXISTS (SELECT FROM ord LIMIT 3) ORDER BY k LIMIT 2',
    'SELECT k FROM acct WHERE EXISTS (SELECT DISTINCT status FROM ord) ORDER BY k LIMIT 2',
    'SELECT k FROM acct a WHERE EXISTS (SELECT FROM ord o WHERE o.k = a.k) ORDER BY k LIMIT 2',
    'SELECT FROM ord WHERE qty = 3',
  ])('are none in a query without columns: %s', (text) => expectAlike(sides, text))

  const own = [
    '__arm',
    '__arm__',
    '__ro0',
    '__rk0',
    '__u1',
    '__w0__',
    '__same__',
    '__types__',
    '__place__',
    '__proto__',
  ]
  it.each(own)('may be those that statements over shards use: %s', async (name) => {
    await expectAlike(sides, `SELECT id, qty AS "${name}" FROM ord ORDER BY id LIMIT 5`)
    await expectAlike(sides, `SELECT status AS "${name}", id FROM ord ORDER BY qty DESC, "${name}", id LIMIT 5`)
    await expectAlike(sides, `SELECT id, qty AS "${name}" FROM ord`)
    await expectAlike(sides, `SELECT qty AS "${name}", count(*) FROM ord GROUP BY "${name}" ORDER BY "${name}"`)
    await expectAlike(sides, `WITH "${name}" AS (SELECT 1 AS one) SELECT id FROM ord, "${name}" ORDER BY id LIMIT 3`)
    await expectAlike(sides, `UPDATE ord SET qty = qty RETURNING id, qty AS "${name}"`)
    await expectAlike(sides, `UPDATE ord SET qty = qty WHERE id > $1 RETURNING id, qty AS "${name}"`, [3])
    await expectAlike(
      sides,
      `WITH "${name}" AS (SELECT 4 AS four) UPDATE ord SET qty = qty FROM "${name}" WHERE id > $1`,
      [3],
    )
    await expectAlike(
      sides,
      `INSERT INTO acct (k, name, score) VALUES (1, 'x', 1), (2, 'x', 1), (3, 'x', 1), (4, 'x', 1)
        ON CONFLICT (k) DO UPDATE SET name = acct.name RETURNING k, score AS "${name}"`,
    )
  })

  it.each(own)('may be those that streams use: %s', async (name) => {
    const text = `SELECT id, qty AS "${name}" FROM ord ORDER BY id LIMIT 5`
    const expected = await sides.plain().query(text)
    for (const { dataSource } of sides.sharded()) {
      const runner = dataSource.createQueryRunner()
      const rows: unknown[] = []
      for await (const row of await runner.stream(text)) rows.push(row)
      await runner.release()
      expect(JSON.stringify(rows)).toBe(JSON.stringify(expected))
    }
  })

  it.each(own)('may be those of builders: %s', async (name) => {
    const rows = (dataSource: DataSource) =>
      dataSource.createQueryBuilder(Ord, 'o').addSelect('o.qty + 1', name).orderBy('o.id').limit(7).getRawMany()
    const expected = JSON.stringify(await rows(sides.plain()))
    for (const { dataSource } of sides.sharded()) expect(JSON.stringify(await rows(dataSource))).toBe(expected)
  })

  it.each(['__m0__', '__held0__', '__shipped__'])(
    'of queries that statements over shards use are refused: %s',
    (name) =>
      expectRefused(sides, `WITH ${name} AS (SELECT max(qty) AS m FROM ord) SELECT k FROM acct, ${name} ORDER BY k`),
  )

  it('of a derived table may be none', () =>
    expectAlike(sides, 'SELECT a.k FROM acct a, (SELECT FROM ord ORDER BY id LIMIT 2) x ORDER BY 1'))
})
