import { Column, type DataSource, Entity, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardKey } from '../../src'
import { type OpenTargets, openTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 1 }))
class Acct {
  @ShardKey() @PrimaryColumn('int') k!: number
  @Column('text') name!: string
}

@Entity()
@Sharded({ colocatedWith: () => Acct })
class Ord {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') k!: number
  @Column('int') qty!: number
  @Column('text') status!: string
  @Column('enum', { enum: ['x', 'y'], nullable: true }) kind!: string | null
  @Column('jsonb', { nullable: true }) doc!: object | null
  @ManyToOne(() => Acct)
  @JoinColumn({ name: 'k' })
  acct!: Acct
}

@Entity()
@Sharded({ colocatedWith: () => Acct })
class Item {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') k!: number
  @Column('int') n!: number
  @Column('int') ord!: number
}

/** Unsharded. */
@Entity()
class Ref {
  @PrimaryColumn('int') id!: number
  @Column('text') code!: string
  @Column('text') label!: string
  @Column('int', { default: 0 }) n!: number
  @Column('date', { nullable: true }) born!: string | null
}

async function seed(dataSource: DataSource): Promise<void> {
  const keys = Array.from({ length: 12 }, (_, index) => index + 1)
  const ids = Array.from({ length: 60 }, (_, index) => index + 1)
  const keyOf = (id: number) => ((id * 7) % 12) + 1
  await dataSource.getRepository(Acct).insert(keys.map((k) => ({ k, name: `a${k}` })))
  await dataSource.getRepository(Ord).insert(
    ids.map((id) => ({
      id,
      k: keyOf(id),
      qty: id % 9,
      status: id % 3 === 0 ? 'done' : 'open',
      kind: id % 2 === 0 ? 'x' : 'y',
      doc: { a: id, b: [id, 2] },
    })),
  )
  await dataSource.getRepository(Item).insert(ids.map((id) => ({ id, k: keyOf(id), n: id % 5, ord: id })))
  await dataSource
    .getRepository(Ref)
    .insert([0, 1, 2, 3, 4, 5, 20].map((id) => ({ id, code: `c${id}`, label: `l${id}`, n: id % 4 })))
}

