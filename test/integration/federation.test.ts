import { Client } from 'pg'
import {
  Column,
  CreateDateColumn,
  DataSource,
  Entity,
  ManyToOne,
  PrimaryColumn,
  type Relation,
  VirtualColumn,
} from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, list, ReferenceTable, range, Sharded, ShardedDataSource, ShardKey, time } from '../../src/index'
import { queries } from '../parity/tpch/queries'
import { seed, tables } from '../parity/tpch/tables'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

/** Makes a coordinator of a database, and gives a connection that finds the tables by their own names. */
async function coordinatorOf(url: string, script: string): Promise<Client> {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query(`SET client_min_messages = warning; ${script}`)
  await client.query('SET search_path = federation, public')
  return client
}

const url = (databases: FreshDatabases, index: number): string => databases.nodes[index] ?? ''

describe('the queries of TPC-H by a coordinator', () => {
  let databases: FreshDatabases
  let plain: DataSource
  let sharded: ShardedDataSource
  const clients: Client[] = []
  beforeAll(async () => {
    databases = await createDatabases(3)
    plain = new DataSource({ type: 'postgres', url: databases.oracle, entities: [...tables], synchronize: true })
    sharded = new ShardedDataSource({
      type: 'postgres',
      entities: [...tables],
      nodes: { a: { url: url(databases, 0) }, b: { url: url(databases, 1) } },
      synchronize: true,
    })
    for (const dataSource of [plain, sharded]) await seed(await dataSource.initialize())
    const own = sharded.federation.sql(undefined, { passwords: true })
    const onNode = sharded.federation.sql('a', { passwords: true })
    clients.push(await coordinatorOf(url(databases, 2), own), await coordinatorOf(url(databases, 0), onNode))
  })
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.end()))
    for (const dataSource of [plain, sharded]) if (dataSource?.isInitialized) await dataSource.destroy()
    await databases?.drop()
  })

  it.each(Object.entries(queries))('%s', async (_, text) => {
    const expected: readonly object[] = await plain.query(text)
    for (const client of clients) expect((await client.query(text)).rows).toEqual(expected)
  })
})

const states = ['open', 'closed'] as const
type State = (typeof states)[number]

@Entity()
@ReferenceTable()
class Country {
  @PrimaryColumn('text') code!: string
  @Column('text') name!: string
}

@Entity({ schema: 'desk' })
class Setting {
  @PrimaryColumn('text') name!: string
  @Column('jsonb') value!: object
}

@Entity()
@Sharded(list({ shards: { eu: ['de', 'fr'], asia: ['cn'] }, otherwise: 'world' }))
class Shop {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('varchar', { length: 2 }) country!: string
  @ManyToOne(() => Country, { createForeignKeyConstraints: false }) origin!: Relation<Country> | null
  @Column('enum', { enum: states }) state!: State
  @Column('enum', { enum: states, array: true, default: [] }) states!: State[]
  @Column('numeric', { precision: 10, scale: 2, array: true, nullable: true }) prices!: string[] | null
}

@Entity()
@Sharded(time({ every: 'month', from: '2024-01', to: '2024-07', zone: 'Europe/Berlin' }))
class Entry {
  @PrimaryColumn('int') id!: number
  @ShardKey() @PrimaryColumn({ type: 'timestamptz' }) at!: Date
  @Column({ type: 'text', collation: 'C' }) text!: string
  @CreateDateColumn() made!: Date
}

@Entity()
@Sharded(range({ shards: { low: [null, 100], middle: [100, 1_000], high: [1_000, null] } }))
class Account {
  @ShardKey() @PrimaryColumn('bigint') id!: string
  @Column('enum', { enum: states }) state!: State
}

@Entity()
@Sharded(hash({ shards: 4 }), { group: 'people' })
class Person {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column({ type: 'citext' }) mail!: string
  @VirtualColumn({ query: (alias) => `SELECT length(${alias}.mail)` }) size!: number
}

const entities = [Country, Setting, Shop, Entry, Account, Person]

