import { Client } from 'pg'
import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
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

  @Column('date', { nullable: true })
  d!: string | null

  @Column('real', { nullable: true })
  f!: number | null

  @Column('varchar', { length: 9, nullable: true })
  t!: string | null

  @Column('enum', { enum: ['low', 'high'], nullable: true })
  level!: 'low' | 'high' | null
}

/** As wide as Reading, for INSERT … SELECT. */
@Entity()
@Sharded({ colocatedWith: () => Reading })
class Copied {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('int', { nullable: true })
  n!: number | null
}

/** Of no shard: its rows are sent to shards. */
@Entity()
class Place {
  @PrimaryColumn('int')
  id!: number

  @Column('date', { nullable: true })
  d!: string | null

  @Column('int', { nullable: true })
  n!: number | null
}

const entities = [Reading, Copied, Place]

const ofColumn = (column: string): readonly string[] => [
  `SELECT max(${column}) a, min(${column}) b, count(DISTINCT ${column}) c FROM reading`,
  `SELECT ${column}, count(*) n FROM reading GROUP BY ${column} ORDER BY ${column}`,
  `SELECT DISTINCT ${column} FROM reading ORDER BY 1`,
  `SELECT ${column} FROM reading ORDER BY ${column} DESC, id`,
  `SELECT array_agg(${column} ORDER BY id) a FROM reading`,
  `SELECT id, lag(${column}) OVER (ORDER BY id) l FROM reading ORDER BY id`,
  `SELECT ${column} FROM reading UNION SELECT ${column} FROM reading ORDER BY 1`,
  `SELECT max(x.${column}) m FROM (SELECT ${column}, count(*) k FROM reading GROUP BY ${column}) x`,
]

const ofSubquery = (column: string): string =>
  `SELECT ${column} FROM reading WHERE ${column} = (SELECT max(${column}) FROM reading)`

const ofAllColumns: readonly string[] = [
  'SELECT * FROM reading ORDER BY id LIMIT 3',
  'SELECT * FROM reading WHERE id = 1',
  'SELECT DISTINCT * FROM reading ORDER BY id LIMIT 2',
  'WITH x AS (SELECT * FROM reading) SELECT * FROM x ORDER BY id LIMIT 2',
  'SELECT * FROM (SELECT * FROM reading) x ORDER BY id LIMIT 2',
  'SELECT * FROM reading WHERE id = 1 UNION SELECT * FROM reading ORDER BY 1',
  'SELECT r.*, row_number() OVER (ORDER BY r.id) w FROM reading r ORDER BY r.id',
  'SELECT r.id, p.* FROM reading r JOIN place p ON p.id = r.id ORDER BY r.id',
]

const ofPlaces: readonly string[] = [
  'SELECT p.d, p.n FROM reading r JOIN place p ON p.id = r.id ORDER BY r.id',
  'SELECT p.d, count(*) n FROM reading r JOIN place p ON p.id = r.id GROUP BY p.d ORDER BY 1',
  'SELECT r.id, (SELECT max(p.d) FROM place p WHERE p.id = r.id) d FROM reading r ORDER BY 1',
  `SELECT r.id FROM reading r WHERE EXISTS (SELECT 1 FROM place p WHERE p.id = r.id AND p.d > '2020-05-05 00:00:00') ORDER BY 1`,
  'SELECT d FROM place UNION SELECT NULL FROM reading ORDER BY 1',
  'SELECT r.id, p.n FROM reading r LEFT JOIN place p ON p.n = r.id + 5000000000 ORDER BY 1',
]

/** What both sides give, or what they throw. */
async function outcome(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work()
  } catch (error) {
    const { message, code } = error as { message: string; code?: string }
    return { message, code }
  }
}

