import { describe, it } from 'vitest'
import { expectAlike, openSides } from './sides'

describe('EXISTS over rows that are carried to it', () => {
  const sides = openSides()

  it.each([
    'SELECT v.a FROM (VALUES (1), (2), (99)) v(a) WHERE NOT EXISTS (SELECT qty FROM ord WHERE ord.k = v.a) ORDER BY 1',
    'SELECT v.a FROM (VALUES (1), (2), (99)) v(a) WHERE EXISTS (SELECT qty, status FROM ord WHERE ord.k = v.a) ORDER BY 1',
    'SELECT v.a FROM (SELECT id AS a FROM ref) v WHERE EXISTS (SELECT qty FROM ord WHERE ord.k = v.a GROUP BY qty HAVING count(*) > 1) ORDER BY 1',
    'SELECT v.a FROM (SELECT id AS a FROM ref) v WHERE EXISTS (SELECT DISTINCT qty FROM ord WHERE ord.k = v.a OFFSET 3) ORDER BY 1',
    'SELECT v.a, EXISTS (SELECT o.* FROM ord o WHERE o.k = v.a) AS e FROM (SELECT id AS a FROM ref) v ORDER BY 1',
    'SELECT v.a, EXISTS (SELECT * FROM ord o WHERE o.k = v.a) AS e FROM (SELECT id AS a FROM ref) v ORDER BY 1',
    'SELECT v.a FROM (SELECT id AS a FROM ref) v WHERE NOT EXISTS (SELECT (SELECT name FROM acct WHERE acct.k = ord.k) FROM ord WHERE ord.k = v.a) ORDER BY 1',
  ])('has the columns that it names: %s', (text) => expectAlike(sides, text))
})
