import { Client } from 'pg'
import { EntitySchema, MoreThan } from 'typeorm'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { readCities } from '../../../examples/demo/read-cities'
import { hash, ShardedDataSource, shardedSchema } from '../../../src/index'
import { type FreshDatabases, freshDatabases } from '../../support/fresh-databases'
import { libcCollations, wantedLocales } from '../../support/locales'
import { isWhole } from '../../support/share-of'

const madeCollations = `
  CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
  CREATE COLLATION numeric_icu (provider = icu, locale = 'en-u-kn-true');`

/** A column of the name for each collation: those of libc are there where the machine has the locale. */
const collations: Readonly<Record<string, string>> = {
  c: 'C',
  sv_icu: 'sv-x-icu',
  nocase: 'nocase',
  numeric_icu: 'numeric_icu',
  ...Object.fromEntries(wantedLocales.map((locale) => [locale, `libc ${locale}`])),
}

interface City {
  readonly id: number
  readonly [name: string]: unknown
}

/** All of them in `.ci/run`, every tenth in `npm test`. */
const step = isWhole ? 1 : 10
const pageSize = 20_000 / step

const schemaOf = (columns: readonly string[]) =>
  shardedSchema(
    new EntitySchema<City>({
      name: 'city',
      columns: {
        id: { type: 'int', primary: true },
        ...Object.fromEntries(columns.map((name) => [name, { type: 'text', collation: collations[name] }] as const)),
      },
    }),
    { by: hash({ shards: 8 }), shardKey: ['id'] },
  )

describe(`the names of ${isWhole ? '135,000' : '13,500'} cities`, () => {
  const cities = readCities(Number.POSITIVE_INFINITY).filter((_, index) => index % step === 0)
  const nameOf = new Map(cities.map(({ id, name }) => [id, name]))
  let databases: FreshDatabases
  let oracle: Client
  let sharded: ShardedDataSource
  let present: readonly string[] = []

  beforeAll(async () => {
    databases = await freshDatabases(inject('adminUrls'), 2)
    const clients = await Promise.all([...databases.nodes, databases.oracle].map(connect))
    const found = await Promise.all(
      clients.map(async (client) => {
        await client.query(madeCollations)
        return libcCollations(client)
      }),
    )
    present = Object.keys(collations).filter(
      (name) => !wantedLocales.some((locale) => locale === name && !found.every((one) => one.has(locale))),
    )
    const [a = '', b = ''] = databases.nodes
    sharded = await new ShardedDataSource({
      type: 'postgres',
      entities: [schemaOf(present)],
      nodes: { a: { url: a }, b: { url: b } },
      synchronize: true,
    }).initialize()
    oracle = clients[2] ?? clients[0] ?? new Client()
    await Promise.all(clients.slice(0, 2).map((client) => client.end()))
    await fill()
  }, 120_000)
  afterAll(async () => {
    if (sharded?.isInitialized) await sharded.destroy()
    await oracle?.end()
    await databases?.drop()
  })

  const fill = async (): Promise<void> => {
    const columns = present.map(() => 'n').join(', ')
    await oracle.query('CREATE TABLE city AS SELECT * FROM unnest($1::int[], $2::text[]) AS t(id, n)', [
      cities.map(({ id }) => id),
      cities.map(({ name }) => name),
    ])
    const ids = new Map<string, number[]>()
    for (const { id } of cities) {
      const { shard } = sharded.locate('city', id)
      const list = ids.get(shard)
      if (list) list.push(id)
      else ids.set(shard, [id])
    }
    for (const [shard, own] of ids)
      await sharded
        .shard(shard)
        .query(`INSERT INTO "__shard__"."city" SELECT id, ${columns} FROM unnest($1::int[], $2::text[]) AS t(id, n)`, [
          own,
          own.map((id) => nameOf.get(id)),
        ])
  }

  /** The ids in the order of one database. */
  const expectedOf = async (column: string, direction: 'ASC' | 'DESC'): Promise<readonly number[]> => {
    const order = `n COLLATE "${collations[column]}" ${direction}, id ${direction}`
    const { rows } = await oracle.query({ text: `SELECT id FROM city ORDER BY ${order}`, rowMode: 'array' })
    return rows.map(([id]) => id)
  }

  /** Pages by the last row seen: every page costs what it holds. */
  const pagesOf = async (column: string): Promise<readonly City[]> => {
    const rows: City[] = []
    for (;;) {
      const last = rows.at(-1)
      const after = last && [{ [column]: MoreThan(last[column]) }, { [column]: last[column], id: MoreThan(last.id) }]
      const page = await sharded.getRepository<City>('city').find({
        select: { id: true, [column]: true },
        order: { [column]: 'ASC', id: 'ASC' },
        take: pageSize,
        ...(after && { where: after as never }),
      })
      rows.push(...page)
      if (page.length < pageSize) return rows
    }
  }

  it('are more than one page, and of a collation at least C, ICU and one that is not deterministic', () => {
    expect(cities.length).toBeGreaterThan(130_000 / step)
    expect(present).toEqual(expect.arrayContaining(['c', 'sv_icu', 'nocase', 'numeric_icu']))
    console.info(`collations: ${present.map((name) => collations[name]).join(', ')}`)
  })

  it.each(Object.keys(collations))(
    'come in the order of one database: %s',
    async (column) => {
      if (!present.includes(column)) return expect(process.env['CI']).toBeUndefined()
      const expected = await expectedOf(column, 'ASC')
      const rows = await pagesOf(column)
      expect(rows.length).toBe(expected.length)
      expect(rows.findIndex((row, index) => row.id !== expected[index] || row[column] !== nameOf.get(row.id))).toBe(-1)
    },
    120_000,
  )

  it.each(Object.keys(collations))(
    'come by skip and take as by one database: %s',
    async (column) => {
      if (!present.includes(column)) return expect(process.env['CI']).toBeUndefined()
      const expected = await expectedOf(column, 'DESC')
      for (const [skip, take] of [
        [0, 20],
        [700, 100],
        [9_000, 2_000],
      ] as const) {
        const page = await sharded.getRepository<City>('city').find({
          select: { id: true, [column]: true },
          order: { [column]: 'DESC', id: 'DESC' },
          skip,
          take,
        })
        expect(page.map(({ id }) => id)).toEqual(expected.slice(skip, skip + take))
      }
    },
    120_000,
  )
})

const connect = async (connectionString: string): Promise<Client> => {
  const client = new Client({ connectionString })
  await client.connect()
  return client
}
