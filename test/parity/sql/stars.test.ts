import { describe, it } from 'vitest'
import { expectAlike, openSides } from './sides'

describe('a * over shards', () => {
  const sides = openSides()

  it.each([
    `SELECT * FROM ord JOIN (VALUES (1,'a')) v(n,s) ON v.n = ord.qty ORDER BY id`,
    `SELECT * FROM ord JOIN (VALUES (1,'a')) v ON v.column1 = ord.qty ORDER BY id`,
    `WITH c AS (VALUES (1,'a'),(2,'b')) SELECT * FROM ord JOIN c ON c.column1 = ord.qty ORDER BY id`,
    `WITH c(n,s) AS (VALUES (1,'a'),(2,'b')) SELECT * FROM ord JOIN c ON c.n = ord.qty ORDER BY id`,
    'WITH c AS (TABLE ref) SELECT * FROM item JOIN c ON c.id = item.n ORDER BY n',
    'SELECT * FROM item JOIN ref ON ref.id = item.n ORDER BY n',
    'SELECT r.*, i.* FROM item i JOIN ref r(x, y) ON r.x = i.n ORDER BY n',
    'SELECT * FROM (TABLE item) x ORDER BY n LIMIT 3',
    'SELECT * FROM (TABLE ref) x, item ORDER BY n, id LIMIT 7',
  ])('has the columns of VALUES, CTEs and unsharded tables: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT * FROM item JOIN generate_series(1,3) g ON g = item.n ORDER BY n',
    'SELECT * FROM item, generate_series(1,2) WITH ORDINALITY AS g(v, o) ORDER BY n, v',
    'SELECT * FROM ord, jsonb_each(doc) ORDER BY id, key',
    'SELECT j.*, id FROM ord, jsonb_each_text(doc) AS j ORDER BY id, key',
    `SELECT * FROM item, jsonb_to_record('{"a":1}') AS j(a int) ORDER BY n LIMIT 3`,
    `SELECT * FROM item, ROWS FROM (generate_series(1,2), jsonb_array_elements_text('["x"]')) AS r ORDER BY n, 5 LIMIT 6`,
    'SELECT * FROM item, unnest(ARRAY[1,2]) u ORDER BY n, u LIMIT 5',
    'SELECT * FROM (SELECT * FROM item, generate_series(1,2) g) x ORDER BY n, g',
    'SELECT x.* FROM item, LATERAL (SELECT * FROM generate_series(1, item.k) g) x ORDER BY n, g LIMIT 5',
  ])('has the columns of functions: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT * FROM acct LEFT JOIN ord USING (k) ORDER BY k, id',
    'SELECT * FROM ord RIGHT JOIN acct USING (k) ORDER BY k, id',
    'SELECT * FROM ord FULL JOIN acct USING (k) ORDER BY k, id',
    'SELECT * FROM acct NATURAL LEFT JOIN ord ORDER BY k, id',
    'SELECT * FROM ord NATURAL RIGHT JOIN acct ORDER BY k, id',
    'SELECT * FROM acct JOIN ord USING (k) JOIN item USING (k) ORDER BY k, id, n',
    'SELECT * FROM acct LEFT JOIN (ord JOIN item USING (k)) USING (k) ORDER BY k, id, n',
    'SELECT k, id FROM acct LEFT JOIN ord USING (k) ORDER BY k, id',
    'SELECT k, count(*) FROM ord FULL JOIN acct USING (k) GROUP BY k ORDER BY k',
    'SELECT * FROM (SELECT * FROM acct LEFT JOIN ord USING (k)) x WHERE id IS NULL ORDER BY k',
    'SELECT j.k, name FROM acct LEFT JOIN ord USING (k) AS j ORDER BY 1, id',
    'SELECT * FROM (acct JOIN item USING (k)) AS j(a,b,c,d) ORDER BY d',
    'SELECT j.a, j.label FROM (acct JOIN item USING (k)) AS j(a,b,c,d) WHERE j.a < 5 ORDER BY d',
    'SELECT acct.*, ord.k FROM acct LEFT JOIN ord USING (k) ORDER BY acct.k, id',
  ])('has a column of USING and NATURAL once, from the side that is kept: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT (o).* FROM ord o ORDER BY id',
    'SELECT (o).id, (o).qty FROM ord o ORDER BY id LIMIT 3',
    'SELECT id, (jsonb_each_text(doc)).* FROM ord ORDER BY 1, 2',
    'SELECT x.* FROM (SELECT (o).* FROM ord o) x ORDER BY id LIMIT 3',
  ])('of a row has all its columns: %s', (text) => expectAlike(sides, text))

  it.each(['SELECT * FROM item, unnest($1::int[]) u ORDER BY n, u LIMIT 5'])(
    'has the columns of an array that is a parameter: %s',
    (text) => expectAlike(sides, text, [[1, 2]]),
  )

  it('may be of a part whose columns are not known', () =>
    expectAlike(sides, 'SELECT * FROM item, jsonb_populate_record(NULL::ref, \'{"id": 1}\') r ORDER BY n'))
})
