import { Column, DataSource, Entity, type FindManyOptions, In, LessThan, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { executeRead } from '../../src/execution/execute-read'
import { hash, Sharded, ShardedDataSource, ShardKey, time } from '../../src/index'
import type { EntitiesPlan, ReadPlan } from '../../src/planning/read-plan'
import { ShardAccess } from '../../src/typeorm/runners/shard-access'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 6 }), { group: 'row' })
class Row {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('int', { nullable: true }) rank!: number | null
  @Column({ type: 'text', collation: 'C' }) code!: string
  @Column('text') name!: string
  @Column('jsonb') extra!: object
}

@Entity()
@Sharded(time({ every: 'month', from: '2020-01', to: '2021-01' }))
class Visit {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('timestamptz') at!: Date
}

const rowsSql = `INSERT INTO "row" (id, rank, code, name, extra) SELECT id, CASE WHEN id % 9 = 0 THEN NULL ELSE id * 37 % 400 END,
  'c' || id % 70, chr(97 + id * 31 % 26) || 'ö' || id % 90, jsonb_build_object('n', id % 5) FROM generate_series(1, 3000) AS id`

let databases: FreshDatabases
let sharded: ShardedDataSource
let plain: DataSource

beforeAll(async () => {
  databases = await createDatabases(2)
  const [a = '', b = ''] = databases.nodes
  const entities = [Row, Visit]
  const nodes = { a: { url: a }, b: { url: b } }
  sharded = new ShardedDataSource({ type: 'postgres', entities, nodes, synchronize: true })
  plain = new DataSource({ type: 'postgres', entities, url: databases.oracle, synchronize: true })
  await Promise.all([sharded.initialize(), plain.initialize()])
  await plain.query(rowsSql)
  await sharded.getRepository(Row).insert(await plain.getRepository(Row).find())
  const visits = Array.from({ length: 2_600 }, (_, id) => ({
    id,
    at: new Date(Date.UTC(2020, id % 12, 1 + (id % 27))),
  }))
  for (const dataSource of [plain, sharded]) await dataSource.getRepository(Visit).insert(visits)
})
afterAll(async () => {
  await Promise.all([sharded, plain].map((one) => one?.isInitialized && one.destroy()))
  await databases?.drop()
})

/** What is sent while something runs: nodes answer at once, so that the order of their statements is chance. */
async function sent<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly texts: readonly string[] }> {
  const texts: string[] = []
  const end = sharded.onStatement(({ node, text }) => texts.push(`${node}: ${text}`))
  try {
    return { result: await work(), texts: texts.sort() }
  } finally {
    end()
  }
}

const execute = (plan: ReadPlan) => executeRead(plan, new ShardAccess(Reflect.get(sharded, 'runtime')))

type Find = FindManyOptions<Row>

const finds: readonly (readonly [strategy: string, Find])[] = [
  ['merge', {}],
  ['merge', { order: { id: 'ASC' }, take: 20 }],
  ['merge', { order: { rank: 'DESC' }, take: 15, skip: 3 }],
  ['merge', { order: { rank: { direction: 'ASC', nulls: 'FIRST' }, id: 'DESC' }, take: 10 }],
  ['merge', { order: { name: 'ASC', id: 'ASC' }, take: 12 }],
  ['merge', { order: { extra: 'ASC', id: 'ASC' }, take: 12 } as Find],
  ['merge', { where: { id: In([1, 2, 3, 4, 5, 6]) }, order: { id: 'ASC' } }],
  ['merge', { where: [{ rank: LessThan(3) }, { code: 'c7' }], order: { id: 'ASC' } }],
  ['merge', { order: { id: 'ASC' }, take: 0 }],
  ['merge', { select: { name: true }, order: { id: 'ASC' }, take: 5 }],
  ['ordered-shards', { skip: 1_200, take: 4 }],
  ['merge', { order: { id: 'ASC' }, skip: 1_500, take: 9 }],
  ['keys-first', { order: { extra: 'ASC', id: 'ASC' }, skip: 1_500, take: 9 } as Find],
  ['keys-first', { order: { extra: 'ASC', id: 'ASC' }, skip: 2_500, take: 9 } as Find],
  ['pivot-counting', { order: { id: 'DESC' }, skip: 2_500, take: 9 }],
  ['pivot-counting', { order: { rank: 'ASC', id: 'ASC' }, skip: 2_200, take: 30 }],
  ['pivot-counting', { where: { rank: LessThan(395) }, order: { code: 'ASC', id: 'ASC' }, skip: 2_100, take: 11 }],
]

