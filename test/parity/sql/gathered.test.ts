import type { DataSource } from 'typeorm'
import { describe, expect, it } from 'vitest'
import type { ShardedDataSource } from '../../../src/index'
import type { ShardedQueryRunner } from '../../../src/typeorm/operations/sharded-query-runner'
import { answer, expectAlike, expectRefused, openSides, rolledBack } from './sides'

const joins = [
  'SELECT o.id, m.m FROM ord o JOIN memo m ON m.qty = o.qty ORDER BY 1, 2',
  'SELECT a.id, b.id AS other FROM ord a JOIN ord b ON a.qty = b.qty AND a.id < b.id ORDER BY 1, 2',
  "SELECT m.m, o.id FROM memo m LEFT JOIN ord o ON o.qty = m.qty AND o.status = 'new' ORDER BY 1, 2",
  'SELECT m.m, o.id FROM memo m LEFT JOIN ord o ON o.qty = m.qty WHERE o.id IS NULL OR o.qty > 4 ORDER BY 1, 2',
  'SELECT m.m, o.id FROM memo m LEFT JOIN ord o ON o.qty = m.qty WHERE o.status IS NULL ORDER BY 1, 2',
  'SELECT m.m, o.id FROM ord o RIGHT JOIN memo m ON o.qty = m.qty AND o.id > 20 ORDER BY 1, 2',
  'SELECT m.m, o.id FROM memo m FULL JOIN ord o ON o.qty = m.qty AND o.qty > 3 AND m.m < 4 ORDER BY 1, 2',
  'SELECT r.id, o.id AS oid, a.name FROM ref r LEFT JOIN ord o ON o.qty = r.id LEFT JOIN acct a ON a.score = o.qty ORDER BY 1, 2, 3',
  'SELECT r.id, x.id AS oid FROM ref r FULL JOIN (SELECT * FROM ord WHERE qty > 3) x ON x.qty = r.id ORDER BY 1, 2',
  'SELECT m.m, x.n FROM memo m LEFT JOIN (SELECT qty, count(*) AS n FROM ord WHERE status IS NOT NULL GROUP BY qty) x ON x.qty = m.qty ORDER BY 1',
  'SELECT count(*) FROM ord CROSS JOIN memo',
  'SELECT * FROM memo NATURAL JOIN (SELECT qty, status FROM ord) x ORDER BY m, status',
  'SELECT * FROM ord o JOIN memo m USING (qty) ORDER BY o.id, m.m',
  'SELECT (m).*, o.id FROM memo m JOIN ord o ON o.qty = m.qty ORDER BY m, o.id LIMIT 7',
  'SELECT row_to_json(m) AS j FROM memo m JOIN ord o ON o.qty = m.qty ORDER BY o.id, m.m LIMIT 3',
  'SELECT x.a, x.b, x.c FROM (memo m JOIN ord o ON o.qty = m.qty) AS x(a, b, c, d) ORDER BY x.a, x.d',
  'SELECT x.qty, x.b FROM (memo m JOIN ord o USING (qty)) AS x(qty, b) FULL JOIN ord p USING (qty) ORDER BY 1, 2 LIMIT 30',
  'SELECT x.a, x.b FROM memo AS x(a, b) JOIN ord o ON o.qty = x.b ORDER BY 1, 2, o.id',
]

const subqueries = [
  'SELECT o.id FROM ord o WHERE EXISTS (SELECT FROM memo m WHERE m.qty > o.qty AND m.note < o.status) ORDER BY 1',
  'SELECT o.id, (SELECT max(i.n) FROM item i WHERE i.n < o.qty * 5) AS m FROM ord o ORDER BY 1',
  'SELECT id FROM ord WHERE qty = ANY (SELECT qty FROM memo WHERE note <> status) ORDER BY 1',
  'SELECT m.m, l.id FROM memo m, LATERAL (SELECT id FROM ord WHERE qty > m.qty ORDER BY id LIMIT 2) l ORDER BY 1, 2',
  'SELECT m.m, l.n FROM memo m LEFT JOIN LATERAL (SELECT count(*) AS n FROM ord WHERE qty > m.qty) l ON true ORDER BY 1',
  'WITH RECURSIVE w AS (SELECT m, qty FROM memo WHERE m = 1 UNION SELECT o.id, o.qty FROM ord o JOIN w ON o.qty = w.qty + 1) SELECT * FROM w ORDER BY 1, 2',
  'WITH w AS (SELECT qty, count(*) AS n FROM ord GROUP BY qty) SELECT a.qty, b.n FROM w a JOIN w b ON a.qty = b.qty + 1 JOIN memo m ON m.qty = a.qty ORDER BY 1, m.m',
  'WITH unused AS (SELECT * FROM item) SELECT o.id FROM ord o JOIN memo m ON o.qty = m.qty ORDER BY 1, m.m',
  'SELECT id FROM ord WHERE qty NOT IN (SELECT qty FROM memo WHERE m < ord.id AND qty IS NOT NULL) ORDER BY 1',
]

