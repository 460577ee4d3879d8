import { Column, DataSource, Entity, In, PrimaryColumn } from 'typeorm'
import type { QueryResult } from 'typeorm/query-runner/QueryResult'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, list, Sharded, ShardedDataSource, ShardKey } from '../../src/index'
import type { Explanation } from '../../src/planning/explain-plan'
import type { WritePlan } from '../../src/planning/write-plan'
import { ShardAccess } from '../../src/typeorm/runners/shard-access'
import { executeStatement } from '../../src/typeorm/writes/execute-statement'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 5 }), { group: 'ledger' })
class Ledger {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') owner!: string
  @Column('int', { default: 0 }) balance!: number
}

/** Its primary key does not tell its shard. */
@Entity()
@Sharded({ colocatedWith: () => Ledger })
class Posting {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') ledgerId!: number
  @Column('int') amount!: number
}

@Entity()
@Sharded(list({ shards: { eu: ['de', 'fr'], us: ['us'] } }), { onKeyChange: 'move' })
class Branch {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('text') country!: string
}

let databases: FreshDatabases
let sharded: ShardedDataSource
let plain: DataSource

beforeAll(async () => {
  databases = await createDatabases(2)
  const [a = '', b = ''] = databases.nodes
  const entities = [Ledger, Posting, Branch]
  const nodes = { a: { url: a }, b: { url: b } }
  sharded = new ShardedDataSource({ type: 'postgres', entities, nodes, synchronize: true })
  plain = new DataSource({ type: 'postgres', entities, url: databases.oracle, synchronize: true })
  await Promise.all([sharded.initialize(), plain.initialize()])
})
afterAll(async () => {
  await Promise.all([sharded, plain].map((one) => one?.isInitialized && one.destroy()))
  await databases?.drop()
})

beforeEach(async () => {
  const ledgers = Array.from({ length: 30 }, (_, id) => ({ id, owner: `o${id % 7}`, balance: id * 3 }))
  const postings = Array.from({ length: 60 }, (_, id) => ({ id, ledgerId: id % 30, amount: id }))
  const branches = ['de', 'fr', 'us', 'us'].map((country, id) => ({ id, country }))
  for (const { manager } of [plain, sharded]) {
    await manager.insert(Ledger, ledgers)
    await manager.insert(Posting, postings)
    await manager.insert(Branch, branches)
  }
})
afterEach(async () => {
  for (const { manager } of [plain, sharded])
    for (const entity of [Posting, Ledger, Branch]) await manager.deleteAll(entity)
})

/** Each transaction over nodes has its own number. */
const transactionId = /[0-9a-f]{28,32}/g

/** What is sent while something runs: nodes answer at once, so that the order of their statements is chance. */
async function sent<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly texts: readonly string[] }> {
  const texts: string[] = []
  const end = sharded.onStatement(({ node, text }) => texts.push(`${node}: ${text.replace(transactionId, 'id')}`))
  try {
    return { result: await work(), texts: texts.sort() }
  } finally {
    end()
  }
}

/** Runs the plan of a write, and what it answers as one statement. */
const execute = (plan: WritePlan) =>
  executeStatement(
    { plan, order: undefined },
    {
      access: new ShardAccess(Reflect.get(sharded, 'runtime'), undefined),
      openRunner: () => sharded.createQueryRunner() as never,
    },
  )

async function explain(text: string, parameters: readonly unknown[]): Promise<Explanation & { plan: WritePlan }> {
  const runner = sharded.createQueryRunner() as unknown as { explain: (...given: unknown[]) => Promise<never> }
  return runner.explain(text, parameters)
}

async function run(dataSource: DataSource, text: string, parameters: readonly unknown[]): Promise<QueryResult> {
  const runner = dataSource.createQueryRunner()
  try {
    return await runner.query(text, [...parameters], true)
  } finally {
    await runner.release()
  }
}

/** Rows of RETURNING have no order. */
const answerOf = ({ affected, records = [] }: QueryResult) => ({
  affected,
  records: records.map((row: unknown) => JSON.stringify(row)).sort(),
})

const stored = async ({ manager }: DataSource) => ({
  ledgers: await manager.find(Ledger, { order: { id: 'ASC' } }),
  postings: await manager.find(Posting, { order: { id: 'ASC' } }),
})

