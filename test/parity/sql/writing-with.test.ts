import type { DataSource } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { answer, openSides, rolledBack } from './sides'

const statements = [
  'WITH d AS (DELETE FROM item WHERE n % 3 = 1 RETURNING *) SELECT * FROM d ORDER BY n',
  'WITH d AS (DELETE FROM item RETURNING n) SELECT count(*) FROM d',
  'WITH u AS (UPDATE acct SET score = score + 1 RETURNING k, score) SELECT a.k, b.score FROM u a JOIN u b ON a.score = b.score ORDER BY 1, 2',
  'WITH u(x, y) AS MATERIALIZED (UPDATE ord SET qty = qty + 1 WHERE status = $1 RETURNING id, amount * 2, created) SELECT x, y FROM u WHERE x > $2 ORDER BY x',
  'WITH d AS (DELETE FROM memo RETURNING *) INSERT INTO acct SELECT m + 100, note, m FROM d RETURNING k, name',
  'WITH d AS (DELETE FROM item WHERE n > 30 RETURNING n, k, label), i AS (INSERT INTO memo SELECT n + 100, k, label FROM d RETURNING m) SELECT m FROM i ORDER BY 1',
  'WITH top AS (SELECT max(score) AS s FROM acct), u AS (UPDATE acct SET score = 0 FROM top WHERE score = top.s RETURNING k) SELECT k FROM u ORDER BY k',
  'WITH i AS (INSERT INTO memo SELECT id + 100, qty, status FROM ord WHERE status IS NOT NULL RETURNING qty) SELECT qty, count(*) AS n FROM i GROUP BY qty ORDER BY 1',
  "WITH u AS (UPDATE ord SET status = 'x' WHERE qty > 5), d AS (DELETE FROM memo WHERE qty IS NULL RETURNING m) SELECT m FROM d ORDER BY 1",
  "WITH i AS (INSERT INTO ref VALUES (100, 'c', NULL) RETURNING *) UPDATE memo SET note = i.code FROM i WHERE qty IS NOT NULL",
  'WITH u AS (UPDATE ord SET doc = NULL WHERE id < 9 RETURNING id, doc, created, amount, status) SELECT * FROM u ORDER BY id',
  'WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 4), d AS (DELETE FROM item USING s WHERE item.n = s.n RETURNING item.n, s.n * 2 AS twice) SELECT * FROM d ORDER BY 1',
  'WITH u AS (UPDATE acct SET score = score / 0 RETURNING k) SELECT * FROM u',
  'WITH u AS (UPDATE acct SET score = 1 RETURNING nothing) SELECT * FROM u',
  'WITH d AS (DELETE FROM memo RETURNING note::char(9) AS c) SELECT c, octet_length(c) AS n FROM d ORDER BY 1',
  'WITH d AS (DELETE FROM memo WHERE m < 3 RETURNING m) SELECT (SELECT count(*) FROM d) AS n, 1 / (m - 2) AS x FROM d',
]

/** A part would see what another has written, where one database shows it nothing of that. */
const refused = [
  'WITH d AS (DELETE FROM item RETURNING n) SELECT count(*) FROM item, d',
  'WITH u AS (UPDATE acct SET score = 1 RETURNING k) SELECT o.id FROM ord o JOIN u ON u.k = o.k',
  'WITH a AS (DELETE FROM acct WHERE k > 15 RETURNING k), b AS (DELETE FROM ord WHERE k > 15 RETURNING id) SELECT * FROM a, b',
  'WITH r AS (SELECT random() AS x), i AS (INSERT INTO memo SELECT 100, 1, r.x::text FROM r RETURNING note) SELECT note = r.x::text AS same FROM i, r',
  "WITH ref AS (INSERT INTO memo VALUES (100, 1, 'x'), (101, 1, 'y')) SELECT count(*) FROM ref",
  'WITH RECURSIVE b AS (INSERT INTO memo SELECT m + 100, 1, note FROM a RETURNING m), a AS (DELETE FROM memo RETURNING m, note) SELECT * FROM b',
  'WITH s AS (SELECT * FROM item), d AS (DELETE FROM item RETURNING n) SELECT count(*) FROM s, d',
]

describe('a WITH that writes, over shards', () => {
  const sides = openSides()
  const given = (dataSource: DataSource, text: string) =>
    rolledBack(dataSource, async (runner) => {
      const returned = await answer(runner, text, text.includes('$2') ? ['new', 20] : [])
      if ('error' in returned) return { returned }
      const rows = /order by/i.test(text) ? returned : { ...returned, rows: returned.rows.toSorted() }
      return {
        returned: rows,
        acct: await answer(runner, 'SELECT * FROM acct ORDER BY k'),
        ord: await answer(runner, 'SELECT id, k, qty, status FROM ord ORDER BY id'),
        item: await answer(runner, 'SELECT n, k, label FROM item ORDER BY n'),
        memo: await answer(runner, 'SELECT * FROM memo ORDER BY m'),
        ref: await answer(runner, 'SELECT id, label FROM ref ORDER BY id'),
      }
    })

  it.each(statements)('%s', async (text) => {
    const expected = await given(sides.plain(), text)
    for (const { name, dataSource } of sides.sharded())
      expect({ name, ...(await given(dataSource, text)) }).toEqual({ name, ...expected })
  })

  it.each(refused)('is refused: %s', async (text) => {
    for (const { shards, dataSource } of sides.sharded())
      if (shards > 1) expect(await given(dataSource, text)).toEqual({ returned: { error: 'STATEMENT_UNSUPPORTED' } })
  })

  it('leaves nothing behind where a later part fails, in a transaction or outside', async () => {
    const text = 'WITH d AS (DELETE FROM memo RETURNING m) SELECT 1 / (m - 3) AS x FROM d'
    for (const { dataSource } of sides.sharded()) {
      expect(await answer(dataSource, text)).toEqual({ error: '22012' })
      expect(await answer(dataSource, 'SELECT count(*)::int AS n FROM memo')).toHaveProperty('rows', ['{"n":12}'])
    }
  })
})