const reads: readonly (readonly [string, ...(string | number)[]])[] = [
  // Queries of WITH that nothing names, and in set operations.
  ['WITH c AS (SELECT id FROM ord WHERE qty > 3), unused AS (SELECT * FROM ord) SELECT count(*)::int AS n FROM c'],
  ['WITH unused AS (SELECT * FROM ord) SELECT 1 AS one'],
  ['WITH unused AS (SELECT o.* FROM ord o JOIN item i ON i.n = o.qty) SELECT count(*)::int AS n FROM acct'],
  ['WITH a AS (SELECT k FROM ord), b AS (SELECT k FROM a) SELECT count(*)::int AS n FROM ref'],
  ['WITH c AS (SELECT k FROM ord) SELECT k FROM c UNION SELECT k FROM acct ORDER BY k'],
  [
    'WITH c AS (SELECT k FROM ord), d AS (SELECT k FROM c WHERE k > 3) SELECT k FROM d UNION SELECT id FROM ref ORDER BY k',
  ],
  ['SELECT k FROM acct WHERE k > 3 UNION (WITH c AS (SELECT qty FROM ord) SELECT qty FROM c) ORDER BY 1'],
  [
    'SELECT k FROM ord UNION SELECT k FROM acct ORDER BY k LIMIT (SELECT count(*) FROM ref) OFFSET (SELECT min(k) FROM ord)',
  ],
  // Subqueries that ask something of each row of an unsharded or derived table.
  ['SELECT id, (SELECT count(*)::int FROM ord WHERE qty = ref.id) AS n FROM ref ORDER BY id'],
  ['SELECT id FROM ref WHERE EXISTS (SELECT 1 FROM ord WHERE qty = id AND code <> $1) ORDER BY id', 'c1'],
  ['SELECT id FROM ref WHERE n < (SELECT avg(qty) FROM ord WHERE status <> code AND n <= qty) ORDER BY id'],
  ['SELECT id FROM ref WHERE NOT EXISTS (SELECT * FROM ord o WHERE o.qty = ref.id) ORDER BY id'],
  ['SELECT v.x, (SELECT count(*)::int FROM ord WHERE qty = x) AS n FROM (VALUES (1), (2)) AS v(x) ORDER BY 1'],
  ['SELECT x, (SELECT sum(qty)::int FROM ord o WHERE o.k = x) AS n FROM (SELECT id AS x FROM ref) d ORDER BY 1'],
  [
    'SELECT o.id FROM ord o, ref WHERE o.qty = ref.id AND o.id < (SELECT 2 * avg(i.id) FROM item i WHERE i.n = ref.id) ORDER BY 1',
  ],
  [
    'SELECT sum(i.n)::int AS n FROM item i, ref WHERE ref.id = i.n AND i.id < (SELECT 0.9 * avg(id) FROM item WHERE n = ref.id)',
  ],
  [
    'SELECT label FROM ref WHERE id IN (SELECT n FROM item WHERE id > (SELECT 0.5 * sum(qty) FROM ord WHERE ord.id = item.ord)) ORDER BY 1',
  ],
  [
    'SELECT r.id, x.id AS o FROM ref r, LATERAL (SELECT id FROM ord WHERE qty = r.id ORDER BY id LIMIT 2) x ORDER BY 1, 2',
  ],
  ['SELECT r.id, (SELECT o.kind FROM ord o WHERE o.id = r.id) AS kind FROM ref r ORDER BY 1'],
  ['SELECT a.k, (SELECT count(*)::int FROM ord o WHERE o.qty = a.k) AS n FROM acct a ORDER BY 1'],
  ['SELECT a.k FROM acct a WHERE EXISTS (SELECT 1 FROM ord o JOIN item i ON i.n = o.qty WHERE i.ord = a.k) ORDER BY 1'],
  // Outer joins that keep rows of an unsharded table.
  [
    'SELECT r.id, count(o.id)::int AS n FROM ref r LEFT JOIN ord o ON o.qty = r.id AND o.status = $1 GROUP BY r.id ORDER BY r.id',
    'done',
  ],
  ['SELECT r.id, o.id AS o FROM ord o RIGHT JOIN ref r ON o.id = r.id ORDER BY r.id'],
  ['SELECT r.id, o.id AS o FROM ord o FULL JOIN ref r ON o.id = r.id ORDER BY r.id, o.id'],
  [
    'SELECT r.id, o.id AS o FROM ref r FULL JOIN ord o ON o.id = r.id WHERE o.id IS NULL OR r.id IS NULL ORDER BY r.id, o.id',
  ],
  [
    'SELECT r.id, (SELECT count(*)::int FROM item i WHERE i.k = o.k) AS n FROM ref r LEFT JOIN ord o ON o.id = r.id ORDER BY r.id',
  ],
  // SQL/JSON.
  [`SELECT id, JSON_VALUE(doc, '$.a') AS a FROM ord ORDER BY id LIMIT 5`],
  [`SELECT id FROM ord WHERE JSON_EXISTS(doc, '$.b[*] ? (@ > $x)' PASSING 50 AS x) ORDER BY id`],
  [`SELECT id, JSON_QUERY(doc, '$.b' WITH WRAPPER) AS a FROM ord ORDER BY id LIMIT 5`],
  [
    `SELECT o.id, t.x FROM ord o, JSON_TABLE(o.doc, '$.b[*]' COLUMNS (x int PATH '$' DEFAULT 1 ON EMPTY)) AS t ORDER BY o.id, t.x LIMIT 7`,
  ],
  [`SELECT JSON_VALUE(doc, '$.a' RETURNING int) % 3 AS g, count(*)::int AS n FROM ord GROUP BY 1 ORDER BY 1`],
  // Pages.
  ['SELECT id FROM ord ORDER BY id LIMIT (SELECT 5)'],
  ['SELECT id FROM ord ORDER BY id LIMIT (SELECT count(*) FROM ref)'],
  ['SELECT id FROM ord ORDER BY id LIMIT (SELECT count(*) / 10 FROM ord) OFFSET (SELECT 2)'],
  ['SELECT DISTINCT qty FROM ord ORDER BY qty LIMIT (SELECT 3 + min(k) FROM acct)'],
  ['SELECT id FROM ord ORDER BY id LIMIT 9223372036854775807'],
  ['SELECT id FROM ord ORDER BY id LIMIT 5 OFFSET 9223372036854775807'],
  ['SELECT id FROM ord ORDER BY id OFFSET 50 LIMIT $1', '9223372036854775807'],
  // Names of joins.
  ['SELECT k.x1, k.x2, k.x3 FROM (acct a JOIN ord o ON o.k = a.k) AS k(x1, x2, x3) ORDER BY x3 LIMIT 5'],
  ['SELECT x1, count(*)::int AS n FROM (acct a JOIN ord o ON o.k = a.k) AS k(x1, x2, x3) GROUP BY x1 ORDER BY x1'],
]

const ords = 'SELECT id, k, qty, status FROM ord ORDER BY id'
const refs = 'SELECT id, code, label, n, born::text FROM ref ORDER BY id'

