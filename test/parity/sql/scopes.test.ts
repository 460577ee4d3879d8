import { describe, it } from 'vitest'
import { expectAlike, openSides } from './sides'

describe('names in parts of a FROM clause over shards', () => {
  const sides = openSides()
  const orders = '(SELECT id, k AS owner, qty AS k FROM ord) o'

  it.each([
    `SELECT o.id FROM acct a, (SELECT n, k AS own FROM item) i JOIN ${orders} ON o.owner = i.own AND k = 5 WHERE a.k = o.owner ORDER BY 1`,
    `SELECT o.id FROM acct a, ref r LEFT JOIN ord o(id, owner, k) ON k = r.id WHERE a.k = o.owner AND a.k < 6 ORDER BY 1`,
    'SELECT o.id FROM acct a, ord o JOIN ref r ON score = r.id WHERE a.k = o.k ORDER BY 1',
    `SELECT count(*) FROM acct a, (SELECT n, k AS own FROM item) i JOIN ${orders} ON o.owner = i.own AND k IN (SELECT k FROM acct WHERE k < 4) WHERE a.k = o.owner`,
    `SELECT count(*) FROM acct JOIN item USING (k), (SELECT n, k AS own FROM item) i JOIN ${orders} ON o.owner = i.own AND k = 5 WHERE acct.k = o.owner`,
    `SELECT a.k, (SELECT count(*) FROM item i JOIN ord o ON o.id = i."ordId" AND o.k = a.k AND name <> 'x') FROM acct a ORDER BY 1`,
  ])('are those of the sides of a join in its ON: %s', (text) => expectAlike(sides, text))

  it('that a join with an alias hides are not those of a later part', () =>
    expectAlike(
      sides,
      `SELECT o.id FROM (acct o JOIN item i ON o.k = i.k AND o.score = 5) AS j(own) JOIN ord o(id, score) ON o.score = j.own ORDER BY 1`,
    ))

  it.each([
    'SELECT b.m, (SELECT count(*) FROM acct a(k0), (SELECT o.id FROM ord o WHERE o.k = k0) x WHERE a.k0 = b.m) FROM (SELECT k AS m, score AS k0 FROM acct) b ORDER BY 1',
    'SELECT b.m, (SELECT count(*) FROM acct a(k0), LATERAL (SELECT o.id FROM ord o WHERE o.k = k0) x WHERE a.k0 = b.m) FROM (SELECT k AS m, score AS k0 FROM acct) b ORDER BY 1',
    'WITH c AS (SELECT k, id FROM ord) SELECT a.k, x.id FROM acct a JOIN (SELECT * FROM c WHERE id > 5) x ON x.k = a.k ORDER BY 1, 2',
  ])('are those of its neighbours in a derived table only with LATERAL: %s', (text) => expectAlike(sides, text))
})
