import type { DataSource } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { answer, openSides, rolledBack } from './sides'

/** What an UPDATE takes from tables whose rows lie elsewhere. */
const updates = [
  'UPDATE ord SET status = m.note FROM memo m WHERE m.m = ord.qty',
  'UPDATE ord o SET status = m.note, qty = o.qty + m.m FROM memo m WHERE m.m = o.qty AND m.note < o.status RETURNING o.id, o.qty, m.m, m.note',
  'UPDATE ord o SET qty = p.qty FROM ord p WHERE p.id = o.qty RETURNING o.id, o.qty, p.id AS other',
  'UPDATE ord SET qty = p.qty + 1 FROM ord p WHERE p.id = ord.id + 1 RETURNING *',
  'UPDATE acct a SET score = x.n FROM (SELECT qty, count(*)::int AS n FROM memo GROUP BY qty) x WHERE x.qty = a.score RETURNING a.k, x.n',
  'UPDATE acct a SET score = x.n FROM (SELECT o.qty, count(*)::int AS n FROM ord o JOIN memo m ON m.qty = o.qty GROUP BY o.qty) x WHERE x.qty = a.score',
  'UPDATE ord o SET qty = m.m FROM acct a JOIN memo m ON m.m = a.score WHERE a.k = o.k RETURNING o.id, a.name, m.m',
  'UPDATE ord o SET qty = m.m FROM memo m LEFT JOIN ref r ON r.id = m.qty WHERE m.m = o.id AND r.label IS NULL RETURNING o.id, m.*',
  'UPDATE ord o SET qty = r.id FROM ref r, memo m WHERE r.id = m.qty AND m.m = o.id RETURNING *',
  'WITH x AS (SELECT m, note FROM memo WHERE m > 3) UPDATE ord o SET status = x.note FROM x WHERE x.m = o.qty RETURNING o.id, x.note',
  'WITH x AS (SELECT m, note FROM memo) UPDATE ord o SET status = a.note || b.note FROM x a, x b WHERE a.m = o.qty AND b.m = o.id RETURNING o.id',
  'WITH RECURSIVE w AS (SELECT m, qty FROM memo WHERE m = 1 UNION SELECT m.m, m.qty FROM memo m JOIN w ON m.m = w.qty + 1) UPDATE ord o SET qty = 100 FROM w WHERE w.m = o.id RETURNING o.id',
  'UPDATE item i SET label = o.status FROM ord o WHERE o.id = i."ordId" AND o.qty > 3 RETURNING i.n, o.id',
  'UPDATE item i SET label = o.status FROM ord o, memo m WHERE o.k = i.k AND o.id = i."ordId" AND m.qty = o.qty',
  'UPDATE acct SET score = (SELECT max(a.qty) FROM ord a JOIN ord b ON a.qty = b.id)',
  'UPDATE acct a SET score = (SELECT count(*) FROM ord o JOIN memo m ON m.qty = o.qty WHERE m.m = a.k)',
  'UPDATE acct a SET score = score + 1 WHERE EXISTS (SELECT FROM memo m JOIN ref r ON r.id = m.qty WHERE m.m = a.k)',
  'UPDATE acct a SET (score, name) = (SELECT m.m, m.note FROM memo m WHERE m.m = a.score ORDER BY m LIMIT 1) WHERE k < 9 RETURNING k, score, name',
  'UPDATE ord o SET qty = m.m FROM memo m WHERE m.m = o.id AND o.k = 3 RETURNING o.id',
  'UPDATE ord o SET qty = m.m FROM memo m WHERE m.m = o.id AND o.k IN (1, 2, 3) RETURNING o.id',
  'UPDATE ord o SET amount = o.amount / m.qty FROM memo m WHERE m.m = o.id',
  'UPDATE ord o SET qty = m.nothing FROM memo m WHERE m.m = o.id',
  'UPDATE memo m SET qty = (SELECT sum(o.qty) FROM ord o JOIN item i ON i."ordId" = o.qty WHERE o.id > m.m) RETURNING m.m, m.qty',
  'UPDATE acct a SET name = (SELECT m.note FROM memo m WHERE m.qty = a.score GROUP BY m.m ORDER BY m.m LIMIT 1) || a.k WHERE a.score = 3',
  'UPDATE ord o SET status = x.note FROM memo y, LATERAL (SELECT m.note, count(*) AS n FROM memo m WHERE m.m = y.m GROUP BY m.m) x WHERE y.m = o.id',
  'UPDATE ref r SET label = o.status FROM ord o JOIN memo m ON m.qty = o.qty WHERE o.id = r.id AND m.m = r.id + 1 RETURNING r.id',
]

