import { Client } from 'pg'
import { Column, DataSource, Entity, type EntityManager, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 4 }))
class Reading {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('int', { nullable: true })
  n!: number | null

  @Column('bigint', { nullable: true })
  big!: string | null

  @Column('text', { nullable: true })
  t!: string | null

  @Column('timestamp', { nullable: true })
  at!: Date | null

  @Column('enum', { enum: ['low', 'high'], nullable: true })
  level!: 'low' | 'high' | null
}

@Entity()
@Sharded({ colocatedWith: () => Reading })
class Note {
  @PrimaryColumn('int')
  id!: number

  @ShardKey()
  @Column('int')
  readingId!: number

  @ManyToOne(() => Reading)
  @JoinColumn({ name: 'readingId' })
  reading!: Reading
}

const entities = [Reading, Note]

/** What both sides give, or what they throw. */
async function outcome(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work()
  } catch (error) {
    const { message, code } = error as { message: string; code?: string }
    return { message, code }
  }
}

type OrderedColumn = 'n' | 'big' | 't' | 'level'

const found = (column: OrderedColumn, page: { readonly skip?: number; readonly take?: number } = {}) => {
  return async (manager: EntityManager): Promise<unknown> => {
    const order = { [column]: 'ASC', id: 'ASC' } as const
    const rows = await manager.find(Reading, { select: { id: true, [column]: true }, order, ...page })
    return rows.map((row) => row[column])
  }
}

const ordersOf = (column: OrderedColumn): readonly ((manager: EntityManager) => Promise<unknown>)[] => [
  found(column),
  found(column, { take: 1 }),
  found(column, { skip: 1, take: 1 }),
  found(column, { skip: 2, take: 5 }),
  async (manager) => (await manager.findOne(Reading, { where: {}, order: { [column]: 'DESC' } }))?.[column],
  async (manager) => {
    const [rows, count] = await manager.findAndCount(Reading, { order: { [column]: 'DESC', id: 'ASC' }, take: 2 })
    return [rows.map((row) => row[column]), count]
  },
  async (manager) => {
    const notes = await manager.find(Note, {
      relations: { reading: true },
      order: { reading: { [column]: 'ASC', id: 'ASC' } },
    })
    return notes.map(({ reading }) => reading[column])
  },
]

