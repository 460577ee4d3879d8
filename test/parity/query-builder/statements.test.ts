import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type OpenTargets, openTargets } from '../../support/targets'
import { expectExactOrRefused } from './builders'
import { shop } from './shop'
import { openShop } from './shop-rows'

/** Statements whose answer over shards is that of one database. Each is sent to every target as it stands. */
const answered = String.raw`
SELECT id FROM customer WHERE id::text = '7'
SELECT id FROM customer WHERE id = 7.0
SELECT id FROM customer WHERE id = 7::numeric
SELECT id FROM customer WHERE id = 7.5
SELECT id FROM customer WHERE id = '7'::text::bigint
SELECT id FROM customer WHERE (id, points) = (7, 300)
SELECT id FROM customer WHERE id IS NOT DISTINCT FROM 7
SELECT id FROM customer WHERE NOT (id <> 7)
SELECT id FROM customer WHERE id BETWEEN SYMMETRIC 9 AND 5 ORDER BY id
SELECT id FROM customer WHERE (id = 7) IS TRUE
SELECT id FROM customer WHERE (id = 7) IS NOT TRUE ORDER BY id
SELECT id FROM customer WHERE (id = 7) = false ORDER BY id
SELECT id FROM customer WHERE CASE WHEN id = 7 THEN true ELSE false END
SELECT id FROM customer WHERE coalesce(id, 0) = 7
SELECT id FROM customer WHERE id = (SELECT 7)
SELECT id FROM customer WHERE id IN (SELECT 7 UNION SELECT 3) ORDER BY id
SELECT id FROM customer WHERE id IN (VALUES (1), (2)) ORDER BY id
SELECT id FROM customer WHERE id = ANY(ARRAY[1,2]) ORDER BY id
SELECT id FROM customer WHERE id = ANY('{1,2}') ORDER BY id
SELECT id FROM customer WHERE id <> ALL(ARRAY[1,2,3,4,5,6,7,8,9]) ORDER BY id
SELECT id FROM customer WHERE id = SOME(ARRAY[4,5]::bigint[]) ORDER BY id
SELECT id FROM customer WHERE id >= ANY(ARRAY[11]) ORDER BY id
SELECT id FROM customer WHERE id = 7 OR NULL
SELECT id FROM customer WHERE id = 7 AND NULL
SELECT code FROM warehouse WHERE code LIKE 'W1'
SELECT code FROM warehouse WHERE code ILIKE 'w1'
SELECT code FROM warehouse WHERE code = 'W1 '
SELECT code FROM warehouse WHERE code = 'W1'::char(5)
SELECT code FROM warehouse WHERE 'W1' = code COLLATE "C"
SELECT code FROM warehouse WHERE lower(code) = 'w1'
SELECT code FROM warehouse WHERE code > 'W3' ORDER BY code
SELECT code FROM warehouse WHERE code = E'W\x31'
SELECT code FROM warehouse WHERE code = U&'W\0031'
SELECT code FROM warehouse WHERE code IN ('W1', NULL, 'W2') ORDER BY code
SELECT code FROM warehouse WHERE code NOT IN ('W1', NULL)
SELECT count(*) FROM customer HAVING count(*) > 5
SELECT count(*) FROM customer HAVING count(*) > 50
SELECT count(*) c, max(points) FROM customer WHERE id = 99
SELECT tier FROM customer GROUP BY tier ORDER BY count(*) DESC, tier LIMIT 1
SELECT tier, count(*) FROM customer GROUP BY tier ORDER BY sum(id) DESC, tier
SELECT tier, sum(points) FILTER (WHERE active) AS s FROM customer GROUP BY tier ORDER BY s DESC, tier
SELECT DISTINCT ON (tier) tier, id FROM customer ORDER BY tier, points DESC, id
SELECT DISTINCT points % 200 AS p FROM customer ORDER BY p
SELECT max(name) FROM customer
SELECT min(tags) FROM customer
SELECT avg(score), sum(score), min(score) FROM customer
SELECT sum(balance) / count(balance) AS x FROM customer
SELECT sum(DISTINCT points), avg(DISTINCT points) FROM customer
SELECT tier, sum(DISTINCT points) FROM customer GROUP BY tier ORDER BY tier
SELECT string_agg(DISTINCT tier::text, ',' ORDER BY tier::text) FROM customer
SELECT array_agg(id ORDER BY id) FROM customer
SELECT json_agg(id ORDER BY id) FROM customer
SELECT jsonb_object_agg(code, capacity) FROM warehouse
SELECT mode() WITHIN GROUP (ORDER BY points) FROM customer
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY points) FROM customer
SELECT stddev(points), variance(points) FROM customer
SELECT bit_and(points), bit_or(points), bit_xor(points) FROM customer
SELECT every(active), bool_or(active) FROM customer
SELECT any_value(1) FROM customer
SELECT tier, active, count(*) FROM customer GROUP BY GROUPING SETS ((tier), (active), ()) ORDER BY 1, 2, 3
SELECT tier, active, count(*), grouping(tier) FROM customer GROUP BY CUBE (tier, active) ORDER BY 1, 2, 3, 4
SELECT unnest(tags) AS t, count(*) FROM customer GROUP BY 1 ORDER BY 1
SELECT generate_series(1, 2) AS g, id FROM customer ORDER BY g, id LIMIT 5
SELECT id, unnest(tags) AS t FROM customer ORDER BY id, t
SELECT id, row_number() OVER (ORDER BY id) FROM customer ORDER BY id LIMIT 3
SELECT id, count(*) OVER () AS n FROM customer ORDER BY id LIMIT 3
SELECT id, rank() OVER (PARTITION BY tier ORDER BY points) FROM customer ORDER BY id
SELECT number, lag(number) OVER (PARTITION BY "customerId" ORDER BY number) FROM "order" ORDER BY number
SELECT number, lag(number) OVER w FROM "order" WINDOW w AS (PARTITION BY "customerId" ORDER BY number) ORDER BY number
SELECT "customerId", count(*), rank() OVER (ORDER BY count(*) DESC) FROM "order" GROUP BY "customerId" ORDER BY 1
SELECT c.id, x.n FROM customer c, LATERAL (SELECT count(*) n FROM "order" o WHERE o."customerId" = c.id) x ORDER BY c.id
SELECT c.id, x.number FROM customer c CROSS JOIN LATERAL (SELECT number FROM "order" o WHERE o."customerId" = c.id ORDER BY number DESC LIMIT 1) x ORDER BY c.id
SELECT c.id, x.number FROM customer c LEFT JOIN LATERAL (SELECT number FROM "order" o WHERE o."customerId" = c.id ORDER BY number DESC LIMIT 1) x ON true ORDER BY c.id
SELECT (SELECT max(points) FROM customer) AS m
SELECT (SELECT count(*) FROM customer) AS a, (SELECT count(*) FROM "order") AS b
SELECT id FROM customer WHERE points = (SELECT max(points) FROM customer) ORDER BY id
SELECT id FROM customer WHERE id = (SELECT min("customerId") FROM "order")
SELECT name, (SELECT count(*) FROM customer) FROM setting ORDER BY name
SELECT c.id, d.points FROM customer c JOIN customer d ON c.id = d.id WHERE c.points = 300 ORDER BY 1
SELECT c.id, i.id AS item FROM customer c JOIN "order" o ON o."customerId" = c.id JOIN item i ON i."customerId" = o."customerId" AND i."orderId" = o.id WHERE i.quantity = 4 ORDER BY 1, 2
SELECT o.number, p.method FROM "order" o JOIN payment p USING ("customerId") WHERE p."orderId" = o.id ORDER BY 1
SELECT c.id, o.number FROM customer c RIGHT JOIN "order" o ON o."customerId" = c.id AND c.points > 100 ORDER BY 2
SELECT c.id, o.number FROM customer c FULL JOIN "order" o ON o."customerId" = c.id AND o.total > 90 ORDER BY 1, 2
SELECT c.id, s.name FROM customer c CROSS JOIN setting s WHERE c.id = 4 ORDER BY 2
WITH customer AS (SELECT 1 AS id) SELECT * FROM customer
SELECT "order".id FROM customer "order" WHERE "order".id < 3 ORDER BY 1
SELECT customer.number FROM "order" customer WHERE customer."customerId" = 4 ORDER BY 1
SELECT c FROM customer c WHERE id = 1
SELECT (w).city FROM warehouse w ORDER BY 1
SELECT w.* FROM warehouse w ORDER BY w.code
SELECT row_to_json(w) FROM warehouse w ORDER BY w.code
SELECT w::text FROM warehouse w ORDER BY w.code
SELECT count(*) > 0 AS yes FROM information_schema.tables WHERE table_name = 'pg_class' OR table_schema = 'pg_catalog'
SELECT id FROM customer UNION ALL SELECT id FROM customer ORDER BY 1 LIMIT 4
SELECT points FROM customer UNION SELECT capacity FROM warehouse ORDER BY 1
SELECT id FROM customer INTERSECT SELECT "customerId" FROM "order" ORDER BY 1
SELECT points FROM customer EXCEPT SELECT 100 ORDER BY 1
SELECT id FROM customer WHERE id = 1 UNION SELECT id FROM customer WHERE id = 2 ORDER BY 1
SELECT count(*) FROM (SELECT DISTINCT points FROM customer) x
SELECT count(*) FROM (SELECT DISTINCT id FROM customer) x
SELECT count(*) FROM (SELECT id FROM customer LIMIT 5) x
SELECT max(n) FROM (SELECT "customerId", count(*) n FROM "order" GROUP BY 1) x
SELECT max(n) FROM (SELECT status, count(*) n FROM "order" GROUP BY 1) x
SELECT x.id, x.r FROM (SELECT id, row_number() OVER (ORDER BY points, id) r FROM customer) x WHERE x.r <= 3 ORDER BY x.r
SELECT x.id FROM (SELECT id, row_number() OVER (PARTITION BY tier ORDER BY points DESC, id) r FROM customer) x WHERE x.r = 1 ORDER BY x.id
SELECT id FROM customer WHERE id IN (SELECT "customerId" FROM "order" LIMIT 1000) ORDER BY id
SELECT id FROM customer WHERE id IN (SELECT "customerId" FROM "order" ORDER BY total DESC, number LIMIT 2) ORDER BY id
SELECT id FROM customer WHERE id NOT IN (SELECT "customerId" FROM "order" WHERE number > 5) ORDER BY id
SELECT id FROM customer WHERE points IN (SELECT 100) ORDER BY id
SELECT id FROM customer WHERE (id, points) IN (SELECT "customerId", 300 FROM "order") ORDER BY id
SELECT id FROM customer WHERE id > ALL (SELECT "customerId" FROM "order" WHERE "customerId" < 9) ORDER BY id
SELECT id FROM customer ORDER BY name COLLATE "C" DESC LIMIT 3
SELECT id FROM customer ORDER BY lower(name) COLLATE "C", id LIMIT 3
SELECT id FROM customer ORDER BY random() * 0, id LIMIT 3
SELECT id FROM customer ORDER BY (SELECT count(*) FROM "order" o WHERE o."customerId" = customer.id) DESC, id LIMIT 3
SELECT id FROM customer ORDER BY profile, id
SELECT id AS points, points AS id FROM customer ORDER BY points LIMIT 2
SELECT -id AS id FROM customer ORDER BY id LIMIT 2
SELECT -id AS id FROM customer ORDER BY customer.id LIMIT 2
SELECT points AS p, count(*) FROM customer GROUP BY points HAVING points > 100 ORDER BY p
SELECT tier AS points, count(*) FROM customer GROUP BY points, tier ORDER BY 1, 2
SELECT 1 AS x, count(*) FROM customer GROUP BY x
SELECT id FROM customer LIMIT ALL OFFSET 12
SELECT id FROM customer ORDER BY id LIMIT 1 + 1 OFFSET (SELECT 1)
SELECT id FROM customer ORDER BY id LIMIT NULL OFFSET 10
SELECT id FROM ONLY customer WHERE id = 3
SELECT id, points FROM customer WHERE id = 3 FOR UPDATE
SELECT id FROM customer ORDER BY id LIMIT 2 FOR UPDATE
SELECT v.x, c.id FROM (VALUES (1), (2)) v(x) JOIN customer c ON c.id = v.x ORDER BY 1
SELECT g, c.id FROM customer c JOIN generate_series(1, 3) g ON g = c.id ORDER BY 1
SELECT c.id, t FROM customer c CROSS JOIN unnest(c.tags) t ORDER BY 1, 2
SELECT now() IS NOT NULL AS x, count(*) FROM customer
SELECT count(*) FILTER (WHERE points > 100) * 100.0 / count(*) AS pct FROM customer
SELECT round(avg(points), 2) FROM customer
SELECT coalesce(sum(points), 0) + 1 AS x FROM customer WHERE id > 100
SELECT CASE WHEN count(*) > 5 THEN 'many' ELSE 'few' END AS x FROM customer
SELECT to_char(sum(balance), 'FM999.00') FROM customer
SELECT sum(points)::int + max(id)::int AS x FROM customer
SELECT tier, avg(points)::int FROM customer GROUP BY tier HAVING avg(points) > (SELECT 10) ORDER BY tier
SELECT tier FROM customer GROUP BY tier HAVING count(*) > (SELECT count(*) FROM setting) ORDER BY 1
SELECT tier || 'x' AS t, count(*) FROM customer GROUP BY tier ORDER BY tier || 'x'
SELECT points / 100 AS h, sum(points) FROM customer GROUP BY points / 100 ORDER BY points / 100
SELECT sum(count(*)) OVER () AS s FROM customer GROUP BY tier LIMIT 1
SELECT DISTINCT count(*) OVER (PARTITION BY tier) AS n FROM customer
SELECT DISTINCT sum(points) FROM customer GROUP BY tier
SELECT o."customerId", count(DISTINCT i.sku) FROM "order" o JOIN item i ON i."orderId" = o.id GROUP BY o."customerId" ORDER BY 1
SELECT o.status, count(DISTINCT i.sku), sum(i.price) FROM "order" o JOIN item i ON i."orderId" = o.id GROUP BY o.status ORDER BY 1
SELECT EXISTS (SELECT 1 FROM customer WHERE id = 12) AS e
SELECT EXISTS (SELECT 1 FROM customer WHERE points = 300) AS e
SELECT ARRAY(SELECT id FROM customer ORDER BY id) AS a
SELECT id, ARRAY(SELECT number FROM "order" o WHERE o."customerId" = c.id ORDER BY number) AS a FROM customer c ORDER BY id LIMIT 4
SELECT count(*) FROM customer, setting
SELECT count(*) FROM customer a, customer b WHERE a.id = b.id AND a.points = b.points
SELECT count(*) FROM customer a, "order" b, item c WHERE a.id = b."customerId" AND c."customerId" = a.id
SELECT count(*) FROM customer a JOIN "order" b ON a.id = b."customerId" OR a.id = b."customerId"
SELECT count(b.id) FROM customer a LEFT JOIN (SELECT * FROM "order" WHERE total > 50) b ON a.id = b."customerId"
SELECT a.id, b.n FROM customer a JOIN (SELECT "customerId" AS k, count(*) n FROM "order" GROUP BY "customerId") b ON a.id = b.k ORDER BY 1
SELECT a.id, b.n FROM customer a JOIN (SELECT number AS k, count(*) n FROM "order" GROUP BY number) b ON a.id = b.k ORDER BY 1
SELECT id FROM customer WHERE false
SELECT count(*) FROM customer WHERE false
SELECT id FROM customer WHERE 1 = 1 AND id = 5
SELECT "id" FROM "public"."customer" WHERE "customer"."id" = '5'
SELECT id FROM customer c WHERE c.id = 5 AND EXISTS (SELECT 1 FROM warehouse WHERE code = 'W1')
SELECT id FROM customer WHERE id = 5
SELECT sum(x) FROM (SELECT sum(points) x FROM customer GROUP BY tier) y
SELECT id FROM customer WHERE id = 3 OR id IN (SELECT "customerId" FROM "order" WHERE number = 14) ORDER BY id
SELECT id FROM customer WHERE "seenAt" = (SELECT max("seenAt") FROM customer)
SELECT max("seenAt")::text FROM customer
SELECT "seenAt"::text FROM customer ORDER BY "seenAt" DESC LIMIT 2
SELECT points FROM customer ORDER BY points DESC FETCH FIRST 2 ROWS WITH TIES
SELECT id FROM customer ORDER BY points DESC, id FETCH FIRST 4 ROWS WITH TIES
SELECT points FROM customer ORDER BY points DESC OFFSET 1 FETCH FIRST (1 + 1) ROWS WITH TIES
SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM customer ORDER BY points DESC FETCH FIRST 2 ROWS WITH TIES) x
SELECT id FROM customer WHERE id IN (SELECT id FROM customer ORDER BY points DESC FETCH NEXT 2 ROWS WITH TIES) ORDER BY id
SELECT count(*) n FROM customer GROUP BY tier ORDER BY n FETCH FIRST ROW WITH TIES
(SELECT id FROM customer ORDER BY points DESC FETCH FIRST 1 ROW WITH TIES) UNION SELECT 1 ORDER BY 1
SELECT sum(x) FROM (SELECT points x FROM customer UNION ALL SELECT number FROM "order") y
SELECT sum(x) FROM (SELECT points x FROM customer UNION SELECT number FROM "order") y
SELECT sum(x) FROM (SELECT points x FROM customer EXCEPT ALL SELECT DISTINCT points FROM customer) y
SELECT id FROM customer WHERE points IN (SELECT points FROM customer INTERSECT SELECT number FROM "order") ORDER BY id
WITH x AS (SELECT points p FROM customer UNION SELECT number FROM "order") SELECT count(*), (SELECT max(p) FROM x) m FROM x
SELECT points FROM customer UNION SELECT NULL ORDER BY 1
SELECT points FROM customer UNION ALL SELECT '5' FROM customer WHERE id < 3 ORDER BY 1
SELECT NULL AS p, 'a' AS t UNION SELECT points, tier::text FROM customer ORDER BY 1, 2
SELECT points, points FROM customer EXCEPT SELECT NULL, number FROM "order" ORDER BY 1
WITH x AS (SELECT points p, count(*) n FROM customer GROUP BY 1), y AS (SELECT n, count(*) m FROM x GROUP BY 1) SELECT x.p, y.m FROM x JOIN y ON y.n = x.n ORDER BY 1
WITH x AS (SELECT points p FROM customer GROUP BY 1), y AS (SELECT max(p) p FROM x) SELECT id FROM customer WHERE points = (SELECT p FROM y) ORDER BY 1
WITH x AS (SELECT points p FROM customer) (WITH y AS (SELECT max(p) p FROM x) SELECT p FROM y) UNION SELECT p FROM x ORDER BY 1
SELECT count(*) FROM (WITH x AS (SELECT points p FROM customer GROUP BY 1 HAVING count(*) > 1) SELECT id FROM customer WHERE points IN (SELECT p FROM x)) z
WITH customer AS (SELECT id, points FROM customer WHERE id < 5) SELECT * FROM customer ORDER BY id
WITH customer AS (SELECT points FROM customer GROUP BY 1) SELECT * FROM customer ORDER BY 1
WITH warehouse AS (SELECT id FROM customer), customer AS (SELECT id, 1 AS number FROM warehouse) SELECT sum(number) FROM customer
WITH RECURSIVE r AS (SELECT points p FROM customer UNION SELECT p + 100 FROM r WHERE p < 500) SELECT p FROM r ORDER BY 1
WITH RECURSIVE r(n) AS (SELECT max(points) FROM customer UNION ALL SELECT n - 100 FROM r WHERE n > 0) SELECT n FROM r ORDER BY 1
WITH "Rich Ones" AS (SELECT id FROM customer WHERE points > 300) SELECT count(*) FROM "Rich Ones"
WITH "order" AS (SELECT points FROM customer GROUP BY 1) SELECT * FROM "order" ORDER BY 1
SELECT id, row_number() OVER "By Points" n, sum(points) OVER ("select" ORDER BY id) s FROM customer WINDOW "By Points" AS (ORDER BY points, id), "select" AS (PARTITION BY tier) ORDER BY id
SELECT points, tier, count(*) FROM customer GROUP BY ROLLUP (1, 2) ORDER BY 1, 2, 3
SELECT points AS p, tier AS t, grouping(points) g, count(*) FROM customer GROUP BY GROUPING SETS ((p, t), (t), ()) ORDER BY g, p, t, 4
SELECT tier, points % 2, count(*) FROM customer WHERE id < 0 GROUP BY GROUPING SETS ((1, 2), ())
SELECT tier, count(*) FROM customer GROUP BY (1, points) ORDER BY 1, 2
SELECT 'all' AS label, count(*) FROM customer GROUP BY label
SELECT 'all' AS label, count(*) FROM customer WHERE points < 0 GROUP BY 1
SELECT 3 AS three, tier, count(*) FROM customer GROUP BY 1, 2 ORDER BY 2
SELECT 3 AS three, count(DISTINCT points) FROM customer WHERE points < 0 GROUP BY 1
SELECT NULL AS nothing, count(*), 1.5 AS half, true AS yes FROM customer GROUP BY 1, 3, 4
SELECT 2 AS two, tier, count(*) FROM customer GROUP BY ROLLUP (1, 2) ORDER BY 1, 2, 3
SELECT count(*) FROM (SELECT tier FROM customer WHERE points > 300 EXCEPT SELECT tier FROM customer WHERE points < 200) x
SELECT count(*) FROM (SELECT NULL UNION SELECT tier FROM customer UNION ALL SELECT tier FROM customer) x
SELECT c.id, x.n FROM customer c, LATERAL (SELECT count(*) n FROM "order" o WHERE o."customerId" = c.id AND o."customerId" = 3) x ORDER BY 1
SELECT c.id, x.n FROM customer c JOIN LATERAL (SELECT count(*) n FROM "order" o WHERE o."customerId" = c.id AND o."customerId" IN (3, 4) GROUP BY ROLLUP (o.number)) x ON true ORDER BY 1, 2
SELECT id FROM customer c WHERE id <> ALL (SELECT "customerId" FROM "order" o WHERE o.number > c.points) ORDER BY 1
SELECT x.number, count(*) FROM (SELECT "customerId", number, count(*) n FROM "order" GROUP BY "customerId", ROLLUP (number)) x GROUP BY 1 ORDER BY 1
SELECT DISTINCT id FROM (SELECT id, tier, count(*) n FROM customer GROUP BY tier, ROLLUP (id)) x ORDER BY 1
SELECT x.number, count(*) FROM (SELECT "customerId", id, number FROM (SELECT "customerId", id, number FROM "order") o GROUP BY "customerId", CUBE (id, number)) x GROUP BY 1 ORDER BY 1
SELECT i.id FROM item i WHERE i."orderId" NOT IN (SELECT o.id FROM "order" o WHERE o."customerId" = 3) ORDER BY 1
SELECT i.id FROM item i WHERE i."orderId" <> ALL (SELECT o.id FROM "order" o WHERE o."customerId" = 3) ORDER BY 1
SELECT i.id, i."orderId" IN (SELECT o.id FROM "order" o WHERE o."customerId" = 3) AS x FROM item i ORDER BY 1
SELECT c.id, o.id NOT IN (SELECT x.id FROM "order" x WHERE x.number < 3) AS y FROM customer c LEFT JOIN "order" o ON o."customerId" = c.id ORDER BY c.id, o.number
SELECT count(*) FROM (SELECT id::text FROM customer UNION ALL SELECT code FROM warehouse) x
SELECT count(*), min(n) FROM (SELECT 1 AS n UNION ALL SELECT points FROM customer WHERE points > 100) x
WITH x AS (SELECT 0 AS n UNION ALL SELECT points FROM customer UNION ALL SELECT 7) SELECT n FROM x ORDER BY n
SELECT id FROM customer WHERE points IN (SELECT 300 UNION ALL SELECT number FROM "order") ORDER BY id
WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT count(*) FROM customer JOIN r ON r.n = points / 100
`