const deletions = [
  'DELETE FROM item USING memo m WHERE m.m = item."ordId" RETURNING n, m.note',
  'DELETE FROM item i USING item j WHERE j."ordId" = i.n + 1 AND j.n < 20 RETURNING i.n',
  'DELETE FROM memo USING acct a WHERE a.score = memo.m RETURNING memo.*',
  'DELETE FROM item USING memo m JOIN ref r ON r.id = m.qty WHERE m.m = item."ordId" AND r.code > $$c2$$',
  'DELETE FROM item i USING (SELECT DISTINCT qty FROM memo) x WHERE x.qty = i."ordId" RETURNING *',
  'DELETE FROM item WHERE "ordId" IN (SELECT o.qty FROM ord o JOIN memo m ON m.qty = o.qty) RETURNING n',
  'WITH d AS (DELETE FROM item i USING memo m WHERE m.m = i.n RETURNING i.n, m.note) SELECT * FROM d ORDER BY n',
  'WITH u AS (UPDATE ord o SET qty = m.m FROM memo m WHERE m.m = o.id RETURNING o.id, m.note) SELECT count(*), max(note) FROM u',
  'DELETE FROM ref USING ord o JOIN memo m ON m.qty = o.qty WHERE o.id = ref.id',
]

/** Tables of the home node are written by rows of shards that do not meet. */
const atHome = [
  'UPDATE ref SET label = m.note FROM ord o LEFT JOIN memo m ON m.m = o.qty WHERE o.id = ref.id RETURNING ref.*, o.id AS o, m.note',
  'UPDATE ref r SET label = m.note FROM memo m RIGHT JOIN ord o ON m.m = o.qty AND m.qty > 1 WHERE o.id = r.id AND o.k < 12 RETURNING r.id, m.*',
  'UPDATE ref r SET label = o.status FROM ord o FULL JOIN memo m ON m.m = o.qty AND m.m > 5 WHERE coalesce(o.id, m.m + 5) = r.id AND o.id IS NOT NULL',
  'UPDATE ref r SET label = x.note FROM (SELECT o.id, m.note FROM ord o LEFT JOIN memo m ON m.m = o.qty) x WHERE x.id = r.id RETURNING r.id, x.note',
  'UPDATE ref r SET label = o.status || s.label FROM ord o JOIN ref s ON s.id = o.qty LEFT JOIN item i ON i."ordId" = o.qty WHERE o.id = r.id RETURNING r.id, i.n, s.code',
  'UPDATE ref r SET label = o.status FROM ref s LEFT JOIN (ord o LEFT JOIN memo m ON m.m = o.qty) ON o.id = s.id WHERE s.id = r.id + 1 RETURNING r.id, m.note',
  'UPDATE ref r SET label = x.s FROM (SELECT o.qty, max(i.label) AS s FROM ord o LEFT JOIN item i ON i."ordId" = o.qty GROUP BY o.qty HAVING count(*) > 6) x WHERE x.qty = r.id RETURNING r.id, x.*',
  'UPDATE ref r SET label = (SELECT max(m.note) FROM ord o LEFT JOIN memo m ON m.m = o.qty WHERE o.id > r.id AND m.m < 9) RETURNING *',
  'UPDATE ref r SET label = (SELECT max(m.note) FROM ord o LEFT JOIN memo m ON m.m = o.qty)',
  'UPDATE ref r SET (code, label) = (SELECT o.status, m.note FROM ord o LEFT JOIN memo m ON m.m = o.qty WHERE o.id = r.id + 1 AND o.status IS NOT NULL) WHERE r.id IN (SELECT o.id - 1 FROM ord o WHERE o.status IS NOT NULL)',
  'UPDATE ref r SET label = o.status FROM ord o, LATERAL (SELECT m.note, count(*) AS n FROM memo m LEFT JOIN item i ON i.n = m.qty WHERE m.m = o.qty GROUP BY m.m) x WHERE o.id = r.id AND x.note > $$b$$ RETURNING r.id, x.n',
  'UPDATE ref r SET label = x.note FROM (SELECT m.note, m.m FROM memo m LEFT JOIN acct a ON a.score = m.qty WHERE a.k IS NULL UNION SELECT o.status, o.id FROM ord o WHERE o.id = 8 AND o.status IS NOT NULL) x WHERE x.m = r.id',
  'WITH x AS (SELECT o.id, m.note FROM ord o LEFT JOIN memo m ON m.m = o.qty) UPDATE ref r SET label = x.note FROM x WHERE x.id = r.id AND r.id IN (SELECT id FROM x WHERE note IS NULL) RETURNING r.id',
  'WITH RECURSIVE w AS (SELECT id, qty FROM ord WHERE id = 1 UNION SELECT o.id, o.qty FROM ord o JOIN w ON o.id = w.qty + 2) UPDATE ref r SET label = w.qty::text FROM w WHERE w.id = r.id RETURNING r.id, w.qty',
  'WITH x AS (SELECT m, note FROM memo) UPDATE ref r SET label = a.note || b.note FROM x a LEFT JOIN x b ON b.m = a.m + 3 WHERE a.m = r.id RETURNING r.id, r.label',
  'DELETE FROM ref r USING ord o LEFT JOIN memo m ON m.m = o.qty WHERE o.id = r.id AND m.note IS NULL RETURNING r.id, o.qty',
  'DELETE FROM ref WHERE id IN (SELECT o.qty FROM ord o LEFT JOIN memo m ON m.m = o.qty WHERE m.m IS NULL)',
  'DELETE FROM ref WHERE id NOT IN (SELECT o.qty FROM ord o LEFT JOIN memo m ON m.m = o.id WHERE m.qty IS NOT NULL) RETURNING *',
  'DELETE FROM ref r USING acct a WHERE a.k = r.id AND EXISTS (SELECT FROM ord o LEFT JOIN memo m ON m.m = o.qty WHERE o.k = a.k AND m.note = r.label OR o.qty = r.id) RETURNING a.k',
  'DELETE FROM ref r USING ord NATURAL LEFT JOIN memo WHERE ord.id = r.id RETURNING r.id, note',
  'INSERT INTO ref (id, code, label) VALUES (100, $$x$$, (SELECT max(m.note) FROM ord o LEFT JOIN memo m ON m.m = o.qty)), (101, $$y$$, (SELECT min(note) FROM memo)) RETURNING *',
  'INSERT INTO ref (id, code, label) SELECT id, status, $$n$$ FROM ord WHERE id < 12 AND status IS NOT NULL ON CONFLICT (id) DO UPDATE SET label = (SELECT max(m.note) FROM ord o LEFT JOIN memo m ON m.m = o.qty WHERE o.id = excluded.id) RETURNING *',
  'INSERT INTO ref (id, code, label) SELECT o.id, o.status, m.note FROM ord o LEFT JOIN memo m ON m.m = o.qty WHERE o.id < 12 AND o.status IS NOT NULL ON CONFLICT (id) DO UPDATE SET label = (SELECT count(*) FROM memo WHERE memo.m > ref.id) RETURNING ref.id, (SELECT count(*) FROM item i LEFT JOIN memo m ON m.m = i.n WHERE i."ordId" > ref.id)',
]

