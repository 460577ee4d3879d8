import type { DataSource } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { ShardedDataSource } from '../../../src/index'
import { answer, openSides, rolledBack } from './sides'
import { Item } from './world'

const into = 'INSERT INTO item (n, k, "ordId", label)'

/** The rows of each belong to other shards than they come from, or come from none. */
const inserts = [
  `${into} SELECT id + 900, qty + 1, 1, 'x' FROM ord`,
  `${into} SELECT id + 3000, id AS k, k, 'x' FROM ord WHERE k = 3 AND id < 20`,
  `${into} SELECT 901, 5, 1, 'x' WHERE NOT EXISTS (SELECT FROM item WHERE n = 901)`,
  `${into} SELECT id + 900, id + 1, 2, code FROM ref ORDER BY id DESC LIMIT 4 RETURNING n, k`,
  `${into} SELECT m.m * 100 + o.id + 900, m.m, o.id, m.note FROM memo m JOIN ord o ON o.qty = m.qty`,
  `${into} SELECT m + 900, m, 1, note FROM memo UNION SELECT k + 900, k, 2, name FROM acct WHERE score > 5`,
  `${into} SELECT n, n - 900, $1, $2 FROM generate_series(901, 915) n`,
  `WITH w AS (SELECT max(n) AS top FROM item) ${into} SELECT top + 900 + m, m, 1, 'w' FROM w, memo RETURNING n`,
  `${into} SELECT id + 900, 1.5 * qty + 1, 1, NULL::text || 'y' FROM ord`,
  `${into} SELECT id + 900, qty * 1.5 + 1, 1, 'rounded' FROM ord WHERE id < 9`,
  "INSERT INTO ord (id, k, qty, amount, doc) SELECT m + 900, m, 1, '1', to_json(note) FROM memo",
  `${into} SELECT id + 900, qty / 2.0::float8 + 3, 1, 'rounded to even' FROM ord WHERE id < 19`,
  `${into} VALUES (901, 2.5::float8, 1, 'even'), (902, $1::float8, 1, $2), (903, '-0.5'::float8, 1, 'zero')`,
  `${into} SELECT id + 900, 'no', 1, 'x' FROM ord`,
  `${into} SELECT m + 900, qty, 1, 'null key' FROM memo`,
  `${into} SELECT id, 4, 1, 'taken' FROM ord`,
  'INSERT INTO acct SELECT k + 100, note, m FROM (SELECT m AS k, note, m FROM memo) x WHERE k > 5 RETURNING *',
  "INSERT INTO acct (k, name, score) SELECT m + 15, note, 1 FROM memo ON CONFLICT (k) DO UPDATE SET name = EXCLUDED.name || '!' RETURNING k, name",
  'INSERT INTO acct (k, name, score) SELECT m + 15, note, 1 FROM memo ON CONFLICT DO NOTHING',
  'INSERT INTO ord (id, k, qty, amount) SELECT m + 900, m, 1, m / 3.0 FROM memo RETURNING id, amount, created IS NOT NULL AS timed',
  `${into} SELECT id + 900, qty, 1, 'none' FROM ord WHERE false`,
  "INSERT INTO memo (m, qty, note) SELECT 100, 'fewer' FROM ord",
]

describe('an INSERT … SELECT of rows for any shard', () => {
  const sides = openSides()
  const contents = async (source: Parameters<typeof answer>[0]) => [
    await answer(source, 'SELECT n, k, "ordId", label FROM item ORDER BY n'),
    await answer(source, 'SELECT k, name, score FROM acct ORDER BY k'),
    await answer(source, 'SELECT id, k, qty, amount FROM ord WHERE id > 900 ORDER BY id'),
  ]

  it.each(inserts)('%s', async (text) => {
    const parameters = text.includes('$1') ? [7, 'given'] : []
    const given = (dataSource: DataSource) =>
      rolledBack(dataSource, async (runner) => {
        const returned = await answer(runner, text, parameters)
        if ('error' in returned) return { returned }
        const rows = /order by/i.test(text) ? returned : { ...returned, rows: returned.rows.toSorted() }
        return { returned: rows, contents: await contents(runner) }
      })
    const expected = await given(sides.plain())
    for (const { name, dataSource } of sides.sharded())
      expect({ name, ...(await given(dataSource)) }).toEqual({ name, ...refusalOf(text, expected) })
  })

  /** A row without a shard key, or with one that is none, is refused before PostgreSQL sees it. */
  const refusalOf = (text: string, expected: object): object => {
    if (text.includes("'fewer'")) return { returned: { error: 'STATEMENT_UNSUPPORTED' } }
    if (text.includes("'no'")) return { returned: { error: 'KEY_INVALID' } }
    return text.includes('null key') ? { returned: { error: 'KEY_MISSING' } } : expected
  }

  it('is one transaction, and puts each row on the shard of its key', async () => {
    for (const { name, shards, dataSource } of sides.sharded()) {
      if (!(dataSource instanceof ShardedDataSource)) continue
      const late = `${into} SELECT id + 900, qty + 1, CASE WHEN id > 55 THEN 1 / (id - 60) ELSE 1 END, 'x' FROM ord`
      expect(await answer(dataSource, late)).toEqual({ error: '22012' })
      const twice = `${into} SELECT CASE WHEN id > 50 THEN 1 ELSE id + 900 END, qty + 1, 1, 'x' FROM ord`
      // Whether a second row of one primary key is refused is for its shard to say.
      expect({ name, shards, given: await answer(dataSource, twice) }).toHaveProperty('given.error', '23505')
      expect(await dataSource.getRepository(Item).count()).toBe(40)
      await dataSource.query(`${into} SELECT id + 900, qty + 1, 1, 'x' FROM ord`)
      expect(await dataSource.verifyPlacement(Item)).toMatchObject([{ rows: 100, misplaced: 0 }])
      await dataSource.query('DELETE FROM item WHERE n > 900')
    }
  })
})
