import { describe, expect, it } from 'vitest'
import { answer, expectAlike, openSides, rolledBack } from './sides'

describe('a WITH over another group', () => {
  const sides = openSides()

  it.each([
    'WITH c AS (SELECT qty FROM memo) SELECT id FROM ord ORDER BY id LIMIT 2',
    'WITH c AS (SELECT qty FROM memo) SELECT count(*) FROM ord',
    'WITH c AS (SELECT qty FROM memo) SELECT id FROM ord WHERE qty IN (SELECT qty FROM c) ORDER BY id',
    'WITH c AS (SELECT qty FROM memo), d AS (SELECT max(qty) AS q FROM c) SELECT id FROM ord WHERE qty = (SELECT q FROM d) ORDER BY id',
    'WITH c AS (SELECT qty FROM memo), d AS (SELECT qty AS q FROM ord WHERE qty IN (SELECT qty FROM c)) SELECT q, count(*) FROM d GROUP BY q ORDER BY 1',
    'WITH c AS (SELECT qty FROM memo WHERE m = 1) SELECT name FROM acct WHERE k = 3 AND score NOT IN (SELECT qty FROM c)',
    'WITH c AS (SELECT qty FROM memo), d AS (SELECT k FROM acct) SELECT (SELECT max(qty) FROM c) AS a, (SELECT max(k) FROM d) AS b',
    'SELECT id FROM ord WHERE EXISTS (WITH c AS (SELECT qty FROM memo) SELECT 1 FROM item WHERE item.k = ord.k AND n IN (SELECT qty FROM c)) ORDER BY id',
    'SELECT x.k FROM (WITH c AS (SELECT qty FROM memo) SELECT k FROM acct WHERE score IN (SELECT qty FROM c)) x ORDER BY k',
  ])('is not asked of shards that do not have its tables: %s', (text) => expectAlike(sides, text))

  it.each([
    [
      'acct',
      'WITH c AS (SELECT qty FROM memo WHERE m < 4) DELETE FROM acct WHERE k > 15 AND score IN (SELECT qty FROM c)',
    ],
    ['ord', `WITH c AS (SELECT qty FROM memo WHERE m < 4) UPDATE ord SET status = 'x' WHERE qty IN (SELECT * FROM c)`],
    [
      'ord',
      `WITH c AS (SELECT qty FROM memo), d AS (SELECT qty + 1 AS q FROM c) UPDATE ord SET status = 'x' WHERE qty IN (SELECT q FROM d)`,
    ],
    ['ord', `WITH c AS (SELECT qty FROM memo) UPDATE ord SET status = 'x' WHERE qty = 3`],
    [
      'acct',
      `WITH c AS (SELECT qty FROM memo) UPDATE acct SET name = 'x' WHERE k = 3 AND score NOT IN (SELECT qty FROM c)`,
    ],
    [
      'acct',
      `WITH c AS (SELECT qty FROM memo) INSERT INTO acct (k, name, score) VALUES (200, 'x', (SELECT max(qty) FROM c)), (201, 'y', 3)`,
    ],
    ['ref', 'WITH c AS (SELECT qty FROM memo) DELETE FROM ref WHERE id IN (SELECT qty FROM c)'],
  ])('of a write is not either: rows of %s by %s', async (table, text) => {
    const written = (dataSource: Parameters<typeof rolledBack>[0]) =>
      rolledBack(dataSource, async (runner) => {
        const first = await answer(runner, text)
        return [first, await answer(runner, `SELECT * FROM ${table} ORDER BY 1`)]
      })
    const expected = await written(sides.plain())
    expect(expected[0]).not.toHaveProperty('error')
    for (const { name, dataSource } of sides.sharded())
      expect({ name, given: await written(dataSource) }).toEqual({ name, given: expected })
  })
})
