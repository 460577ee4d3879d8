import { describe, expect, it } from 'vitest'
import { expectAlike, expectRefused, openSides, rolledBack } from './sides'
import { Ord } from './world'

describe('the time, the user and the session over shards', () => {
  const sides = openSides()

  it.each([
    'SELECT count(DISTINCT n) FROM (SELECT now() AS n FROM ord) x',
    'SELECT count(DISTINCT now) FROM (SELECT now() FROM ord) x',
    'SELECT count(DISTINCT current_timestamp), count(DISTINCT localtimestamp(3)), count(DISTINCT current_date) AS d FROM ord',
    'SELECT count(*) FROM (SELECT DISTINCT now() FROM ord) x',
    'SELECT count(*) FROM (SELECT now() FROM ord GROUP BY now()) x',
    'SELECT count(DISTINCT x) FROM (SELECT statement_timestamp() x FROM ord) y',
    `SELECT count(DISTINCT x) FROM (SELECT 'now'::timestamptz x FROM ord) y`,
    'SELECT count(DISTINCT x) FROM (SELECT pg_backend_pid() x FROM ord) y',
    'SELECT count(DISTINCT age(created)) FROM ord',
    'SELECT count(DISTINCT n.t) FROM ord CROSS JOIN (SELECT now() AS t) n',
    'SELECT count(*) FROM (SELECT id, transaction_timestamp() n FROM ord) a JOIN (SELECT id, now() n FROM ord) b ON a.id = b.id AND a.n = b.n',
    '(SELECT 1 AS one, now() = now() AS same FROM ord) UNION (SELECT 1, now() = transaction_timestamp() FROM item)',
  ])('are one for a statement: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT count(*) FROM ord WHERE created < now() - interval $1',
    `SELECT current_user, current_setting('TimeZone') AS zone, current_setting($1), id FROM ord ORDER BY id LIMIT 2`,
    'SELECT (SELECT count(*) FROM ord) AS c, count(DISTINCT now()) FROM ref WHERE code <> $1',
  ])('may stand beside parameters: %s', (text) =>
    expectAlike(sides, text.replace('interval $1', '$1::interval'), [text.includes('setting') ? 'DateStyle' : '1 day']),
  )

  it('are one for a transaction, whichever node a statement runs on', async () => {
    for (const dataSource of [sides.plain(), ...sides.sharded().map((target) => target.dataSource)]) {
      await rolledBack(dataSource, async (runner) => {
        const seen = new Set<string>()
        for (const k of [1, 2, 3, 4, 5, 6]) {
          const [row] = await runner.query(`SELECT now()::text AS n FROM acct WHERE k = ${k}`)
          seen.add(row.n)
        }
        const [all] = await runner.query(
          'SELECT min(n)::text AS a, max(n)::text AS b FROM (SELECT now() AS n FROM ord) x',
        )
        const [home] = await runner.query('SELECT now()::text AS n')
        for (const text of [all.a, all.b, home.n]) seen.add(text)
        expect([...seen]).toHaveLength(1)
      })
    }
  })

  it.each([
    ['an update', 'UPDATE ord SET created = now()'],
    ['an update of a part', 'UPDATE ord SET created = CURRENT_TIMESTAMP WHERE qty > 1'],
    [
      'an insert',
      'INSERT INTO ord (id, k, qty, amount, created) SELECT x, x - 900, 1, 1, now() FROM (VALUES (901)) v(x) WHERE false',
    ],
  ])('are written alike by %s', async (_, text) => {
    for (const { name, dataSource, shards } of sides.sharded()) {
      await rolledBack(dataSource, async (runner) => {
        if (text.startsWith('INSERT'))
          await runner.query(
            'INSERT INTO ord (id, k, qty, amount, created) VALUES (901, 1, 1, 1, now()), (902, 2, 1, 1, now()), (903, 3, 1, 1, now()), (904, 4, 1, 1, now())',
          )
        else await runner.query(text)
        const where = text.startsWith('INSERT') ? 'id > 900' : text.includes('WHERE') ? 'qty > 1' : 'true'
        const rows = await runner.query(`SELECT count(DISTINCT created)::int AS n FROM ord WHERE ${where}`)
        expect({ name, shards, rows }).toEqual({ name, shards, rows: [{ n: 1 }] })
      })
    }
  })

  it('are written alike by a query builder', async () => {
    for (const { dataSource } of sides.sharded()) {
      await rolledBack(dataSource, async (runner) => {
        await runner.manager
          .createQueryBuilder()
          .update(Ord)
          .set({ created: () => 'now()' })
          .where('qty < :qty', { qty: 5 })
          .execute()
        const rows = await runner.query('SELECT count(DISTINCT created)::int AS n FROM ord WHERE qty < 5')
        expect(rows).toEqual([{ n: 1 }])
      })
    }
  })

  it.each([
    [`SELECT count(DISTINCT x) FROM (SELECT timestamptz('now') x FROM ord) y`, []],
    [`SELECT count(DISTINCT x) FROM (SELECT timestamptz 'now' x FROM ord) y`, []],
    [`SELECT count(DISTINCT x) FROM (SELECT pg_catalog.timestamptz('now'::text) x FROM ord) y`, []],
    [`SELECT count(DISTINCT x) FROM (SELECT $1::timestamptz x FROM ord) y`, ['now']],
    [`SELECT count(DISTINCT x) FROM (SELECT CAST($1 AS time) x FROM ord) y`, ['NOW']],
    [`SELECT count(DISTINCT x) FROM (SELECT 'now'::text::timestamptz x FROM ord) y`, []],
    [`SELECT count(DISTINCT x) FROM (SELECT $1::text::timestamptz x FROM ord) y`, ['now']],
    [`SELECT count(DISTINCT x) FROM (SELECT '{now}'::timestamptz[] x FROM ord) y`, []],
    [`SELECT count(DISTINCT x) FROM (SELECT '[now,)'::tstzrange x FROM ord) y`, []],
    ['SELECT id FROM ord WHERE created > $1::timestamptz AND id < 3 ORDER BY id', ['yesterday']],
    [`SELECT id FROM ord WHERE created > 'now' ORDER BY id`, []],
    ['SELECT id FROM ord WHERE created > $1 ORDER BY id', ['now']],
  ] as const)('are one where a text says them: %s %j', (text, parameters) => expectAlike(sides, text, parameters))

  it.each([
    [
      `INSERT INTO ord (id, k, qty, amount, created) VALUES (901, 1, 1, 1, 'now'), (902, 2, 1, 1, 'now'), (903, 3, 1, 1, 'now'), (904, 4, 1, 1, 'now')`,
      [],
    ],
    [
      'INSERT INTO ord (id, k, qty, amount, created) VALUES (901, 1, 1, 1, $1), (902, 2, 1, 1, $1), (903, 3, 1, 1, $1), (904, 4, 1, 1, $1)',
      ['now'],
    ],
    [`UPDATE ord SET created = 'now' WHERE id <= 60`, []],
    ['UPDATE ord SET created = $1 WHERE id <= 60', [' Now ']],
  ] as const)('are written alike where a text says them: %s %j', async (text, parameters) => {
    for (const { name, dataSource } of sides.sharded())
      await rolledBack(dataSource, async (runner) => {
        await runner.query(text, [...parameters])
        const where = text.startsWith('INSERT') ? 'id > 900' : 'id <= 60'
        const rows = await runner.query(`SELECT count(DISTINCT created)::int AS n FROM ord WHERE ${where}`)
        expect({ name, rows }).toEqual({ name, rows: [{ n: 1 }] })
      })
  })

  it.each([
    'SELECT id FROM ord CROSS JOIN now() n ORDER BY id',
    `SELECT id, pg_table_size('pg_class') > 0 AS big FROM ord ORDER BY id`,
  ])('are refused where they cannot be sent as a value: %s', (text) => expectRefused(sides, text))
})