/** What a statement writes when it is run twice is what it writes once, so that both runs send the same. */
const writes: readonly (readonly [text: string, ...parameters: (string | number)[]])[] = [
  ['UPDATE ledger SET owner = $1 WHERE id = $2', 'x', 7],
  ['UPDATE ledger SET owner = $1 WHERE id IN ($2, $3, $4, $5)', 'x', 1, 2, 3, 4],
  ['UPDATE ledger SET owner = $1 WHERE balance > $2', 'x', 30],
  ['UPDATE ledger SET owner = upper(owner) WHERE balance < 40 RETURNING id, owner'],
  ['UPDATE ledger SET owner = owner RETURNING *'],
  ['UPDATE ledger SET balance = p.amount FROM posting p WHERE p."ledgerId" = ledger.id AND p.id < 30'],
  ['UPDATE posting SET amount = 1 WHERE id IN (SELECT id FROM posting WHERE amount > 40)'],
  ['DELETE FROM posting WHERE "ledgerId" = 3'],
  ['DELETE FROM posting WHERE amount > $1 RETURNING id', 20],
  ['DELETE FROM posting'],
  ['INSERT INTO ledger (id, owner) VALUES (3, $1), (31, $1), (32, $1) ON CONFLICT (id) DO NOTHING', 'n'],
  [
    'INSERT INTO ledger (id, owner) VALUES (3, $1), (31, $1) ON CONFLICT (id) DO UPDATE SET owner = $1 RETURNING id, owner',
    'n',
  ],
  [
    'INSERT INTO posting (id, "ledgerId", amount) VALUES (3, 4, 9), (70, 5, 9) ON CONFLICT (id) DO UPDATE SET amount = 8 RETURNING id, "ledgerId"',
  ],
  ['INSERT INTO posting (id, "ledgerId", amount) VALUES (3, 4, 9), (70, 5, 9) ON CONFLICT (id) DO NOTHING'],
  [
    'INSERT INTO posting (id, "ledgerId", amount) SELECT l.id + 100, l.id, 0 FROM ledger l WHERE NOT EXISTS (SELECT FROM posting p WHERE p."ledgerId" = l.id AND p.id > 99)',
  ],
  [
    'WITH gone AS (DELETE FROM posting WHERE "ledgerId" = 3 RETURNING amount) UPDATE ledger SET balance = 0 WHERE id = 3',
  ],
]

describe('the plan of a write that explain returns', () => {
  const cases = writes.map(([text, ...parameters]) => [text, parameters] as const)

  it.each(cases)('gives the answer of the statement when it is executed: %s', async (text, parameters) => {
    const explained = await explain(text, parameters)
    const expected = await run(plain, text, parameters)
    const executed = await sent(() => execute(explained.plan))
    expect(answerOf(executed.result)).toEqual(answerOf(expected))
    expect(await stored(sharded)).toEqual(await stored(plain))
    for (const { node, text: own } of explained.statements) expect(executed.texts).toContain(`${node}: ${own}`)
    expect(Object.isFrozen(explained.plan)).toBe(true)
    const again = await explain(text, parameters)
    expect(again.statements.map((one) => one.text)).toEqual(explained.statements.map((one) => one.text))
    // The rows are there, or gone, by now: the statements are the same.
    const ran = await sent(() => run(sharded, text, parameters))
    const repeated = await sent(() => execute(again.plan))
    expect(repeated.texts).toEqual(ran.texts)
    expect(answerOf(repeated.result)).toEqual(answerOf(ran.result))
  })

  it('is that of a query builder', async () => {
    const builders = [
      sharded
        .createQueryBuilder()
        .update(Ledger)
        .set({ owner: 'b' })
        .where({ id: In([1, 2, 3]) }),
      sharded.createQueryBuilder().update(Ledger).set({ owner: 'b' }).where('balance > 30'),
      sharded.createQueryBuilder().delete().from(Posting).where({ amount: 5_000 }),
    ]
    for (const builder of builders) {
      const [text, parameters] = builder.getQueryAndParameters()
      const { plan, statements } = await explain(text, parameters)
      const ran = await sent(() => builder.execute())
      for (const { node, text: own } of statements) expect(ran.texts).toContain(`${node}: ${own}`)
      expect((await sent(() => execute(plan))).texts).toEqual(ran.texts)
    }
  })

  it('says how rows are moved, and moves none', async () => {
    const { plan, shards, steps } = await explain("UPDATE branch SET country = 'us' WHERE id = 0", [])
    expect(plan).toMatchObject({ kind: 'transaction', source: { kind: 'move', table: 'branch' } })
    expect(shards).toEqual(['branch_eu', 'branch_us'])
    expect(steps).toEqual([
      'lock the rows of branch on 2 shard(s)',
      'update rows whose new key is of the same shard where they are',
      'move the others to branch_us',
      'commit nodes a, b when all is written',
    ])
    expect((await sharded.getRepository(Branch).findOneByOrFail({ id: 0 })).country).toBe('de')
  })

  it('is refused where the write is', async () => {
    const refused: readonly (readonly [string, string])[] = [
      ['UPDATE ledger SET id = 4 WHERE id = 3', 'KEY_CHANGED'],
      ["INSERT INTO ledger (owner) VALUES ('x')", 'KEY_MISSING'],
      [
        'INSERT INTO posting (id, "ledgerId", amount) VALUES (1, 1, 0), (2, 2, 0), (3, 3, 0) LIMIT 2',
        'STATEMENT_UNSUPPORTED',
      ],
    ]
    for (const [text, code] of refused) await expect(explain(text, [])).rejects.toMatchObject({ code })
  })

  it('says of an INSERT … SELECT of rows for any shard what it reads, and reads nothing', async () => {
    const text = 'INSERT INTO posting (id, "ledgerId", amount) SELECT 1, id + 1, 0 FROM ledger'
    const { shards, statements, steps } = await explain(text, [])
    expect(shards).toHaveLength(5)
    expect(statements.map((one) => one.text)).toEqual(statements.map(() => expect.stringMatching(/^\(?SELECT/)))
    expect(steps.at(-1)).toBe('insert the rows that this gives as VALUES, in the same transaction')
  })
})
