import { describe, it } from 'vitest'
import { expectAlike, openSides } from './sides'

describe('a term of ORDER BY, GROUP BY or DISTINCT ON', () => {
  const sides = openSides()

  it.each([
    'SELECT score AS k, k AS z FROM acct ORDER BY 2 LIMIT 3',
    'SELECT score AS k, k FROM acct ORDER BY 1, 2 LIMIT 3',
    'SELECT score AS k, k AS score FROM acct ORDER BY k, score LIMIT 3',
    'SELECT qty AS id, id AS qty FROM ord ORDER BY 1, 2 LIMIT 5 OFFSET 3',
    'SELECT score % 3 AS k, k AS z FROM acct ORDER BY k, 2 LIMIT 4',
    'SELECT name AS score, score AS name FROM acct ORDER BY name, score',
    'SELECT (SELECT max(id) AS k FROM ord), k FROM acct ORDER BY 2 DESC LIMIT 3',
    'SELECT k AS a, k AS b, score AS k FROM acct ORDER BY b DESC, k LIMIT 3',
    'SELECT o.k, score AS k FROM ord o JOIN acct USING (k) ORDER BY 1, 2 LIMIT 4',
    'SELECT k AS qty, max(qty) AS k FROM ord GROUP BY ord.k ORDER BY qty, k',
    'SELECT k AS qty, max(qty) AS k FROM ord GROUP BY ord.k ORDER BY 2, 1 LIMIT 4',
    'SELECT DISTINCT qty AS id, status AS qty FROM ord ORDER BY id, qty LIMIT 5',
  ])('means the output that it names, not that of another name: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT score AS k FROM acct ORDER BY k',
    'SELECT DISTINCT ON (k) score AS k FROM acct',
    'SELECT DISTINCT ON (k) score AS k, k AS z FROM acct ORDER BY k, z',
    'SELECT DISTINCT ON (qty) k AS qty, id FROM ord ORDER BY qty, id',
    'SELECT DISTINCT ON (qty) k AS qty, id AS k FROM ord ORDER BY qty, k',
    'SELECT DISTINCT ON (k) k AS z, id FROM ord o ORDER BY o.k, id',
    'SELECT DISTINCT ON (2) acct.*, k AS z FROM acct ORDER BY 2, 1',
    'SELECT DISTINCT ON (3) o.id, o.*, k AS z FROM ord o ORDER BY 3, 1',
    'SELECT DISTINCT ON (2, 1) qty, status FROM ord ORDER BY 2, 1',
  ])('of DISTINCT ON is an output before it is a column: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT DISTINCT ON (score IN (SELECT m FROM memo)) k FROM acct ORDER BY score IN (SELECT m FROM memo), k',
    'SELECT score IN (SELECT m FROM memo) AS b, array_agg(k ORDER BY k) FROM acct GROUP BY score IN (SELECT m FROM memo) ORDER BY 1',
    'SELECT qty + (SELECT max(m) FROM memo) AS b, count(*) FROM ord GROUP BY qty + (SELECT max(m) FROM memo) ORDER BY qty + (SELECT max(m) FROM memo)',
    'SELECT (SELECT random()) = (SELECT random()) AS b, (SELECT max(m) FROM memo) = (SELECT max(m) FROM memo) AS c FROM acct ORDER BY k LIMIT 1',
  ])('is the output that says the same, with a subquery in it: %s', (text) => expectAlike(sides, text))

  it.each(['SELECT k, score AS k FROM acct ORDER BY k', 'SELECT score AS k, k FROM acct ORDER BY k LIMIT 2'])(
    'that two outputs may mean is a mistake: %s',
    (text) => expectAlike(sides, text),
  )
})

describe('a name in GROUP BY, ORDER BY and DISTINCT ON', () => {
  const sides = openSides()

  it.each([
    `SELECT date_trunc('month', d)::date::text AS d, count(*) FROM (SELECT created::date AS d FROM ord) x GROUP BY d ORDER BY 1, 2`,
    'SELECT lower(left(r.label, 1)) AS label, count(*) FROM ord o JOIN ref r ON r.id = o.qty GROUP BY label ORDER BY 2, 1',
    'SELECT left(s, 1) AS s, count(*) FROM ord JOIN (VALUES (1, $$aa$$), (2, $$ab$$)) v(n, s) ON v.n = qty GROUP BY s ORDER BY 1, 2',
    'SELECT left(s, 1) AS s, count(*) FROM ord JOIN (VALUES (1, $$aa$$), (2, $$ab$$)) v(n, s) ON v.n = qty GROUP BY ROLLUP (s) ORDER BY 1, 2',
    'SELECT -qty AS qty, count(*) FROM ord GROUP BY qty ORDER BY qty',
    'SELECT g / 2 AS g, count(*) FROM ord JOIN generate_series(0, 8) AS t(g) ON g = qty GROUP BY g ORDER BY 1, 2',
  ])('GROUP BY means the column before the output: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT DISTINCT ON (k) status AS k, id FROM ord ORDER BY k, id',
    'SELECT DISTINCT ON (status) qty AS status FROM ord ORDER BY status',
    'SELECT DISTINCT ON (label) left(o.status, 1) AS label, o.id FROM ord o JOIN ref r ON r.id = o.qty ORDER BY label, id',
    'SELECT DISTINCT ON (2) id, qty FROM ord ORDER BY 2, id',
    'SELECT -qty AS qty, id FROM ord ORDER BY qty, id LIMIT 7',
    'SELECT DISTINCT ON (2) a.*, k FROM (SELECT id, status FROM ord) a JOIN (SELECT id, k FROM ord) b USING (id) ORDER BY 2, 1',
    'SELECT DISTINCT ON (x) b.* FROM (SELECT id, k, k AS x FROM ord) a JOIN (SELECT id, k, status AS x FROM ord) b ON a.k = b.k AND a.id = b.id ORDER BY x, id',
  ])('DISTINCT ON and ORDER BY mean the output before the column: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT DISTINCT ON (k, ntile(2) OVER (ORDER BY id)) k, id FROM ord ORDER BY k, ntile(2) OVER (ORDER BY id), id',
    'SELECT DISTINCT ON (k, ntile(2) OVER (ORDER BY id)) k FROM ord',
    'SELECT DISTINCT ON (count(*)) count(*) AS n FROM ord GROUP BY k, status ORDER BY count(*)',
    'SELECT DISTINCT ON (max(qty)) 1 AS one FROM ord',
  ])('DISTINCT ON by what spans the shards: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT DISTINCT ON (3) id FROM ord',
    'SELECT id AS x, k AS x, count(*) FROM ord GROUP BY x',
    'SELECT DISTINCT ON (x) id AS x, k AS x FROM ord',
    'SELECT id AS x, k AS x, count(*) FROM ord GROUP BY ROLLUP (x)',
  ])('is refused as one database refuses it: %s', (text) => expectAlike(sides, text))

  it('may be a column of a part whose columns are not known', () =>
    expectAlike(
      sides,
      `SELECT upper(w) AS w, count(*) FROM ord, unnest(string_to_array(status, 'e')) w GROUP BY w ORDER BY 1, 2`,
    ))
})
