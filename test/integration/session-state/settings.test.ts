import { Client } from 'pg'
import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, type ShardedDataSourceOptions, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 6 }))
class Reading {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('double precision')
  f!: number

  @Column('timestamptz')
  at!: Date

  @Column('date')
  day!: string

  @Column('interval')
  span!: unknown

  @Column('bytea')
  bytes!: Buffer
}

const rows = Array.from({ length: 24 }, (_, id) => ({
  id,
  f: 0.1 + id * 1e-17 * 3,
  at: new Date(Date.UTC(2024, 1, 1 + (id % 3), (id * 5) % 24)),
  day: `2024-02-0${1 + (id % 7)}`,
  span: `-1 day ${id}:00:00`,
  bytes: Buffer.from([id, 92, 0]),
}))

/** Each node says something else, and none what values need; the home node's zone is the oracle's too. */
const ofNodes = [
  {
    TimeZone: 'Asia/Tokyo',
    DateStyle: 'German',
    IntervalStyle: 'postgres',
    extra_float_digits: '0',
    bytea_output: 'hex',
  },
  {
    TimeZone: 'America/New_York',
    DateStyle: 'SQL, DMY',
    IntervalStyle: 'sql_standard',
    extra_float_digits: '-3',
    bytea_output: 'escape',
    array_nulls: 'off',
    standard_conforming_strings: 'off',
    search_path: 'pg_catalog',
  },
] as const