/** Statements that several shards may refuse, but may not answer otherwise than one database. */
const answeredOrRefused = `
TABLE warehouse ORDER BY code
SELECT DISTINCT tier, points FROM customer ORDER BY points DESC, tier LIMIT 3 OFFSET 1
SELECT count(DISTINCT (points, tier)) FROM customer
WITH x AS (SELECT * FROM customer) SELECT a.id FROM x a JOIN x b ON a.id = b.id ORDER BY 1 LIMIT 2
WITH x AS (SELECT id, points FROM customer) SELECT count(*) FROM x a JOIN x b ON a.points = b.points
WITH RECURSIVE r AS (SELECT id FROM customer WHERE id = 1 UNION ALL SELECT r.id + 1 FROM r WHERE r.id < 3) SELECT * FROM r ORDER BY 1
SELECT code FROM warehouse w ORDER BY w
SELECT id FROM customer WHERE (points, tier) IN (SELECT points, tier FROM customer WHERE id = 3) ORDER BY id
SELECT count(*) FROM customer a LEFT JOIN (SELECT * FROM "order" LIMIT 3) b ON a.id = b."customerId"
SELECT public.customer.id FROM public.customer WHERE public.customer.id = 5
SELECT c.id, w.code FROM customer c JOIN warehouse w ON c.id = 4 AND w.code = 'W1'
SELECT FROM customer
SELECT c.id, x.n FROM customer c, LATERAL (SELECT count(*) n FROM "order" o WHERE o.number = c.id) x ORDER BY c.id
SELECT id FROM customer c WHERE points > (SELECT avg(points) FROM customer d WHERE d.tier = c.tier) ORDER BY id
SELECT c.id, o.number FROM customer c JOIN "order" o ON o."customerId" + 0 = c.id ORDER BY 2
SELECT c.id, o.number FROM customer c JOIN "order" o ON o."customerId" >= c.id AND o."customerId" <= c.id ORDER BY 2
SELECT c.id, o.number FROM customer c LEFT JOIN "order" o ON true WHERE o."customerId" = c.id ORDER BY 2
SELECT c.id, o.number FROM customer c LEFT JOIN "order" o ON o.number = 1 WHERE c.id < 3 ORDER BY 1
SELECT c.id, o.number FROM customer c LEFT JOIN "order" o ON o."customerId" = 4 AND o.number = 7 WHERE c.id = 4
SELECT c.id, o.number FROM customer c LEFT JOIN "order" o ON o."customerId" = 4 AND o.number = 7 WHERE c.id = 5
SELECT c.id, o.number FROM customer c JOIN "order" o ON c.id = 4 AND o."customerId" = 5
SELECT c.id, o.number FROM customer c JOIN "order" o ON c.id = 4 AND o."customerId" = 9 ORDER BY 2
WITH x AS (SELECT id, points FROM customer WHERE id = 3) SELECT c.id FROM customer c JOIN x ON c.points = x.points ORDER BY 1
WITH RECURSIVE r AS (SELECT id FROM customer WHERE id = 1 UNION ALL SELECT c.id FROM customer c JOIN r ON c.id = r.id + 1) SELECT count(*) FROM r
SELECT id FROM customer c WHERE NOT EXISTS (SELECT 1 FROM customer d WHERE d.points > c.points) ORDER BY id
SELECT id FROM customer ORDER BY points NULLS FIRST, id USING > LIMIT 4
SELECT id FROM customer ORDER BY tier USING <, id LIMIT 2
SELECT count(*) FROM customer TABLESAMPLE BERNOULLI (100)
SELECT v.x, c.id FROM (VALUES (1), (99)) v(x) LEFT JOIN customer c ON c.id = v.x ORDER BY 1
SELECT g, c.id FROM generate_series(11, 14) g LEFT JOIN customer c ON c.id = g ORDER BY 1
SELECT count(*) FROM customer, warehouse
SELECT count(*) FROM customer a, customer b
SELECT count(*) FROM customer a JOIN "order" b ON (a.id = b."customerId") IS TRUE
SELECT count(*) FROM customer a JOIN "order" b ON NOT (a.id <> b."customerId")
SELECT sum(x) FROM (SELECT points x FROM customer UNION ALL SELECT capacity FROM warehouse) y
SELECT count(*) FROM customer a CROSS JOIN customer b LEFT JOIN "order" o ON o."customerId" = a.id AND o."customerId" = b.id
SELECT count(*) FROM customer a, customer b WHERE NOT EXISTS (SELECT 1 FROM "order" o WHERE o."customerId" = a.id AND o."customerId" = b.id)
SELECT count(*), sum(x.n) FROM customer a, customer b, LATERAL (SELECT count(*) n FROM "order" o WHERE o."customerId" = a.id AND o."customerId" = b.id) x
SELECT count(*) FROM customer a, customer b WHERE a.id NOT IN (SELECT o."customerId" FROM "order" o WHERE o."customerId" = b.id)
SELECT count(*) FROM customer a LEFT JOIN "order" o ON o."customerId" = a.id AND o."customerId" = a.points JOIN customer b ON b.id = a.points
SELECT count(*) FROM customer a CROSS JOIN customer b LEFT JOIN LATERAL (SELECT 1 AS one WHERE a.id = b.id) x ON true
WITH RECURSIVE r AS (SELECT 1::bigint AS id UNION ALL SELECT c.id + 1 FROM customer c JOIN r ON c.id = r.id) SELECT count(*) FROM r
WITH RECURSIVE r(id) AS (VALUES (1::bigint) UNION ALL SELECT r.id + 1 FROM r JOIN customer c ON c.id = r.id) SELECT id FROM r ORDER BY id
`

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '')

describe('statements', () => {
  let opened: OpenTargets | undefined
  beforeAll(async () => {
    opened = await openTargets({ ...shop, seed: openShop })
  })
  afterAll(() => opened?.close())
  const targets = (): OpenTargets => {
    if (!opened) throw new Error('The data sources are opened in beforeAll.')
    return opened
  }

  it.each(linesOf(answered))('%s', async (statement) => {
    const plain = await targets().plain.query(statement)
    for (const { name, dataSource } of targets().sharded) expect(await dataSource.query(statement), name).toEqual(plain)
  })

  it.each(linesOf(answeredOrRefused))('may be refused: %s', async (statement) => {
    const plain = await targets().plain.query(statement)
    for (const target of targets().sharded)
      await expectExactOrRefused(target, () => target.dataSource.query(statement), plain)
  })
})