describe('a coordinator', () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource
  let own: Client
  let onNode: Client
  beforeAll(async () => {
    databases = await createDatabases(3)
    for (const node of databases.nodes) {
      const client = new Client({ connectionString: node })
      await client.connect()
      await client.query('CREATE SCHEMA desk; CREATE EXTENSION citext')
      await client.end()
    }
    dataSource = await new ShardedDataSource({
      type: 'postgres',
      entities,
      nodes: { a: { url: url(databases, 0) }, b: { url: url(databases, 1) } },
      layout: 'table',
      synchronize: true,
    }).initialize()
    const { manager } = dataSource
    const codes = ['de', 'fr', 'cn', 'br', 'us']
    await manager.insert(
      Country,
      codes.map((code) => ({ code, name: `name of ${code}` })),
    )
    await manager.insert(Setting, { name: 'theme', value: { dark: true } })
    await manager.insert(
      Shop,
      Array.from({ length: 20 }, (_, id) => ({
        id,
        country: codes[id % 5] ?? '',
        origin: id % 3 === 0 ? null : { code: codes[id % 4] ?? '' },
        state: id % 2 === 0 ? 'open' : 'closed',
        states: id % 4 === 0 ? ['closed', 'open'] : [],
        prices: id % 5 === 0 ? null : [`${id}.50`],
      })),
    )
    const at = (id: number) => new Date(Date.UTC(2024, id % 6, 1 + id))
    await manager.insert(
      Entry,
      Array.from({ length: 24 }, (_, id) => ({ id, at: at(id), text: `entry ${id}` })),
    )
    await manager.insert(
      Account,
      [-5, 0, 99, 100, 999, 1_000, 5_000].map((id) => ({ id: String(id), state: 'open' })),
    )
    await manager.insert(
      Person,
      Array.from({ length: 9 }, (_, id) => ({ id, mail: `P${id}@x.org` })),
    )
    own = await coordinatorOf(url(databases, 2), dataSource.federation.sql(undefined, { passwords: true }))
    onNode = await coordinatorOf(url(databases, 1), dataSource.federation.sql('b', { passwords: true }))
  })
  afterAll(async () => {
    await Promise.all([own, onNode].map((client) => client?.end()))
    if (dataSource?.isInitialized) await dataSource.destroy()
    await databases?.drop()
  })

  const scans = async (client: Client, text: string): Promise<number> => {
    const { rows } = await client.query(`EXPLAIN ${text}`)
    return rows.filter((row) => String(row['QUERY PLAN']).includes('Foreign Scan')).length
  }

  it.each([
    ['shop', 'SELECT * FROM shop ORDER BY id'],
    ['entry', 'SELECT * FROM entry ORDER BY id'],
    ['account', 'SELECT * FROM account ORDER BY id'],
    ['person', `SELECT * FROM person WHERE mail IN ('p3@x.org', 'p8@X.org') ORDER BY id`],
    ['country', 'SELECT * FROM country ORDER BY code'],
    [
      'all of them',
      `SELECT c.name, s.state, count(*)::int AS n FROM shop s JOIN country c ON c.code = s."originCode" LEFT JOIN person p ON p.id = s.id
       WHERE s.state > 'open' GROUP BY c.name, s.state ORDER BY 1, 2`,
    ],
  ])('has the rows of all shards: %s', async (_, text) => {
    const expected: readonly object[] = await dataSource.query(text)
    expect(expected).not.toEqual([])
    for (const client of [own, onNode]) expect((await client.query(text)).rows).toEqual(expected)
  })

  it('has the tables of other schemas, with the name of the schema', async () => {
    for (const client of [own, onNode])
      expect((await client.query('SELECT * FROM desk_setting')).rows).toEqual([
        { name: 'theme', value: { dark: true } },
      ])
  })

  it('asks only the shards of a list, of a range and of a time that can have rows', async () => {
    expect(await scans(own, 'SELECT * FROM shop')).toBe(3)
    expect(await scans(own, `SELECT * FROM shop WHERE country = 'cn'`)).toBe(1)
    expect(await scans(own, `SELECT * FROM shop WHERE country = 'br'`)).toBe(1)
    expect(await scans(own, 'SELECT * FROM account WHERE id BETWEEN 100 AND 200')).toBe(1)
    expect(await scans(own, `SELECT * FROM entry WHERE at < '2024-03-01T00:00:00+01:00'`)).toBe(2)
    // A hash of this package is none of PostgreSQL's.
    expect(await scans(own, 'SELECT * FROM person WHERE id = 3')).toBe(4)
  })

  it('reads rows of its own directly, where they are in no partition', async () => {
    const shards = dataSource.shards(Person).filter(({ node }) => node !== 'b').length
    expect(await scans(onNode, 'SELECT * FROM person')).toBe(shards)
    expect(await scans(onNode, 'SELECT * FROM country')).toBe(0)
    expect(await scans(onNode, 'SELECT * FROM desk_setting')).toBe(1)
  })

  it('is made anew by running the script again, and keeps what others have built upon it', async () => {
    const script = dataSource.federation.sql(undefined, { passwords: true })
    await own.query(`RESET search_path; SET client_min_messages = warning; ${script}`)
    await own.query('CREATE VIEW public.rich AS SELECT * FROM federation.account WHERE id > 999')
    await expect(own.query(script)).rejects.toMatchObject({ code: '2BP01' })
    await own.query('ROLLBACK')
    expect((await own.query('SELECT count(*)::int AS n FROM public.rich')).rows).toEqual([{ n: 2 }])
    await own.query('DROP VIEW public.rich')
  })

  it('has its address and no password, unless it is asked for', () => {
    const { password, port } = new URL(url(databases, 0))
    const script = dataSource.federation.sql()
    expect(script).toContain(`port '${port}'`)
    expect(script).not.toContain(`password '${password}'`)
    expect(script).toContain(`-- ALTER USER MAPPING FOR CURRENT_USER SERVER "federation_a" OPTIONS (ADD password '…');`)
    expect(dataSource.federation.sql('a', { schema: 'bi' })).toContain('CREATE SCHEMA IF NOT EXISTS "bi_parts"')
  })

  it('is refused on a node that does not exist', () => {
    expect(() => dataSource.federation.sql('z')).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }))
  })
})
