import { describe, it } from 'vitest'
import { expectAlike, openSides } from './sides'

describe('a WITH that nothing names', () => {
  const sides = openSides()

  it.each([
    'WITH x AS (SELECT * FROM ord) SELECT * FROM ref ORDER BY id',
    'WITH x AS (SELECT * FROM ord), y AS (SELECT * FROM x) SELECT r.id FROM ref r ORDER BY 1',
    'WITH x AS (SELECT * FROM ord), y AS (SELECT max(k) AS m FROM acct) SELECT r.id, y.m FROM ref r, y ORDER BY 1',
    'WITH x AS (SELECT * FROM ord) SELECT id FROM ref UNION SELECT k FROM acct ORDER BY 1',
    'WITH x AS (SELECT * FROM ref) SELECT k FROM acct ORDER BY 1',
  ])('is not read, and takes the statement nowhere: %s', (text) => expectAlike(sides, text))
})