describe('nodes with unlike settings', () => {
  let databases: FreshDatabases
  let plain: DataSource
  let sharded: ShardedDataSource
  const warnings: string[] = []
  const opened: DataSource[] = []
  const open = async (options: Partial<ShardedDataSourceOptions> = {}): Promise<ShardedDataSource> => {
    const [a = '', b = ''] = databases.nodes
    const logger = new Proxy(
      {},
      { get: (_, name) => (level: string, text: string) => name === 'log' && level === 'warn' && warnings.push(text) },
    )
    const dataSource = new ShardedDataSource({
      type: 'postgres',
      entities: [Reading],
      nodes: { a: { url: a }, b: { url: b } },
      logger: logger as never,
      ...options,
    })
    opened.push(dataSource)
    return dataSource.initialize()
  }
  /** What the shards' own sessions say; a statement over shards would carry one answer to all. */
  const settings = async (dataSource: ShardedDataSource, name: string): Promise<unknown> => {
    const ask = (shard: string) => dataSource.shard(shard).query('SELECT current_setting($1) AS v', [name])
    const values = (await Promise.all(dataSource.shards().map((shard) => ask(shard.name)))).flat()
    return [...new Set(values.map(({ v }: { v: string }) => v))].map((v) => ({ v }))
  }

  beforeAll(async () => {
    databases = await createDatabases(2)
    for (const [index, url] of [...databases.nodes, databases.oracle].entries()) {
      const client = new Client({ connectionString: url })
      await client.connect()
      const given: Readonly<Record<string, string>> = ofNodes[index] ?? { TimeZone: ofNodes[0].TimeZone }
      for (const [name, value] of Object.entries(given))
        await client.query(
          `ALTER DATABASE "${new URL(url).pathname.slice(1)}" SET ${name} = ${client.escapeLiteral(value)}`,
        )
      await client.end()
    }
    plain = await new DataSource({ type: 'postgres', url: databases.oracle, entities: [Reading] }).initialize()
    opened.push(plain)
    sharded = await open()
    for (const dataSource of [plain, sharded]) {
      await dataSource.synchronize()
      await dataSource.getRepository(Reading).insert(rows as never)
    }
  })
  afterAll(async () => {
    for (const dataSource of opened) if (dataSource.isInitialized) await dataSource.destroy()
    await databases.drop()
  })

  it.each([
    ['order by a float', (d: DataSource) => d.getRepository(Reading).find({ order: { f: 'DESC', id: 'ASC' } })],
    [
      'order by an instant',
      (d: DataSource) => d.getRepository(Reading).find({ order: { at: 'ASC', id: 'ASC' }, take: 9 }),
    ],
    ['order by an interval', (d: DataSource) => d.getRepository(Reading).find({ order: { span: 'ASC' } })],
    [
      'find by a date',
      (d: DataSource) => d.getRepository(Reading).find({ where: { day: '2024-02-03' }, order: { id: 'ASC' } }),
    ],
    [
      'find by an instant',
      (d: DataSource) => d.getRepository(Reading).find({ where: { at: rows[4]?.at as Date }, order: { id: 'ASC' } }),
    ],
    ['count floats', (d: DataSource) => d.query('SELECT count(DISTINCT f)::int AS n FROM reading')],
    ['sum floats', (d: DataSource) => d.query('SELECT max(f) AS x, min(f) AS y FROM reading')],
    ['group by a float', (d: DataSource) => d.query('SELECT f, count(*)::int AS n FROM reading GROUP BY f ORDER BY f')],
    [
      'group by a day',
      (d: DataSource) =>
        d.query(`SELECT date_trunc('day', at) AS day, count(*)::int AS n FROM reading GROUP BY 1 ORDER BY 1`),
    ],
    [
      'dates and instants as texts',
      (d: DataSource) =>
        d.query('SELECT id, at::text, day::text, span::text, f::text FROM reading WHERE id < 9 ORDER BY id'),
    ],
    ['a day of an instant', (d: DataSource) => d.query('SELECT id, at::date::text AS day FROM reading ORDER BY id')],
    [
      'bytes and lists with NULL',
      (d: DataSource) =>
        d.query(`SELECT id, bytes, bytes::text AS t, '{NULL,1}'::int[] AS list, 'a\\b' AS s FROM reading ORDER BY id`),
    ],
  ] as const)('%s as one database does', async (_, read) => {
    // Floats by 15 digits are what the nodes would write, and not the oracle.
    expect(await read(sharded)).toEqual(await read(plain))
  })

  it('have what the home node has by itself, but for what values need, and the log says where a node differs', async () => {
    expect(await settings(sharded, 'TimeZone')).toEqual([{ v: 'Asia/Tokyo' }])
    expect(await settings(sharded, 'DateStyle')).toEqual([{ v: 'ISO, DMY' }])
    expect(await settings(sharded, 'IntervalStyle')).toEqual([{ v: 'postgres' }])
    expect(await settings(sharded, 'extra_float_digits')).toEqual([{ v: '1' }])
    expect(await settings(sharded, 'search_path')).toEqual([{ v: '"$user", public' }])
    expect(warnings).toContain(
      'Node b has timezone "America/New_York" by itself; its connections are given "Asia/Tokyo", as all have it.',
    )
  })

  it('have what the option names, beside options of pg and of URLs', async () => {
    const [a = '', b = ''] = databases.nodes
    const dataSource = await open({
      session: { TimeZone: 'Europe/Berlin', 'app.shop': `o'hara \\ "x"` },
      extra: { options: '-c work_mem=8MB -c extra_float_digits=0' },
      nodes: { a: { url: a }, b: { url: `${b}?options=-c%20work_mem%3D9MB` } },
      parseInt8: true,
    })
    expect(await settings(dataSource, 'TimeZone')).toEqual([{ v: 'Europe/Berlin' }])
    expect(await settings(dataSource, 'app.shop')).toEqual([{ v: `o'hara \\ "x"` }])
    expect(await settings(dataSource, 'extra_float_digits')).toEqual([{ v: '1' }])
    const shards = new Map(dataSource.shards().map(({ name, node }) => [node, name]))
    const memoryOf = (node: string) => dataSource.shard(shards.get(node) ?? '').query('SHOW work_mem')
    expect([await memoryOf('a'), await memoryOf('b')]).toEqual([[{ work_mem: '8MB' }], [{ work_mem: '9MB' }]])
    expect(await dataSource.query('SELECT 1::int8 AS n')).toEqual([{ n: 1 }])
    const runner = dataSource.createQueryRunner()
    await runner.query("SET TimeZone = 'UTC'")
    await runner.query('RESET ALL')
    expect(await runner.query('SHOW TimeZone')).toEqual([{ TimeZone: 'Europe/Berlin' }])
    await runner.release()
  })

  it('are gone after DISCARD ALL on the nodes that join later too', async () => {
    const runner = (await open()).createQueryRunner()
    await runner.query("SET TimeZone = 'UTC'")
    await runner.query('DISCARD ALL')
    await runner.startTransaction()
    const hours = await runner.query(
      `SELECT DISTINCT to_char(at, 'HH24') AS hour FROM reading WHERE at = '2024-02-01 00:00+00'`,
    )
    await runner.rollbackTransaction()
    await runner.release()
    expect(hours).toEqual([{ hour: '09' }])
  })

  it.each([
    { session: { DateStyle: 'German' } },
    { session: { extra_float_digits: '0' } },
    { session: { 'a b': '1' } },
    { session: { TimeZone: 7 as never } },
  ])('are not given %j', (options) => {
    const nodes = { a: { url: databases.nodes[0] ?? '' } }
    expect(() => new ShardedDataSource({ type: 'postgres', entities: [], nodes, ...options })).toThrow(
      expect.objectContaining({ code: 'OPTIONS_INVALID' }),
    )
  })

  it('and unlike encodings are told of at start', async () => {
    const [a = ''] = databases.nodes
    const admin = new Client({ connectionString: a })
    await admin.connect()
    const database = `${new URL(a).pathname.slice(1)}_latin1`
    await admin.query(
      `CREATE DATABASE "${database}" ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0`,
    )
    const latin = new URL(a)
    latin.pathname = `/${database}`
    warnings.length = 0
    try {
      const dataSource = await open({ entities: [], nodes: { a: { url: a }, latin: { url: latin.href } } })
      expect(warnings.filter((text) => text.includes('encoded in'))).toEqual([
        'Node latin is encoded in LATIN1, and the home node a in UTF8: text that one of them cannot hold is refused there (22P05).',
      ])
      await dataSource.destroy()
    } finally {
      await admin.query(`DROP DATABASE IF EXISTS "${database}" WITH (FORCE)`)
      await admin.end()
    }
  })
})
