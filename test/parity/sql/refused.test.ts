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

  it('names a way out of a page beside SKIP LOCKED', async () => {
    for (const { shards, dataSource } of sides.sharded())
      if (shards > 1)
        await rolledBack(dataSource, async (runner) => {
          const page = runner.query('SELECT id FROM ord ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED')
          await expect(page).rejects.toThrow(/by the shard key or onShard/)
        })
  })
})