/** Copies of rows have no primary key by which a query that groups by it would know their other columns. */
const grouped = [
  'UPDATE ref r SET label = (SELECT o.status FROM ord o WHERE o.qty = r.id GROUP BY o.id HAVING o.id = min(o.qty) + 18) RETURNING *',
  'UPDATE ref r SET label = x.status FROM ref y, LATERAL (SELECT o.id, o.status FROM ord o WHERE o.qty = y.id AND o.id < 9 GROUP BY o.id) x WHERE y.id = r.id RETURNING r.id, x.*',
  'INSERT INTO ref (id, code, label) SELECT r.id + 200, $$x$$, (SELECT o.status FROM ord o WHERE o.qty = r.id AND o.id < 9 GROUP BY o.id) FROM ref r RETURNING *',
]

/** What an INSERT says beside its rows asks of rows that do not meet. */
const insertions = [
  'INSERT INTO memo (m, qty, note) VALUES (1, 5, $$a$$), (2, 7, $$b$$), (30, 7, $$c$$) ON CONFLICT (m) DO UPDATE SET qty = (SELECT max(o.id) FROM ord o WHERE o.qty < memo.m + excluded.qty) RETURNING *',
  'INSERT INTO memo (m, qty, note) VALUES (1, 5, $$a$$), (2, 7, $$b$$) ON CONFLICT (m) DO UPDATE SET qty = (SELECT max(r.id) FROM ref r WHERE r.id < excluded.qty) RETURNING *',
  'INSERT INTO memo (m, qty, note) VALUES (1, 5, $$a$$), (2, 7, $$b$$) ON CONFLICT (m) DO UPDATE SET qty = (SELECT max(o.id) FROM ord o LEFT JOIN item i ON i.n = o.qty WHERE o.qty < excluded.qty AND i.n IS NULL) RETURNING *',
  'INSERT INTO memo (m, qty, note) VALUES (1, 5, $$a$$), (2, 7, $$b$$) ON CONFLICT (m) DO UPDATE SET qty = (SELECT max(o.id) FROM ord o JOIN memo x ON x.m = o.qty)',
  'INSERT INTO memo (m, qty, note) VALUES (30, 5, (SELECT max(o.status) FROM ord o LEFT JOIN memo x ON x.m = o.qty)), (31, 6, $$b$$) RETURNING m, (SELECT max(o.id) FROM ord o LEFT JOIN item i ON i.n = o.qty WHERE o.qty > memo.qty)',
  'INSERT INTO memo (m, qty, note) SELECT id, qty, $$x$$ FROM ord ON CONFLICT (m) DO UPDATE SET qty = (SELECT max(o.id) FROM ord o JOIN memo x ON x.m = o.qty WHERE o.id > excluded.m) RETURNING *',
  'INSERT INTO memo (m, qty, note) SELECT m + 30, qty, $$x$$ FROM memo RETURNING m, (SELECT max(o.id) FROM ord o LEFT JOIN memo x ON x.m = o.qty WHERE o.id > memo.m)',
]