describe('what is known of tables', () => {
  let databases: FreshDatabases
  let sharded: ShardedDataSource
  let plain: DataSource
  const clients: Client[] = []

  /** On the nodes and the plain database, by sessions that are not the data sources'. */
  const alterByOthers = async (table: string, change: string): Promise<void> => {
    const [a, b, oracle] = clients
    await oracle?.query(`ALTER TABLE ${table} ${change}`)
    if (table === 'place') await a?.query(`ALTER TABLE place ${change}`)
    else
      for (const { name, node } of sharded.shards(Reading))
        await (node === 'a' ? a : b)?.query(`ALTER TABLE "${name}"."${table}" ${change}`)
  }
  const compare = async (texts: readonly string[]): Promise<void> => {
    for (const text of texts) {
      const expected = await outcome(() => plain.query(text))
      expect([text, await outcome(() => sharded.query(text))]).toEqual([text, expected])
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
    const [a = '', b = ''] = databases.nodes
    sharded = new ShardedDataSource({ type: 'postgres', entities, nodes: { a: { url: a }, b: { url: b } } })
    plain = new DataSource({ type: 'postgres', entities, url: databases.oracle })
    const rows = [1, 2, 3, 4, 5, 6].map((id) => ({ id, n: id, d: `2020-01-0${id}`, f: id / 3, t: `t${id}` }))
    for (const dataSource of [sharded, plain]) {
      await dataSource.initialize()
      await dataSource.synchronize(true)
      await dataSource.getRepository(Reading).insert(rows.map((row) => ({ ...row, level: 'low' as const })))
      await dataSource.getRepository(Place).insert(rows.map(({ id, n }) => ({ id, n, d: '2020-01-01' })))
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

  it('follows types that others have changed', async () => {
    const texts = [...['n', 'd', 'f', 't', 'level'].flatMap(ofColumn), ...['n', 'd', 'f', 't'].map(ofSubquery)]
    await compare(texts)
    await alterByOthers('reading', 'ALTER n TYPE bigint')
    await alterByOthers('reading', 'ALTER d TYPE timestamp')
    await alterByOthers('reading', 'ALTER f TYPE double precision')
    await alterByOthers('reading', 'ALTER t TYPE char(4)')
    await alterByOthers('reading', 'ALTER level TYPE text')
    for (const dataSource of [plain, sharded])
      await dataSource.query(
        `UPDATE reading SET n = 5000000000 + id, d = timestamp '2020-05-05 10:00' + id * interval '1 hour', f = id / 7.0::float8, level = 'z' || (9 - id)`,
      )
    await compare(texts)
    await alterByOthers('reading', 'ALTER n TYPE numeric(12, 2)')
    await compare(ofColumn('n'))
    await alterByOthers('reading', 'ALTER n TYPE text')
    await compare(ofColumn('n'))
  })

  it('follows columns that others have added and dropped', async () => {
    await compare(ofAllColumns)
    await alterByOthers('reading', 'ADD COLUMN extra int DEFAULT 5')
    await alterByOthers('place', 'ADD COLUMN extra int DEFAULT 4')
    await compare(ofAllColumns)
    await alterByOthers('reading', 'DROP COLUMN extra')
    await alterByOthers('place', 'DROP COLUMN extra')
    await alterByOthers('reading', 'DROP COLUMN n')
    await compare(ofAllColumns)
  })

  it('follows changes of unsharded tables beside shards, also by its own query()', async () => {
    await compare(ofPlaces)
    for (const dataSource of [plain, sharded]) {
      await dataSource.query('ALTER TABLE place ALTER d TYPE timestamp')
      await dataSource.query('ALTER TABLE place ALTER n TYPE bigint')
      await dataSource.query(
        `UPDATE place SET n = 5000000000 + id, d = timestamp '2020-05-05 10:00' + id * interval '1 hour'`,
      )
    }
    await compare(ofPlaces)
  })

  it('is seen at once by the transaction that has changed an unsharded table', async () => {
    const text = ofPlaces[1] ?? ''
    await compare([text])
    const change = (dataSource: DataSource) =>
      dataSource.transaction(async (manager) => {
        await manager.query('ALTER TABLE place ALTER d TYPE timestamp')
        await manager.query(`UPDATE place SET d = d + id * interval '1 hour'`)
        return manager.query(text)
      })
    expect(await change(sharded)).toEqual(await change(plain))
    await compare([text])
  })

  it('is refused to the transaction that has added a column', async () => {
    const join = (columns: string) => `SELECT ${columns} FROM reading r JOIN place p ON p.id = r.id ORDER BY r.id`
    await compare([join('p.*')])
    const added = (text: string) => (dataSource: DataSource) =>
      dataSource.transaction(async (manager) => {
        await manager.query('ALTER TABLE place ADD COLUMN extra int DEFAULT 4')
        return manager.query(text)
      })
    await expect(added(join('p.*'))(sharded)).rejects.toMatchObject({ code: 'PLAN_STALE' })
    await compare([join('p.*')])
  })

  it('follows columns of unsharded tables that are named', async () => {
    const named = 'SELECT r.id, p.n FROM reading r JOIN place p ON p.id = r.id ORDER BY r.id'
    const added = 'SELECT r.id, p.extra FROM reading r JOIN place p ON p.id = r.id ORDER BY r.id'
    await compare([named, added])
    await alterByOthers('place', 'ADD COLUMN extra int DEFAULT 4')
    await compare([named, added])
    await alterByOthers('place', 'DROP COLUMN d')
    await compare([named, added])
  })

  it('is what inserts mean that name no columns', async () => {
    const copy = 'INSERT INTO copied SELECT * FROM (SELECT id, n FROM copied) x ON CONFLICT DO NOTHING'
    const insert = (id: number, more = '') =>
      `INSERT INTO copied VALUES (${id}, 1${more}), (${id + 1}, 2${more}) RETURNING *`
    await compare([insert(1), copy])
    await alterByOthers('copied', 'ADD COLUMN extra int')
    await compare([insert(3), insert(5, ', 7'), 'SELECT * FROM copied ORDER BY id'])
    const all =
      'INSERT INTO copied SELECT * FROM copied c WHERE c.extra > $1 ON CONFLICT (id) DO UPDATE SET extra = excluded.extra + 1'
    await alterByOthers('copied', 'ADD COLUMN more int DEFAULT 3')
    for (const dataSource of [plain, sharded]) await dataSource.query(all, [0])
    await compare(['SELECT * FROM copied ORDER BY id'])
    await alterByOthers('copied', 'DROP COLUMN more')
    for (const dataSource of [plain, sharded]) await dataSource.query(all, [0])
    await compare(['SELECT * FROM copied ORDER BY id'])
  })

  it('ends one transaction, which may be repeated', async () => {
    const text = 'SELECT max(d) m FROM reading'
    const inTransaction = () => sharded.transaction((manager) => manager.query(text))
    await inTransaction()
    await alterByOthers('reading', 'ALTER d TYPE timestamp')
    await expect(inTransaction()).rejects.toMatchObject({ code: 'PLAN_STALE', labels: ['retryable', 'no-writes'] })
    expect(await inTransaction()).toEqual(await plain.query(text))
  })

  it('is followed by streams', async () => {
    const read = async () => {
      const rows: unknown[] = []
      const builder = sharded.getRepository(Reading).createQueryBuilder('r').select('r.d', 'd')
      for await (const row of await builder.orderBy('r.d').stream()) rows.push(row)
      return rows
    }
    await read()
    await alterByOthers('reading', `ALTER d TYPE timestamp USING d + interval '1 hour'`)
    expect(await read()).toEqual(await plain.query('SELECT d FROM reading ORDER BY d'))
  })

  it('is refused while the shards of a table differ', async () => {
    const texts = ['SELECT max(d) m FROM reading', 'SELECT * FROM reading ORDER BY id']
    await compare(texts)
    const last = sharded.shards(Reading).at(-1)
    const client = clients[last?.node === 'a' ? 0 : 1]
    await client?.query(`ALTER TABLE "${last?.name}".reading ALTER d TYPE timestamp, ADD COLUMN extra int`)
    for (const text of texts) await expect(sharded.query(text)).rejects.toMatchObject({ code: 'PLAN_STALE' })
  })

  it('does not matter to writes while the shards of a table differ, but in a transaction that gets rows of them', async () => {
    const shards = sharded.shards(Reading)
    const second = shards.find((one, index) => shards.findIndex(({ node }) => node === one.node) < index)
    const client = clients[second?.node === 'a' ? 0 : 1]
    for (const dataSource of [sharded, plain])
      await dataSource.getRepository(Copied).insert([1, 2, 3, 4, 5, 6].map((id) => ({ id, n: id })))
    await client?.query(`ALTER TABLE "${second?.name}".copied ALTER n TYPE bigint, ADD COLUMN extra int`)
    const write = 'UPDATE copied SET n = n + 1 WHERE id > 0'
    const affected = (text: string) => async (to: Pick<DataSource, 'query'>) => ((await to.query(text)) as unknown[])[1]
    for (const returning of ['', 'RETURNING id', 'RETURNING n', 'RETURNING *'])
      expect(await affected(`${write} ${returning}`)(sharded)).toBe(6)
    const values = (await sharded.getRepository(Copied).find({ order: { id: 'ASC' } })).map(({ n }) => Number(n))
    expect(values).toEqual([5, 6, 7, 8, 9, 10])
    await sharded.transaction(affected(`${write} RETURNING id`))
    const inTransaction = sharded.transaction(affected(`${write} RETURNING n`))
    await expect(inTransaction).rejects.toMatchObject({ code: 'PLAN_STALE' })
  })

  it('is asked anew after ten minutes, for collations', async () => {
    const asked: string[] = []
    sharded.onStatement(({ text }) => void (text.includes('pg_typeof') && asked.push(text)))
    const text = 'SELECT max(t) m FROM reading'
    await compare([text, text])
    expect(asked).toHaveLength(2)
    const now = Date.now()
    const clock = vi.spyOn(Date, 'now').mockReturnValue(now + 600_001)
    await compare([text, text])
    clock.mockRestore()
    expect(asked).toHaveLength(4)
  })

  it('is not asked anew for a mistake', async () => {
    await compare(ofAllColumns)
    const asked: string[] = []
    sharded.onStatement(({ text }) => void asked.push(text))
    await compare(['SELECT max(x) FROM reading', 'SELECT lowest(n) FROM reading'])
    const before = asked.length
    await compare(['SELECT max(n) FROM reading', 'SELECT max(n) FROM reading'])
    expect(asked.slice(before).filter((text) => text.includes('pg_typeof'))).toHaveLength(2)
  })
})
