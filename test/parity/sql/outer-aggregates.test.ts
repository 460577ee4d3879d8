import { describe, it } from 'vitest'
import { expectAlike, openSides } from './sides'

describe('an aggregate of the outer query in a subquery', () => {
  const sides = openSides()

  it.each([
    'SELECT (SELECT count(o.id)) AS n FROM ord o',
    'SELECT (SELECT sum(o.qty) FROM ref WHERE id = 1) AS n FROM ord o',
    'SELECT o.status, (SELECT count(o.id)) AS n FROM ord o GROUP BY o.status',
    'SELECT count(*), (SELECT count(id)) AS n FROM ord',
    'SELECT k, (SELECT count(o.id)) AS n FROM ord o GROUP BY k ORDER BY k',
    'SELECT 1 AS one FROM ord o HAVING (SELECT count(o.id)) > 20',
    'SELECT 1 AS one FROM ord o ORDER BY (SELECT max(o.id))',
    'SELECT (SELECT (SELECT count(o.id))) AS n FROM ord o',
    'SELECT n FROM (SELECT (SELECT max(o.id)) AS n FROM ord o) x',
    'SELECT (SELECT count((SELECT o.id))) AS n FROM ord o',
  ])('may span the shards: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT a.k, (SELECT count(o.id) FROM ord o WHERE o.k = a.k) AS n FROM acct a ORDER BY a.k',
    'SELECT a.k, (SELECT count(o.id + a.k) FROM ord o WHERE o.k = a.k) AS n FROM acct a ORDER BY a.k',
    'SELECT a.k, (SELECT count(*) FROM ord o WHERE o.k = a.k) AS n FROM acct a ORDER BY a.k',
  ])('is answered where it is of the subquery itself: %s', (text) => expectAlike(sides, text))
})