const groups = [
  'SELECT k, percentile_cont(k / 100.0) WITHIN GROUP (ORDER BY qty) AS p FROM ord GROUP BY k ORDER BY k',
  'SELECT qty, percentile_disc(qty / 10.0) WITHIN GROUP (ORDER BY id) AS p, rank(qty) WITHIN GROUP (ORDER BY id) AS r FROM ord GROUP BY qty ORDER BY 1',
  "SELECT o.qty, count(*) AS n, string_agg(m.note, ',' ORDER BY m.m, o.id) AS l FROM ord o JOIN memo m ON m.qty = o.qty GROUP BY o.qty HAVING count(*) > 2 ORDER BY 1",
  'SELECT o.*, count(m.m) AS n FROM ord o LEFT JOIN memo m ON m.qty = o.qty GROUP BY o.id ORDER BY o.id LIMIT 9',
  'SELECT m.m, m.note, (SELECT a.note FROM memo a WHERE a.m = m.m + 1) AS next, count(*) AS n FROM memo m JOIN ord o ON o.qty = m.qty GROUP BY m.m ORDER BY 1',
  'SELECT o.id, m.m, rank() OVER (PARTITION BY m.note ORDER BY o.amount DESC, o.id) AS r FROM ord o JOIN memo m ON m.qty = o.qty ORDER BY 1, 2',
  'SELECT DISTINCT ON (o.qty) o.qty, m.m FROM ord o JOIN memo m ON m.qty = o.qty ORDER BY o.qty, m.m DESC',
  'SELECT status, m.note, count(*) AS n FROM ord o JOIN memo m ON m.qty = o.qty GROUP BY CUBE (status, m.note) ORDER BY 1, 2, 3',
  'SELECT o.id FROM ord o JOIN memo m ON m.qty = o.qty UNION SELECT m FROM memo EXCEPT SELECT id FROM ref ORDER BY 1',
  '(SELECT a.id FROM ord a JOIN ord b ON a.qty = b.id) INTERSECT ALL (SELECT id FROM ord WHERE qty > 2) ORDER BY 1',
]

describe('a query that is not local', () => {
  const sides = openSides()

  it.each(joins)('joins: %s', (text) => expectAlike(sides, text))

  it.each(subqueries)('subqueries: %s', (text) => expectAlike(sides, text))

  it.each(groups)('groups, windows, sets: %s', (text) => expectAlike(sides, text))

  it.each([
    [
      'SELECT o.id, m.m FROM ord o JOIN memo m ON m.qty = o.qty AND m.m = $1 WHERE o.status = $2 ORDER BY 1, 2',
      [2, 'new'],
    ],
    ['SELECT o.id FROM ord o, memo m WHERE m.qty = o.qty AND o.k = ANY($1) ORDER BY 1 LIMIT $2', [[1, 2, 3], 4]],
    ['SELECT o.id, m.m FROM ord o JOIN memo m ON m.qty = o.qty WHERE o.amount > $1 AND m.m > $1 ORDER BY 1, 2', [1.5]],
    ['SELECT public.memo.m FROM memo JOIN ord o ON o.qty = memo.qty WHERE o.id < $1 ORDER BY 1, o.id', [9]],
  ])('takes parameters: %s', (text, parameters) => expectAlike(sides, text, parameters))

  it.each([
    'SELECT o.id FROM ord o JOIN memo m ON m.nothing = o.qty',
    'SELECT o.id / 0 AS x FROM ord o JOIN memo m ON m.qty = o.qty',
  ])('fails as one database does: %s', (text) => expectAlike(sides, text))

  it('sees what its transaction has written, and an error of it aborts the transaction', async () => {
    const given = (dataSource: DataSource) =>
      rolledBack(dataSource, async (runner) => {
        await runner.query('UPDATE ord SET qty = 77 WHERE id IN (3, 4, 5)')
        await runner.query('UPDATE memo SET qty = 77 WHERE m = 2')
        const joined = await answer(
          runner,
          'SELECT o.id, m.m FROM ord o JOIN memo m ON m.qty = o.qty WHERE o.qty = 77 ORDER BY 1',
        )
        const failed = await answer(runner, 'SELECT o.id / 0 AS x FROM ord o JOIN memo m ON m.qty = o.qty')
        return [joined, failed, await answer(runner, 'SELECT 1 AS one')]
      })
    const expected = await given(sides.plain())
    expect(expected[0]).toHaveProperty('rows.length', 3)
    for (const { dataSource } of sides.sharded()) expect(await given(dataSource)).toEqual(expected)
  })

  it('is explained: what is read of each table, and where it runs', async () => {
    for (const { shards, dataSource } of sides.sharded()) {
      if (shards === 1) continue
      const runner = (dataSource as ShardedDataSource).createQueryRunner() as ShardedQueryRunner
      const asked = "SELECT o.id FROM ord o JOIN memo m ON m.qty = o.qty WHERE o.status = 'new' AND m.m = 3"
      const { statements, steps, text } = await runner.explain(asked).finally(() => runner.release())
      if (process.env['SHOW']) console.log(text)
      expect(steps.filter((step) => step.startsWith('copy'))).toEqual([
        expect.stringMatching(/^copy about \d+ rows of [om]/),
        expect.stringMatching(/^copy about \d+ rows of [om]/),
      ])
      expect(steps.at(-1)).toMatch(/^ask node n\d: /)
      const [memo = '', ord = ''] = ['AS m', 'AS o'].map(
        (name) => statements.find(({ text }) => text.includes(name))?.text,
      )
      expect(ord).toContain("status = 'new'")
      expect(ord).not.toContain('amount')
      // The condition on its key sends the other table's question to one shard.
      expect(memo).not.toContain('UNION ALL')
    }
  })

  it.each([
    'SELECT o.id FROM ord o JOIN memo m ON m.qty = o.qty FOR UPDATE',
    'SELECT o.id, o, count(m.m) FROM ord o LEFT JOIN memo m ON m.qty = o.qty GROUP BY o.id',
    'SELECT o.id, c.relname FROM ord o JOIN pg_class c ON c.relnatts = o.qty',
    'SELECT o.ctid FROM ord o JOIN memo m ON m.qty = o.qty',
    'SELECT o.id FROM ord o TABLESAMPLE SYSTEM (100) JOIN memo m ON m.qty = o.qty',
  ])('is refused where copies cannot answer: %s', (text) => expectRefused(sides, text))
})
