import { describe, expect, it } from 'vitest'
import { answer, expectAlike, expectRefused, openSides, rolledBack } from './sides'

describe('system columns over shards', () => {
  const sides = openSides()

  it.each([
    'SELECT ctid FROM ord',
    'SELECT o.xmin IS NULL AS none FROM ord o',
    'SELECT id FROM ord ORDER BY cmin',
    'SELECT id FROM ord WHERE ctid IN (SELECT ctid FROM ord WHERE k = 8)',
    'SELECT id FROM ord o WHERE EXISTS (SELECT 1 FROM item i WHERE i.ctid = o.ctid)',
    'SELECT t FROM (SELECT ctid AS t FROM ord ORDER BY id LIMIT 3) x',
    'SELECT r.ctid FROM ord o JOIN ref r ON r.id = o.qty',
    'DELETE FROM ord WHERE xmax = 1',
    'UPDATE ord SET qty = 1 WHERE id < 0 RETURNING ctid',
    `UPDATE ord SET qty = 1 WHERE ctid = '(9,9)'`,
  ])("are each shard's own, and are refused: %s", (text) => expectRefused(sides, text))

  it('of rows that a subquery chose delete none of other shards', async () => {
    const text = 'DELETE FROM ord WHERE ctid IN (SELECT ctid FROM ord WHERE qty < 5 LIMIT 3)'
    for (const { name, shards, dataSource } of sides.sharded())
      await rolledBack(dataSource, async (runner) => {
        const given = await answer(runner, text)
        if (shards > 1) expect({ name, given }).toEqual({ name, given: { error: 'STATEMENT_UNSUPPORTED' } })
        else expect(await runner.query('SELECT count(*)::int AS n FROM ord')).toEqual([{ n: 57 }])
      })
  })

  it.each([
    'INSERT INTO acct (k, name, score) VALUES (901, $$a$$, 1), (902, $$b$$, 1), (903, $$c$$, 1), (904, $$d$$, 1) RETURNING ctid',
    `INSERT INTO item (n, k, "ordId", label) SELECT n + 900, k, "ordId", label FROM item RETURNING xmin`,
  ])('of new rows of several shards are refused: %s', async (text) => {
    for (const { name, shards, dataSource } of sides.sharded())
      await rolledBack(dataSource, async (runner) => {
        const given = await answer(runner, text)
        expect({ name, isRefused: 'error' in given && given.error }).toEqual({
          name,
          isRefused: shards > 1 && 'STATEMENT_UNSUPPORTED',
        })
      })
  })

  it.each([
    'SELECT ctid IS NOT NULL AS here, id FROM ord WHERE k = 8 ORDER BY id',
    'SELECT id FROM ord WHERE k = 8 AND ctid IN (SELECT ctid FROM ord WHERE k = 8) ORDER BY id',
    'SELECT xmin, xmax FROM (SELECT min(qty) AS xmin, max(qty) AS xmax FROM ord) b',
    'SELECT min(qty) AS xmin, k FROM ord GROUP BY k ORDER BY xmin, k',
    'SELECT b.xmin, o.id FROM ord o JOIN (VALUES (1, 2)) b(xmin, n) ON b.n = o.qty ORDER BY o.id',
  ])('of one shard, and columns that only have their names, are answered: %s', (text) => expectAlike(sides, text))

  it('of an upsert still tell which rows are new', async () => {
    const text =
      'INSERT INTO acct (k, name, score) VALUES (1, $$a$$, 1), (2, $$b$$, 1), (901, $$c$$, 1), (902, $$d$$, 1) ' +
      'ON CONFLICT (k) DO UPDATE SET score = excluded.score RETURNING k, (xmax = 0) AS inserted'
    for (const dataSource of [sides.plain(), ...sides.sharded().map((side) => side.dataSource)])
      await rolledBack(dataSource, async (runner) => {
        const rows: { k: number }[] = await runner.query(text)
        expect(rows.toSorted((a, b) => a.k - b.k)).toEqual([
          { k: 1, inserted: false },
          { k: 2, inserted: false },
          { k: 901, inserted: true },
          { k: 902, inserted: true },
        ])
      })
  })
})
