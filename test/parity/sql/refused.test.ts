import { describe, expect, it } from 'vitest'
import { expectRefused, openSides, rolledBack } from './sides'

describe('what is refused over several shards', () => {
  const sides = openSides()

  it.each([
    'SELECT id FROM ord TABLESAMPLE SYSTEM (100)',
    'MERGE INTO acct USING (SELECT 1 AS a) x ON score = -1 WHEN MATCHED THEN DO NOTHING',
    `SELECT id FROM ord WHERE id < (SELECT count(*) FROM pg_class c WHERE pg_get_userbyid(ord.qty::oid) = 'nobody')`,
    `SELECT id, has_table_privilege(status, 'select') FROM ord WHERE id < 0`,
    `SELECT id, nextval(status::text) FROM ord WHERE id < 0`,
    'SELECT (qty, id) AS pair FROM ord UNION SELECT (score, k) FROM acct',
  ])('%s', (text) => expectRefused(sides, text))

  it.each([
    [
      'INSERT INTO item (n, k, "ordId", label) SELECT 901, 5, 1, \'x\' WHERE NOT EXISTS (SELECT FROM item WHERE n = 901)',
      /of no shard .* by VALUES/,
    ],
    [
      'INSERT INTO item (n, k, "ordId", label) SELECT id + 900, qty, 1, \'x\' FROM ord',
      /from other shards .* by VALUES/,
    ],
  ])('names a way out: %s', async (text, message) => {
    for (const { shards, dataSource } of sides.sharded())
      if (shards > 1) await expect(dataSource.query(text)).rejects.toThrow(message)
  })

  it('names a way out of a page beside SKIP LOCKED', async () => {
    for (const { shards, dataSource } of sides.sharded())
      if (shards > 1)
        await rolledBack(dataSource, async (runner) => {
          const page = runner.query('SELECT id FROM ord ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED')
          await expect(page).rejects.toThrow(/by the shard key or onShard/)
        })
  })
})