describe('the plan that explain returns', () => {
  it.each(finds)('gives the rows of the find when it is executed, by %s: %j', async (strategy, options) => {
    const repository = sharded.getRepository(Row)
    const explained = await repository.explain(options)
    expect(explained.page?.strategy).toBe(strategy)
    const { source } = explained.plan as EntitiesPlan
    const found = await sent(() => repository.find(options))
    const executed = await sent(() => execute(source))
    expect(executed.texts).toEqual(found.texts)
    const column = options.select ? 'name' : 'id'
    expect(executed.result.map((row) => row[`Row_${column}`])).toEqual(found.result.map((row) => row[column]))
    for (const { node, text } of explained.statements) expect(found.texts).toContain(`${node}: ${text}`)
    // An order with ties is one of several right ones.
    if (!(options.order && 'id' in options.order)) return
    const expected = await plain.getRepository(Row).find(options)
    expect(found.result).toEqual(expected)
  })

  it.each([0, 4, 1_500])('gives the rows of shards that follow each other, from %i on', async (skip) => {
    const options = { order: { at: 'DESC', id: 'ASC' }, skip, take: 5 } as const
    const explained = await sharded.getRepository(Visit).explain(options)
    expect(explained.page?.strategy).toBe('ordered-shards')
    const executed = await execute((explained.plan as EntitiesPlan).source)
    const expected = await plain.getRepository(Visit).find(options)
    expect(executed.map((row) => row['Visit_id'])).toEqual(expected.map(({ id }) => id))
  })

  it.each([
    'SELECT id, rank FROM "row" ORDER BY rank DESC NULLS LAST, id LIMIT 7 OFFSET 2',
    'SELECT name FROM "row" ORDER BY name, id LIMIT 9',
    'SELECT count(*) AS n, max(name) AS last FROM "row"',
    'SELECT code, avg(rank) AS mean FROM "row" GROUP BY code HAVING count(*) > 3 ORDER BY mean, code LIMIT 5',
    'SELECT DISTINCT code FROM "row" ORDER BY code LIMIT 3',
    'SELECT id, row_number() OVER (ORDER BY rank, id) AS place FROM "row" ORDER BY place LIMIT 4',
  ])('gives the rows of the statement: %s', async (text) => {
    const runner = sharded.createQueryRunner() as unknown as { explain(text: string): Promise<{ plan: ReadPlan }> }
    const { plan } = await runner.explain(text)
    const ran = await sent(() => sharded.query(text))
    const executed = await sent(() => execute(plan))
    expect(executed.texts).toEqual(ran.texts)
    expect(executed.result).toEqual(ran.result)
    expect(ran.result).toEqual(await plain.query(text))
  })

  it('is frozen, and the same for the same find, whatever ran before', async () => {
    const options: Find = { order: { rank: 'ASC' }, take: 4 }
    const repository = sharded.getRepository(Row)
    const before = await repository.explain(options)
    for (let round = 0; round < 5; round++) await repository.find(options)
    expect((await repository.explain(options)).statements).toEqual(before.statements)
    expect(Object.isFrozen(before.plan)).toBe(true)
    const first = await sent(() => repository.find(options))
    for (let round = 0; round < 4; round++)
      expect((await sent(() => repository.find(options))).texts).toEqual(first.texts)
  })
})
