import { Column, DataSource, Entity, type ObjectLiteral, PrimaryColumn, type SelectQueryBuilder } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../src/index'
import { Account, bank, Entry, ids, twelveAccounts } from '../parity/bank'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

/** Its key is a text, whose values a cast may cut. */
@Entity()
@Sharded(hash({ shards: 4 }))
class Tag {
  @ShardKey()
  @PrimaryColumn('text')
  name!: string

  @Column('int')
  uses!: number
}

const tags = ['a', 'ab', 'abc', 'b', 'bc', "b'c", 'b"c', 'b,c', 'b\\c', '{}', 'NULL', '']

/** What both sides give, or what they throw. */
async function outcome(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work()
  } catch (error) {
    const { message, code } = error as { message: string; code?: string }
    return { message, code }
  }
}

describe('lists of shard keys in statements', () => {
  let databases: FreshDatabases
  let sharded: ShardedDataSource
  let plain: DataSource
  const shardOf = (id: string) => sharded.locate(Account, id).shard

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    const entities = [...bank.entities, Tag]
    const groups = { account: { shards: hash({ shards: 4 }) } }
    sharded = new ShardedDataSource({ type: 'postgres', entities, nodes: { a: { url: a }, b: { url: b } }, groups })
    plain = new DataSource({ type: 'postgres', entities, url: databases.oracle })
    for (const dataSource of [sharded, plain]) {
      await dataSource.initialize()
      await dataSource.synchronize()
    }
  })
  beforeEach(async () => {
    for (const dataSource of [sharded, plain]) {
      await dataSource.getRepository(Account).clear({ cascade: true })
      await dataSource.getRepository(Account).insert(twelveAccounts())
      await dataSource.getRepository(Entry).insert(ids.map((accountId) => ({ accountId, amount: Number(accountId) })))
      await dataSource.getRepository(Tag).clear()
      await dataSource.getRepository(Tag).insert(tags.map((name, index) => ({ name, uses: index })))
    }
  })
  afterAll(async () => {
    await sharded.destroy()
    await plain.destroy()
    await databases.drop()
  })

  /** The keys that each node is sent. */
  const sent = async (builder: SelectQueryBuilder<ObjectLiteral>) => {
    const { statements } = await (
      builder as ReturnType<ReturnType<typeof sharded.getRepository>['createQueryBuilder']>
    ).explain()
    return statements.map(({ shards, parameters }) => ({
      shards,
      keys: parameters.filter((one) => Array.isArray(one)).flat(),
    }))
  }

  it.each([
    ['IN', 'a.id IN (:...ids)'],
    ['ANY', 'a.id = ANY(:ids)'],
    ['ANY of a cast', 'a.id = ANY(:ids::bigint[])'],
    ['IN with more', '(a.balance > 0) AND a.id IN (:...ids) AND (a.owner <> :x OR true)'],
  ])('go to each shard with its own values: %s', async (_, condition) => {
    const some = ids.slice(0, 9)
    const accounts = sharded.getRepository(Account)
    const found = await sent(accounts.createQueryBuilder('a').where(condition, { ids: some, x: 'x' }))
    expect(found.flatMap(({ shards }) => shards).sort()).toEqual([...new Set(some.map(shardOf))].sort())
    expect(found.flatMap(({ keys }) => keys).sort()).toEqual(some)
    for (const { shards, keys } of found) expect(new Set(keys.map(String).map(shardOf))).toEqual(new Set(shards))
    const grouped = accounts.createQueryBuilder('a').select('count(*)').groupBy('a.owner')
    const halves = await sent(grouped.where(condition, { ids: some, x: 'x' }))
    expect(halves.flatMap(({ keys }) => keys).sort()).toEqual(some)
  })

  it('stay whole where a row may be without one of them', async () => {
    const accounts = sharded.getRepository(Account)
    for (const condition of [
      'a.id NOT IN (:...ids)',
      'NOT (a.id IN (:...ids))',
      'a.id IN (:...ids) OR a.balance > 50',
      'a.id + 0 IN (:...ids)',
      'a.id <> ALL(:ids)',
    ]) {
      const { statements } = await accounts.createQueryBuilder('a').where(condition, { ids }).explain()
      for (const { parameters } of statements) expect(new Set(parameters.flat())).toEqual(new Set(ids))
    }
  })

  const texts: readonly (readonly [string, readonly unknown[]])[] = [
    ['SELECT id FROM account WHERE id IN ($1, $2, $3, $4) ORDER BY id', ['3', 1, '3', '0012']],
    ['SELECT id FROM account WHERE id IN ($1, $2, $3) ORDER BY id', ['3', null, '5']],
    ['SELECT id FROM account WHERE id = ANY($1) ORDER BY id', [['3', null, '5', '99']]],
    ['SELECT id FROM account WHERE id = ANY($1) ORDER BY id', [[]]],
    ['SELECT id FROM account WHERE id = ANY($1::int[]) AND id IN ($2, $3, $4) ORDER BY id', [[1, 2, 3], '2', '3', '4']],
    ['SELECT id, $2::text AS t FROM account WHERE id = ANY($1) AND cardinality($1) > 1 ORDER BY id', [[1, 2, 3], 'x']],
    ['SELECT $1 IS NULL AS n, id FROM account WHERE id = ANY($1) ORDER BY id', [[1, 2, 3]]],
    ['SELECT $1 AS one, id FROM account WHERE id IN ($1, $2) ORDER BY id', [1, 7]],
    ['SELECT id FROM account WHERE id IN ($1, $2, $1) ORDER BY id', [1, 7]],
    ['SELECT id FROM account WHERE id IN ($1, $2)', [1, 7, 8]],
    ['SELECT id FROM account WHERE id IN ($1, $2, $3)', [1, 7]],
    ['SELECT id FROM account WHERE id IN ($1, 2, $2) ORDER BY id', [1, 7]],
    ['SELECT id FROM account WHERE id IN ($1, $2, $3)', ['1', '2', 'x']],
    ['SELECT id FROM account WHERE id IN ($1, $2, $3)', ['1', '2', '99999999999999999999']],
    ['SELECT public.account.id FROM public.account WHERE public.account.id IN ($1, $2, $3) ORDER BY 1', [1, 2, 3]],
    [
      'SELECT owner, count(*)::int AS n FROM account WHERE id IN ($1, $2, $3, $4) GROUP BY owner ORDER BY owner',
      [1, 2, 4, 5],
    ],
    [
      'SELECT a.id, e.amount FROM account a LEFT JOIN entry e ON e."accountId" = a.id AND e."accountId" IN ($1, $2, $3) ORDER BY a.id',
      [1, 2, 3],
    ],
    [
      'SELECT a.id FROM account a LEFT JOIN entry e ON e."accountId" = a.id WHERE e."accountId" IN ($1, $2, $3) ORDER BY a.id',
      [1, 2, 3],
    ],
    ['SELECT a.id FROM (SELECT id FROM account WHERE id IN ($1, $2, $3)) a ORDER BY a.id DESC LIMIT $4', [1, 2, 3, 2]],
    [
      'WITH w AS (SELECT id FROM account WHERE id IN ($1, $2, $3)) SELECT x.id FROM w x JOIN w y ON x.id = y.id ORDER BY 1',
      [1, 2, 3],
    ],
    [
      'SELECT id FROM account WHERE id IN ($1, $2, $3) AND balance > (SELECT avg(amount) FROM entry WHERE amount > $4) ORDER BY id',
      [1, 2, 3, 5],
    ],
    [
      'SELECT id FROM account WHERE id IN ($1, $2, $3) UNION SELECT id FROM account WHERE id = ANY($4) ORDER BY id',
      [1, 2, 3, [3, 4]],
    ],
    ['SELECT name FROM tag WHERE name = ANY($1) ORDER BY uses', [tags]],
    [`SELECT name FROM tag WHERE name IN (${tags.map((_, index) => `$${index + 1}`).join(', ')}) ORDER BY uses`, tags],
    ['SELECT name FROM tag WHERE name = ANY($1::varchar(2)[]) ORDER BY uses', [['abc', 'bcd']]],
    ['SELECT name FROM tag WHERE name = ANY($1::bpchar[]) ORDER BY uses', [['a ', 'b ']]],
    ['UPDATE account SET balance = balance + $1 WHERE id IN ($2, $3, $4) RETURNING balance', [1, 2, 3, 4]],
    ['DELETE FROM entry WHERE "accountId" = ANY($1)', [['1', '2', '5', '6']]],
    [
      'DELETE FROM account a USING entry e WHERE e."accountId" = a.id AND a.id IN ($1, $2, $3) AND e.amount > $4',
      [1, 2, 3, 0],
    ],
  ]

  it.each(texts)('give what one database gives: %s %j', async (text, parameters) => {
    const [given, wanted] = [sharded, plain].map((dataSource) => outcome(() => dataSource.query(text, [...parameters])))
    const sorted = (answer: unknown) => (text.startsWith('SELECT') ? answer : JSON.stringify(answer).split('').sort())
    expect(sorted(await given)).toEqual(sorted(await wanted))
    for (const query of ['SELECT id, balance FROM account ORDER BY id', 'SELECT "accountId" FROM entry ORDER BY 1'])
      expect(await sharded.query(query)).toEqual(await plain.query(query))
  })

  it('plan a text anew for values that are no keys', async () => {
    const text = 'SELECT id FROM account WHERE id = ANY($1) ORDER BY id'
    for (const list of [[1, 2, 3], '{1,2,3}', [3, 4], ['4', null]])
      expect(await sharded.query(text, [list])).toEqual(await plain.query(text, [list]))
  })

  it('are split in streams', async () => {
    const stream = await sharded
      .getRepository(Account)
      .createQueryBuilder('a')
      .select('a.id', 'id')
      .where('a.id IN (:...ids)', { ids: ids.slice(0, 9) })
      .orderBy('a.id')
      .stream()
    const found: unknown[] = []
    for await (const row of stream) found.push(row)
    expect(found).toEqual(ids.slice(0, 9).map((id) => ({ id })))
  })
})