/** A write, the query that shows what it did, and its parameters. */
const writes: readonly (readonly [string, string, ...(string | number)[]])[] = [
  ["INSERT INTO ref (id, code, label) SELECT 1000 + id, status, 'x' FROM ord WHERE qty > 6", refs],
  [
    "INSERT INTO ref (id, code, label, born) SELECT 1000 + id, status, $1, '2020-02-03' FROM ord WHERE qty > 6",
    refs,
    'y',
  ],
  [
    'INSERT INTO ref (id, code, label) SELECT 1000 + o.id, o.status, i.n FROM ord o JOIN item i ON i.k = o.k AND i.ord = o.id WHERE qty > $1 RETURNING id',
    refs,
    6,
  ],
  [
    "INSERT INTO ref (id, code, label) SELECT 1000 + k, count(*), 'x' FROM ord GROUP BY k ON CONFLICT (id) DO NOTHING",
    refs,
  ],
  [
    'WITH c AS (SELECT count(*) AS n FROM ord) INSERT INTO ref (id, code, label, n) SELECT 900, $1, $2, n FROM c',
    refs,
    'a',
    'b',
  ],
  ["INSERT INTO ref (id, code, label) VALUES (900, 'v', (SELECT max(status) FROM ord))", refs],
  ['UPDATE ref SET n = o.qty FROM ord o WHERE o.id = ref.id', refs],
  [
    'UPDATE ref r SET n = s.n FROM (SELECT k, count(*)::int AS n FROM ord GROUP BY k) s WHERE s.k = r.id RETURNING r.id, r.n',
    refs,
  ],
  ['UPDATE ref SET n = (SELECT count(*) FROM ord WHERE qty = ref.id), label = label || $1', refs, '!'],
  [
    'UPDATE ref SET (n, label) = (SELECT count(*), coalesce(max(status), $1) FROM ord WHERE qty = ref.id)',
    refs,
    'none',
  ],
  ['DELETE FROM ref USING ord o WHERE o.qty = ref.id AND o.status = $1 AND o.k < 4 RETURNING ref.id', refs, 'done'],
  ['DELETE FROM ref WHERE NOT EXISTS (SELECT 1 FROM ord WHERE qty = ref.id AND k = 3)', refs],
  ['WITH c AS (SELECT qty FROM ord WHERE k = 3) DELETE FROM ref WHERE id IN (SELECT qty FROM c)', refs],
  [
    'INSERT INTO ord (id, k, qty, status) SELECT 1000 + o.id, o.k, r.n, r.code FROM ord o JOIN ref r ON r.id = o.qty',
    ords,
  ],
  [
    'INSERT INTO ord (id, k, qty, status) SELECT 1000 + id, k, (SELECT max(qty) FROM ord), $1 FROM ord WHERE k < 5',
    ords,
    'z',
  ],
  [
    'INSERT INTO ord (id, k, qty, status) VALUES (1001, 1, (SELECT count(*) FROM ord), $1), (1002, 2, (SELECT max(n) FROM ref), $1)',
    ords,
    'z',
  ],
  ['UPDATE ord SET (qty, status) = (SELECT count(*), $1 FROM item i WHERE i.k = ord.k)', ords, 'n'],
  ['UPDATE ord SET (qty, status) = (SELECT count(*), $1 FROM item i)', ords, 'n'],
  ['UPDATE ord SET (qty, status) = (SELECT r.n, r.code FROM ref r WHERE r.id = ord.qty) WHERE qty < 5', ords],
  ['UPDATE ord SET qty = ord.qty + 1 WHERE ord.k = 3', ords],
  ['UPDATE ord SET qty = ord.qty + 1 WHERE ord.status = $1', ords, 'done'],
]

describe('SQL over sharded and unsharded tables', () => {
  let targets: OpenTargets
  beforeAll(async () => {
    targets = await openTargets({ entities: [Acct, Ord, Item, Ref], groups: ['acct'], seed })
  })
  afterAll(() => targets?.close())

  it.each(reads.map(([text, ...parameters]) => ({ text, parameters })))('$text', async ({ text, parameters }) => {
    const expected: unknown = await targets.plain.query(text, parameters)
    for (const { name, dataSource } of targets.sharded)
      expect([name, await dataSource.query(text, parameters)]).toEqual([name, expected])
  })

  const writing = writes.map(([text, shown, ...parameters]) => ({ text, shown, parameters }))
  it.each(writing)('$text', async ({ text, shown, parameters }) => {
    const done = async (dataSource: DataSource): Promise<unknown> => {
      const runner = dataSource.createQueryRunner()
      await runner.startTransaction()
      try {
        const { records, affected } = await runner.query(text, parameters, true)
        // The rows of RETURNING have no order.
        const returned = records.map((row: unknown) => JSON.stringify(row)).sort()
        return [returned, affected, await runner.query(shown)]
      } finally {
        await runner.rollbackTransaction()
        await runner.release()
      }
    }
    const expected = await done(targets.plain)
    for (const { name, dataSource } of targets.sharded) expect([name, await done(dataSource)]).toEqual([name, expected])
  })

  it('qualifies a column of an update with the name of the table', async () => {
    for (const { dataSource } of targets.sharded) {
      const runner = dataSource.createQueryRunner()
      await runner.startTransaction()
      const { affected } = await runner.manager.update(Ord, { k: 3 }, { qty: () => 'ord.qty + 1' })
      const builder = runner.manager
        .createQueryBuilder()
        .update(Ord)
        .set({ qty: () => 'ord.qty + 1' })
      const again = await builder.where('ord.k = 3').execute()
      await runner.rollbackTransaction()
      await runner.release()
      expect([affected, again.affected]).toEqual([5, 5])
    }
  })
})