describe('orders of tables that are altered', () => {
  let databases: FreshDatabases
  let sharded: ShardedDataSource
  let plain: DataSource
  const clients: Client[] = []

  const open = async (): Promise<ShardedDataSource> => {
    const [a = '', b = ''] = databases.nodes
    const nodes = { a: { url: a }, b: { url: b } }
    return new ShardedDataSource({
      type: 'postgres',
      entities,
      nodes,
      cursors: { secret: 'x'.repeat(32) },
    }).initialize()
  }
  /** On the nodes and the plain database, by sessions that are not the data sources'. */
  const alter = async (change: string): Promise<void> => {
    const [a, b, oracle] = clients
    await oracle?.query(`ALTER TABLE reading ${change}`)
    for (const { name, node } of sharded.shards(Reading))
      await (node === 'a' ? a : b)?.query(`ALTER TABLE "${name}".reading ${change}`)
  }
  const both = async (works: readonly ((manager: EntityManager) => Promise<unknown>)[]): Promise<void> => {
    for (const work of works)
      for (let time = 0; time < 3; time++) {
        const expected = await outcome(() => work(plain.manager))
        expect(await outcome(() => work(sharded.manager))).toEqual(expected)
      }
  }

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    for (const connectionString of [a, b, databases.oracle]) {
      const client = new Client({ connectionString })
      await client.connect()
      clients.push(client)
    }
  })
  beforeEach(async () => {
    sharded = await open()
    plain = await new DataSource({ type: 'postgres', entities, url: databases.oracle }).initialize()
    for (const dataSource of [sharded, plain]) await dataSource.synchronize(true)
    const nodeOf = (id: number) =>
      sharded.shards(Reading).find(({ name }) => name === sharded.locate(Reading, id).shard)?.node
    const other = [2, 3, 4, 5, 6, 7, 8].find((id) => nodeOf(id) !== nodeOf(1)) ?? 0
    // Each node has one row, and is sorted however it is read.
    const rows = [
      { id: 1, n: 6, big: '6', t: '6', at: new Date(6), level: 'low' as const },
      { id: other, n: 56, big: '56', t: '56', at: new Date(56), level: 'high' as const },
    ]
    for (const dataSource of [sharded, plain]) {
      await dataSource.getRepository(Reading).insert(rows)
      await dataSource.getRepository(Note).insert(rows.map(({ id }) => ({ id, readingId: id })))
    }
    return async () => {
      await sharded.destroy()
      await plain.destroy()
    }
  })
  afterAll(async () => {
    for (const client of clients) await client.end()
    await databases.drop()
  })

  for (const [column, change] of [
    ['n', 'ALTER n TYPE text'],
    ['n', 'ALTER n TYPE numeric(9, 2)'],
    ['n', 'ALTER n TYPE int[] USING ARRAY[n]'],
    ['big', 'ALTER big TYPE text'],
    ['big', 'ALTER big TYPE varchar(9)'],
    ['t', 'ALTER t TYPE int USING t::int'],
    ['t', 'ALTER t TYPE varchar(9)'],
    ['t', 'ALTER t TYPE jsonb USING t::jsonb'],
    ['level', 'ALTER level TYPE text'],
  ] as const) {
    it(`are those of the types that columns have: ${change}`, async () => {
      await both(ordersOf(column))
      await alter(change)
      await both(ordersOf(column))
    })

    it(`are those of the types that columns have, for a data source that is opened later: ${change}`, async () => {
      await alter(change)
      await both(ordersOf(column))
    })
  }

  it('are those of the types that columns have: an instant that becomes a text', async () => {
    const ids = async (manager: EntityManager) =>
      (await manager.find(Reading, { select: { id: true }, order: { at: 'DESC' } })).map(({ id }) => id)
    await both([ids])
    await alter(`ALTER at TYPE text USING n::text`)
    await both([ids])
  })

  it('are those of the types that columns have, in pages with cursors', async () => {
    const page = async () => {
      const first = await sharded.manager.findPage(Reading, { order: { n: 'ASC' }, take: 1 })
      const second = await sharded.manager.findPage(Reading, {
        order: { n: 'ASC' },
        take: 1,
        after: first.endCursor ?? '',
      })
      return [...first.rows, ...second.rows].map(({ n }) => n)
    }
    expect(await page()).toEqual([6, 56])
    await alter('ALTER n TYPE text')
    for (let time = 0; time < 2; time++) expect(await page()).toEqual(['56', '6'])
  })

  it('end one transaction, which may be repeated', async () => {
    const work = found('n')
    await sharded.transaction(work)
    await alter('ALTER n TYPE text')
    await expect(sharded.transaction(work)).rejects.toMatchObject({
      code: 'PLAN_STALE',
      labels: ['retryable', 'no-writes'],
    })
    expect(await sharded.transaction(work)).toEqual(await plain.transaction(work))
  })

  it('are refused while the shards of a table differ', async () => {
    const { name, node } = sharded.shards(Reading).at(-1) ?? {}
    await clients[node === 'a' ? 0 : 1]?.query(`ALTER TABLE "${name}".reading ALTER n TYPE text`)
    for (let time = 0; time < 2; time++)
      await expect(found('n')(sharded.manager)).rejects.toMatchObject({ code: 'PLAN_STALE' })
  })

  it('are those of the types that columns have, for extremes and sums', async () => {
    const works = (['maximum', 'minimum', 'sum', 'average'] as const).map(
      (fn) => (manager: EntityManager) => manager[fn](Reading, 'n' as 'id'),
    )
    await both(works)
    await alter('ALTER n TYPE numeric(9, 2) USING n / 7.0')
    await both(works)
    await alter('ALTER n TYPE text')
    await both(works)
  })
})
