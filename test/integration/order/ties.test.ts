import { Client } from 'pg'
import { Column, DataSource, Entity, Index, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 6 }))
class Visit {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Index() @Column('int', { nullable: true }) day!: number | null
  @Column('text') kind!: string
}

/** Text primary keys: ties are settled by code points, whatever the collation of the databases. */
@Entity()
@Sharded(hash({ shards: 6 }))
class Note {
  @PrimaryColumn('text', { collation: 'sv-x-icu' }) id!: string
  @ShardKey() @Column('int') owner!: number
  @Column('int') day!: number
}

const visits = Array.from({ length: 400 }, (_, id) => ({
  id,
  day: id % 29 === 0 ? null : (id * 37) % 120,
  kind: ['walk', 'ride', 'Fahrt'][id % 3] ?? '',
}))
const notes = Array.from({ length: 120 }, (_, n) => ({
  id: `${['z', 'ö', 'Å', 'a'][n % 4]}${(n * 7) % 120}`,
  owner: n,
  day: n % 3,
}))

let databases: FreshDatabases
let sharded: ShardedDataSource
let plain: DataSource
let statements = 0

beforeAll(async () => {
  databases = await createDatabases(2)
  const [a = '', b = ''] = databases.nodes
  sharded = new ShardedDataSource({
    type: 'postgres',
    entities: [Visit, Note],
    nodes: { a: { url: a }, b: { url: b } },
    synchronize: true,
  })
  plain = new DataSource({ type: 'postgres', url: databases.oracle, entities: [Visit, Note], synchronize: true })
  for (const dataSource of [sharded, plain]) {
    await dataSource.initialize()
    await dataSource.getRepository(Visit).insert(visits)
    await dataSource.getRepository(Note).insert(notes)
  }
  sharded.onStatement(() => statements++)
})
afterAll(async () => {
  for (const dataSource of [sharded, plain]) if (dataSource?.isInitialized) await dataSource.destroy()
  await databases?.drop()
})

const counted = async <T>(work: () => Promise<T>): Promise<{ result: T; sent: number }> => {
  const before = statements
  const result = await work()
  return { result, sent: statements - before }
}

it('lets an index on the column serve every arm of a first page', async () => {
  const [url = ''] = databases.nodes
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query('SET enable_seqscan = off; SET enable_bitmapscan = off')
    const plan = await sharded.getRepository(Visit).explain({ order: { day: 'DESC' }, take: 5 })
    const statement = plan.statements.find(({ node }) => node === 'a')
    const { rows } = await client.query(`EXPLAIN ${statement?.text}`)
    const text = rows.map((row) => row['QUERY PLAN']).join('\n')
    expect(text).toContain('Merge Append')
    expect(text).not.toMatch(/\bSort\b(?! Key)/)
    expect(text.match(/Index Scan Backward/g)).toHaveLength(3)
  } finally {
    await client.end()
  }
})

it('asks each node once where no tie is cut, and each time as often as the first', async () => {
  const repository = sharded.getRepository(Visit)
  const order = { id: 'ASC' } as const
  expect((await counted(() => repository.find({ order, take: 20 }))).sent).toBe(2)
  // Ties that no cut goes through are settled by the primary key.
  const whole = { where: { kind: 'walk' }, order: { day: 'ASC' }, take: 400 } as const
  for (const sent of [2, 2, 2]) expect((await counted(() => repository.find(whole))).sent).toBe(sent)
  const tied = { order: { kind: 'DESC' }, take: 4 } as const
  const first = await counted(() => repository.find(tied))
  const second = await counted(() => repository.find(tied))
  expect([first.sent, second.sent]).toEqual([2, 2])
  const cut = { order: { day: 'DESC' }, take: 4 } as const
  for (const sent of [4, 4, 4]) expect((await counted(() => repository.find(cut))).sent).toBe(sent)
  expect(first.result).toEqual(second.result)
})

it('pages in an order with ties are the total order cut in pieces', async () => {
  for (const order of [
    { day: 'ASC' },
    { day: 'DESC' },
    { kind: 'DESC' },
    { kind: 'ASC', day: { nulls: 'FIRST' } },
  ] as const) {
    const total = { ...order, id: 'ASC' } as const
    const expected = await plain.getRepository(Visit).find({ order: total })
    for (const size of [20, 133]) {
      const pages = []
      for (let skip = 0; skip < visits.length + size; skip += size)
        pages.push(...(await sharded.getRepository(Visit).find({ order, skip, take: size })))
      expect(pages).toEqual(expected)
    }
  }
})

it('settles ties of text keys by code points', async () => {
  const expected = [...notes].sort((a, b) => a.day - b.day || Buffer.compare(Buffer.from(a.id), Buffer.from(b.id)))
  const pages = []
  for (let skip = 0; skip < notes.length; skip += 9)
    pages.push(...(await sharded.getRepository(Note).find({ order: { day: 'ASC' }, skip, take: 9 })))
  expect(pages).toEqual(expected)
})
