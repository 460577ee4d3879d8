import { describe, it } from 'vitest'
import { expectAlike, openSides } from './sides'

describe('a constant behind an alias or an ordinal', () => {
  const sides = openSides()

  it.each([
    'SELECT 3 AS t, qty, id FROM ord ORDER BY t, qty, id LIMIT 5',
    'SELECT 3 AS t, qty, id FROM ord ORDER BY 1, qty, id LIMIT 5',
    `SELECT 'x' AS t, qty, id FROM ord ORDER BY t DESC, qty, id LIMIT 5`,
    'SELECT NULL AS t, qty, id FROM ord ORDER BY t NULLS FIRST, qty, id OFFSET 3 LIMIT 5',
    'SELECT true AS t, 2.5 AS u, id FROM ord ORDER BY t, u, id LIMIT 5',
    'SELECT DISTINCT ON (t) 2 AS t, id FROM ord ORDER BY t, id',
    'SELECT DISTINCT ON (t, id) 2 AS t, id, qty FROM ord ORDER BY t, id, qty',
    'SELECT DISTINCT ON (1, qty) 2 AS t, qty, id FROM ord ORDER BY 1, qty, id',
    'SELECT DISTINCT 2 AS t, qty FROM ord ORDER BY t, qty',
    'SELECT DISTINCT 2 AS t, qty FROM ord ORDER BY t, qty LIMIT 3',
    'SELECT DISTINCT status, 1 AS one FROM ord ORDER BY one LIMIT 0',
    'SELECT DISTINCT status IS NULL AS s, 1 AS one FROM ord ORDER BY one, s LIMIT 2',
    'SELECT DISTINCT k > 0 AS s, 1 AS one FROM ord ORDER BY one LIMIT 2',
    `SELECT 'x' AS t, count(*) FROM ord GROUP BY t ORDER BY t`,
    'SELECT 5 AS t, qty, count(*) FROM ord GROUP BY t, qty ORDER BY t, qty',
    'SELECT 5 AS t, k, count(*) FROM ord GROUP BY 1, 2 ORDER BY 1, 2',
    'SELECT 1 AS t, id, row_number() OVER (ORDER BY id) AS n FROM ord ORDER BY t, n DESC LIMIT 4',
  ])('orders no rows and is no ordinal: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT count(*) FROM ord GROUP BY status ORDER BY count, status',
    'SELECT max(id) FROM ord GROUP BY k ORDER BY max DESC',
    'SELECT upper(status), id FROM ord ORDER BY upper, id',
  ])('an output without an alias is known by its name: %s', (text) => expectAlike(sides, text))
})
