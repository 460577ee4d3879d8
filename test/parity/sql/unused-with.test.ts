import { describe, it } from 'vitest'
import { expectAlike, openSides } from './sides'

describe('a WITH that nothing reads', () => {
  const sides = openSides()

  it.each([
    'WITH x AS (SELECT * FROM ord), y AS (SELECT a.k FROM acct a WHERE a.score = (SELECT max(x.qty) FROM x WHERE x.status > a.name)) SELECT id FROM x ORDER BY id',
    'WITH x AS (SELECT * FROM ord), y AS (SELECT a.k FROM ref r LEFT JOIN x a ON a.qty = r.id) SELECT id FROM x ORDER BY id',
  ])('asks nothing of the query: %s', (text) => expectAlike(sides, text))
})
