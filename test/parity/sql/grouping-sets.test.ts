import { describe, it } from 'vitest'
import { expectAlike, expectRefused, openSides } from './sides'

describe('grouping sets over shards', () => {
  const sides = openSides()

  it.each([
    'SELECT o.status, count(*) FROM ord o GROUP BY ROLLUP (status) ORDER BY 1, 2',
    'SELECT status, count(*) FROM ord o GROUP BY ROLLUP (o.status) ORDER BY 1, 2',
    'SELECT ord.status, GROUPING(ord.status) AS g, count(*) FROM ord GROUP BY ROLLUP (status) ORDER BY 1, 2, 3',
    'SELECT upper(o.status) AS u, sum(o.qty) FROM ord o GROUP BY CUBE (upper(status)) ORDER BY 1, 2',
    'SELECT r.label, o.qty, count(*) FROM ord o JOIN ref r ON r.id = o.qty GROUP BY GROUPING SETS ((label), (qty), ()) ORDER BY 1, 2, 3',
    'SELECT o.status, count(*) FROM ord o GROUP BY ROLLUP (status) HAVING GROUPING(o.status) = 1 OR o.status IS NOT NULL ORDER BY o.status, 2',
    'SELECT o.qty, status, count(*) FROM ord o GROUP BY o.status, ROLLUP (qty) ORDER BY 1, 2, 3',
    'SELECT v.s, count(*) FROM ord JOIN (VALUES (1, $$aa$$), (2, $$ab$$)) v(n, s) ON v.n = qty GROUP BY CUBE (s) ORDER BY 1, 2',
    'SELECT o.status, count(*) FROM ord o GROUP BY status ORDER BY 1, 2',
  ])('know a column by either spelling: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT status, (SELECT max(a.score) FROM acct a WHERE a.k > o.qty) AS m, count(*) FROM ord o GROUP BY ROLLUP (status, qty) ORDER BY 1, 2, 3',
    'SELECT o.id, o.qty, o.status, (SELECT max(a.score) FROM acct a WHERE a.k > o.qty) AS m, count(*) FROM ord o GROUP BY o.id, ROLLUP (status) ORDER BY 1, 2, 3',
    'SELECT o.id, o.qty, o.status, upper(o.status) AS u, a.score, count(*) FROM ord o JOIN acct a ON a.k = o.qty GROUP BY o.id, ROLLUP (status), CUBE (a.score, upper(o.status)) ORDER BY 1, 2, 3, 4, 5',
  ])('are gathered where a subquery of a group is not local: %s', (text) => expectAlike(sides, text))

  it('are refused where a primary key decides the other columns of every set', () =>
    expectRefused(
      sides,
      'SELECT o.id, qty, count(*) FROM ord o GROUP BY GROUPING SETS ((id), (id, k)) ORDER BY 1, 2, 3',
    ))
})
