import type { DataSource } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { answer, expectAlike, openSides, rolledBack } from './sides'

/** The columns of `item` and `ref` stand in the tables in another order than in their entities. */
describe('columns that are meant by their places, over shards', () => {
  const sides = openSides()
  const written = (text: string) => (dataSource: DataSource) =>
    rolledBack(dataSource, async (runner) => {
      const given = await answer(runner, text)
      const rows = await answer(runner, 'SELECT n, k, "ordId", label, left_over FROM item WHERE n > 900 ORDER BY n')
      const ofKey = await answer(runner, 'SELECT n FROM item WHERE k = 7 AND n > 900 ORDER BY n')
      return { given, rows, ofKey }
    })

  it.each([
    'SELECT r.id, x.k FROM ref r JOIN (SELECT * FROM item WHERE k = 5 LIMIT 9) x ON x.k - 3 = r.id ORDER BY 1, 2',
    'SELECT r.id, x.n FROM ref r JOIN (SELECT * FROM item WHERE n < 20) x ON x.k = r.id ORDER BY 1, 2',
    'SELECT * FROM item WHERE k = 5 UNION ALL SELECT * FROM item WHERE k > 5 ORDER BY 1',
    'SELECT * FROM item WHERE k = 5 UNION SELECT * FROM item WHERE k = 6 ORDER BY n',
    'SELECT * FROM item ORDER BY n',
    'SELECT i.* FROM item i JOIN acct a ON a.k = i.k ORDER BY n LIMIT 3',
    'SELECT * FROM item i(a, b, c, d) WHERE d = 5 ORDER BY a',
    'SELECT i.a, i.d FROM item i(a, b, c, d) JOIN acct ON acct.k = i.d ORDER BY a LIMIT 5',
    'SELECT x.d, count(*) FROM (SELECT * FROM item) x(a, b, c, d) WHERE x.d < 9 GROUP BY x.d ORDER BY 1',
    'WITH c(a, b, c, d) AS (SELECT * FROM item) SELECT a FROM c WHERE d = 5 ORDER BY a',
    'WITH c(a, b, c, d) AS (TABLE ref) SELECT n, b, d FROM item JOIN c ON c.a = item.n ORDER BY n',
    'SELECT r.*, i.n FROM item i JOIN ref r(x, y) ON r.x = i.n ORDER BY n',
    'SELECT * FROM (SELECT * FROM ref UNION ALL SELECT * FROM ref) r JOIN item ON item.n = r.id ORDER BY n, r.label LIMIT 5',
    'SELECT * FROM item NATURAL JOIN ord ORDER BY n LIMIT 5',
    'SELECT n FROM item WHERE (n, "ordId", label, k, left_over) IN (SELECT * FROM item WHERE k < 5) ORDER BY n',
  ])('are read as the tables have them: %s', (text) => expectAlike(sides, text))

  it.each([
    `INSERT INTO item VALUES (901, 5, 'x', 7, 'new')`,
    `INSERT INTO item VALUES (901, 5, 'x', 7), (902, 5, 'y', 8), (903, 5, 'z', 9) RETURNING n, k`,
    'INSERT INTO item SELECT n + 900, "ordId", label, k, left_over FROM item WHERE k = 7',
    'INSERT INTO item SELECT n + 900, "ordId", label, k FROM item',
  ])('are written as the tables have them: %s', async (text) => {
    const expected = await written(text)(sides.plain())
    expect(expected.given).not.toHaveProperty('error')
    for (const { name, dataSource } of sides.sharded())
      expect({ name, ...(await written(text)(dataSource)) }).toEqual({ name, ...expected })
  })
})
