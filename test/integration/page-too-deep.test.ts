import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 4 }), { scatter: { rowBudget: 2_100 } })
class Game {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('int')
  score!: number

  @Column('int', { nullable: true })
  nextId!: number | null

  @ManyToOne(() => Game)
  @JoinColumn({ name: 'nextId' })
  next!: Relation<Game> | null
}

const rowCount = 4_000

let databases: FreshDatabases
let dataSource: ShardedDataSource
const games = () => dataSource.getRepository(Game)
const sent: string[] = []

beforeAll(async () => {
  databases = await createDatabases(2)
  const [a = '', b = ''] = databases.nodes
  dataSource = await new ShardedDataSource({
    type: 'postgres',
    entities: [Game],
    nodes: { a: { url: a }, b: { url: b } },
    synchronize: true,
  }).initialize()
  await games().insert(Array.from({ length: rowCount }, (_, id) => ({ id, score: (id * 7919) % rowCount })))
  dataSource.onStatement(({ text }) => sent.push(text))
})
afterAll(async () => {
  await dataSource.destroy()
  await databases.drop()
})

const scores = async (skip: number, take: number) =>
  (await games().find({ order: { score: 'ASC' }, skip, take })).map(({ score }) => score)
const from = (start: number, count: number) => Array.from({ length: count }, (_, index) => start + index)

it('refuses a page whose rows before it may be more than the budget, and asks nobody', async () => {
  expect(await scores(1_040, 10)).toEqual(from(1_040, 10))
  sent.length = 0
  const deep = { order: { score: 'ASC' }, skip: 1_041, take: 10 } as const
  for (const refused of [games().find(deep), games().findAndCount(deep), games().explain(deep)])
    await expect(refused).rejects.toMatchObject({
      code: 'PAGE_TOO_DEEP',
      details: { entity: 'Game', offset: 1_041, limit: 10, rows: 2_102, option: 'scatter.rowBudget' },
    })
  expect(sent).toEqual([])
})

it('takes the budget of the operation, for more and for less', async () => {
  const page = (rowBudget: number, skip: number) =>
    games()
      .withLimits({ rowBudget })
      .find({ order: { score: 'ASC' }, skip, take: 10 })
  expect((await page(2_200, 1_041)).map(({ score }) => score)).toEqual(from(1_041, 10))
  sent.length = 0
  await expect(page(100, 900)).rejects.toMatchObject({ code: 'PAGE_TOO_DEEP' })
  expect(sent).toEqual([])
})

it('takes a deep one in the order of rows of other shards, which are gathered', async () => {
  const page = (skip: number, take: number) =>
    games().find({ order: { next: { score: 'ASC' }, score: 'ASC' }, relations: { next: true }, skip, take })
  const whole = await page(0, 2_510)
  expect((await page(2_500, 10)).map(({ score }) => score)).toEqual(whole.slice(2_500).map(({ score }) => score))
})

it('takes pages near the start, deep ones that are counted, and any of one shard', async () => {
  expect(await scores(900, 10)).toEqual(from(900, 10))
  expect(await scores(3_900, 10)).toEqual(from(3_900, 10))
  const { name } = dataSource.shards(Game)[0] ?? { name: '' }
  expect(
    await games()
      .onShard(name)
      .find({ order: { score: 'ASC' }, skip: 1_900, take: 10 }),
  ).toEqual([])
})