/** Several rows of the other table meet one row: which of them it takes is not said, but that it is one. */
const several = [
  'UPDATE ord o SET status = $$x$$ FROM memo m WHERE m.qty = o.qty RETURNING o.id',
  'DELETE FROM item i USING memo m WHERE m.qty < i.n RETURNING i.n',
]

describe('UPDATE … FROM and DELETE … USING of rows that lie elsewhere', () => {
  const sides = openSides()
  const given = (dataSource: DataSource, text: string, parameters?: readonly unknown[]) =>
    rolledBack(dataSource, async (runner) => {
      const returned = await answer(runner, text, parameters)
      if ('error' in returned) return { returned }
      return {
        returned: /order by/i.test(text) ? returned : { ...returned, rows: returned.rows.toSorted() },
        acct: await answer(runner, 'SELECT * FROM acct ORDER BY k'),
        ord: await answer(runner, 'SELECT id, k, qty, status, amount FROM ord ORDER BY id'),
        item: await answer(runner, 'SELECT n, k, label FROM item ORDER BY n'),
        memo: await answer(runner, 'SELECT * FROM memo ORDER BY m'),
        ref: await answer(runner, 'SELECT id, label FROM ref ORDER BY id'),
      }
    })
  const expectSame = async (text: string, parameters?: readonly unknown[]) => {
    const expected = await given(sides.plain(), text, parameters)
    for (const { name, dataSource } of sides.sharded())
      expect({ name, ...(await given(dataSource, text, parameters)) }).toEqual({ name, ...expected })
  }

  it.each([...updates, ...deletions, ...atHome, ...grouped, ...insertions, ...several])('%s', (text) =>
    expectSame(text),
  )

  // PostgreSQL would lock rows of the other table, a sample is drawn of it, a place is a row's on its own shard only.
  it.each([
    'UPDATE ord o SET qty = x.m FROM (SELECT m, qty FROM memo, ord p WHERE p.id = memo.m FOR UPDATE) x WHERE x.qty = o.id',
    'UPDATE ord o SET qty = m.m FROM memo m TABLESAMPLE SYSTEM (100) WHERE m.m = o.id',
    'UPDATE ord o SET qty = m.m FROM memo m WHERE m.m = o.id AND m.ctid IS NOT NULL',
    'DELETE FROM item i USING memo m, random() r WHERE m.m = i.n AND r < 2',
    'UPDATE ref r SET label = x.status FROM (SELECT o.* FROM ord o LEFT JOIN memo m ON m.m = o.qty FOR UPDATE OF o) x WHERE x.id = r.id',
    'UPDATE ref r SET label = o.status FROM ord o LEFT JOIN memo m ON m.m = o.qty WHERE o.id = r.id AND m.ctid IS NULL',
    'INSERT INTO ref (id, code) VALUES (200, $$x$$) ON CONFLICT (id) DO UPDATE SET label = (SELECT max(m.ctid::text) FROM ord o LEFT JOIN memo m ON m.m = o.qty WHERE o.id = ref.id)',
    'MERGE INTO ord o USING memo m ON m.m = o.id WHEN MATCHED THEN UPDATE SET qty = 1',
  ])('is refused: %s', async (text) => {
    for (const { name, shards, dataSource } of sides.sharded())
      if (shards > 1)
        expect({ name, ...(await given(dataSource, text)) }).toEqual({
          name,
          returned: { error: 'STATEMENT_UNSUPPORTED' },
        })
  })

  it('does not move a row by rows of another table', async () => {
    for (const { name, shards, dataSource } of sides.sharded())
      if (shards > 1)
        expect({
          name,
          ...(await given(dataSource, 'UPDATE ord o SET k = m.qty FROM memo m WHERE m.m = o.id')),
        }).toEqual({ name, returned: { error: 'KEY_CHANGED' } })
  })

  it.each([
    ['UPDATE ord o SET status = m.note || $2 FROM memo m WHERE m.m = o.qty AND m.m > $1 RETURNING o.id', [3, '!']],
    ['DELETE FROM item i USING memo m WHERE m.m = i."ordId" AND i.k = ANY($1) AND m.note <> $2', [[1, 2, 3], 'ash']],
  ])('takes parameters: %s', (text, parameters) => expectSame(text, parameters))
})
