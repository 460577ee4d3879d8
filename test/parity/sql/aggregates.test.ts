import { describe, it } from 'vitest'
import { expectAlike, openSides } from './sides'

describe('aggregates over shards', () => {
  const sides = openSides()

  it.each([
    'SELECT JSON_ARRAYAGG(id ORDER BY id) FROM ord',
    'SELECT JSON_ARRAYAGG(status ORDER BY id NULL ON NULL) AS j FROM ord',
    'SELECT k, JSON_ARRAYAGG(status ORDER BY id RETURNING jsonb) FROM ord GROUP BY k ORDER BY k',
    'SELECT JSON_ARRAYAGG(qty ORDER BY id) FILTER (WHERE qty > 5) AS j FROM ord',
    'SELECT (JSON_OBJECTAGG(id: qty RETURNING jsonb)) FROM ord',
    'SELECT status, JSON_OBJECTAGG(id: qty RETURNING jsonb) AS o FROM ord GROUP BY status ORDER BY status',
    'SELECT JSON_OBJECTAGG(id: qty RETURNING jsonb) AS o FROM ord WHERE id < 0',
    'SELECT JSON_ARRAYAGG(id ORDER BY id), count(*), max(qty) FROM ord',
    'SELECT count(*) FROM (SELECT JSON_ARRAYAGG(id) FROM ord) x',
  ])('of SQL/JSON are one for all shards: %s', (text) => expectAlike(sides, text))

  it.each([
    `SELECT status, count(*), (SELECT count(*) FROM acct) AS c FROM ord WHERE qty < -1000 GROUP BY CUBE (status)`,
    `SELECT status, count(*), (SELECT count(*) FROM acct) AS c FROM ord GROUP BY ROLLUP (status) ORDER BY 1, 2`,
    'SELECT count(*), (SELECT count(*) FROM acct) AS c FROM ord WHERE qty < -1000 GROUP BY ()',
    'SELECT count(*), (SELECT count(*) FROM acct) AS c FROM ord WHERE qty < -1000',
    'SELECT sum(qty) + (SELECT max(score) FROM acct) AS c FROM ord HAVING count(*) > (SELECT count(*) FROM acct)',
  ])('give the row of the empty grouping set, beside a subquery: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT 1 AS one FROM ord WINDOW w AS (ORDER BY count(*))',
    'SELECT 1 AS one FROM ord WINDOW w AS (PARTITION BY stddev(qty))',
    'SELECT DISTINCT ON (count(*)) 1 AS one FROM ord',
    'SELECT count(*) FROM (SELECT 1 AS one FROM ord WINDOW w AS (ORDER BY count(*))) x',
    'SELECT status, rank() OVER w AS r FROM ord GROUP BY status WINDOW w AS (PARTITION BY stddev(qty)::int ORDER BY count(*)) ORDER BY 1, 2',
    'SELECT status, rank() OVER w AS r FROM ord GROUP BY status WINDOW w AS (ORDER BY mode() WITHIN GROUP (ORDER BY qty), status) ORDER BY 1, 2',
  ])('make groups of the rows wherever they stand: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT max(qty) IN (SELECT m FROM memo) AS b FROM ord',
    'SELECT count(*) > ALL (SELECT m FROM memo) AS b FROM ord',
    'SELECT (max(qty), min(qty)) IN (SELECT m, qty FROM memo) AS b FROM ord',
    'SELECT count(*) IN (SELECT m FROM memo WHERE memo.qty < 3) OR sum(qty) NOT IN (SELECT m FROM memo) AS x FROM ord WHERE id < 8',
    `SELECT CASE WHEN count(*) IN (SELECT m FROM memo) THEN 'a' ELSE 'b' END AS x FROM ord WHERE id < 8`,
    'SELECT 1 AS one FROM ord ORDER BY max(qty) IN (SELECT m FROM memo)',
    'SELECT count(*) FROM (SELECT max(qty) IN (SELECT m FROM memo) AS b FROM ord) x',
    'SELECT status, max(qty) IN (SELECT m FROM memo) AS b FROM ord GROUP BY status ORDER BY 1',
    'SELECT status, array_agg(qty ORDER BY id) IN (SELECT ARRAY[m] FROM memo) AS b FROM ord GROUP BY status ORDER BY 1',
    'SELECT status, sum(qty) FROM ord GROUP BY status HAVING max(qty) = ANY (SELECT m FROM memo) ORDER BY 1',
    'SELECT k, (SELECT max(qty) IN (SELECT m FROM memo) FROM ord o WHERE o.k = a.k) AS b FROM acct a ORDER BY k',
    'SELECT id, (row_number() OVER (ORDER BY id)) IN (SELECT m FROM memo) AS b FROM ord ORDER BY id',
    'SELECT id FROM ord ORDER BY (sum(qty) OVER (ORDER BY id)) IN (SELECT m FROM memo) DESC, id',
    'SELECT status, grouping(status), count(*) FROM ord GROUP BY ROLLUP (status) HAVING grouping(status) IN (SELECT m FROM memo) ORDER BY 1',
  ])('and windows may be compared with a subquery: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT array_agg(id ORDER BY id), (SELECT count(*) FROM acct) AS c FROM ord',
    'SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY qty), (SELECT count(*) FROM acct) AS c FROM ord',
    'SELECT status, string_agg(id::text, $1 ORDER BY id), (SELECT max(k) FROM acct WHERE k < $2) AS c FROM ord GROUP BY 1 ORDER BY 1',
  ])('that need all rows may stand beside a subquery: %s', (text) =>
    expectAlike(sides, text, text.includes('$2') ? ['+', 9] : []),
  )

  it.each([
    'SELECT (SELECT max(o.qty)) AS m FROM ord o',
    'SELECT (SELECT max(o.qty) FROM ref LIMIT 1) AS m FROM ord o',
    'SELECT o.status, (SELECT max(qty) FROM acct a WHERE a.k = 1) AS m FROM ord o GROUP BY 1 ORDER BY 1',
    'SELECT 1 AS x FROM ord o HAVING EXISTS (SELECT FROM ref WHERE ref.id = max(o.qty))',
    'SELECT (SELECT JSON_ARRAYAGG(o.qty ORDER BY o.id)) AS m FROM ord o',
    'SELECT count(*) FROM (SELECT (SELECT count(o.id)) AS m FROM ord o) x',
  ])('that stand in a subquery may be of the query around it, over all shards: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT (SELECT max(o.qty + r.id) FROM ref r) AS m FROM ord o ORDER BY o.id',
    'SELECT o.id, (SELECT max(id) FROM ref WHERE id < o.qty) AS m FROM ord o ORDER BY o.id',
    'SELECT (SELECT max(r.id) FROM ord o WHERE o.id = 1) AS m FROM ref r',
    'SELECT (SELECT max(o.qty)) AS m FROM ord o WHERE o.k = 1',
  ])('are answered where a column is of the subquery, or one database has all rows: %s', (text) =>
    expectAlike(sides, text),
  )

  it.each([
    'SELECT count(*), (SELECT array_agg(r.label ORDER BY r.id) FROM ref r) AS l FROM ord',
    'SELECT sum(qty), (SELECT array_agg(r.id ORDER BY r.id) FROM ref r WHERE r.id < 3) || 7 AS l FROM ord',
    'SELECT max(qty), ARRAY(SELECT r.id FROM ref r ORDER BY 1) AS l FROM ord',
    'SELECT count(*), (SELECT r.label FROM ref r WHERE r.id = 3) AS l, (SELECT r.label FROM ref r WHERE r.id = 1) FROM ord',
  ])('stand beside a subquery that gives an array: %s', (text) => expectAlike(sides, text))
})
