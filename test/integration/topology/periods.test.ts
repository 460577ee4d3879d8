import { Client } from 'pg'
import { Column, Entity, PrimaryColumn } from 'typeorm'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  GlobalUnique,
  hash,
  Sharded,
  ShardedDataSource,
  type ShardedDataSourceOptions,
  type ShardingFunction,
  ShardKey,
  time,
} from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

const year = new Date().getUTCFullYear()
const labels = (...years: readonly number[]): readonly string[] => years.map((one) => `happening_${one}`)
const later = (years: number): Date => new Date(Date.UTC(year + years, 5, 1))

@Entity()
@Sharded(time({ every: 'year', from: '2000', ahead: 1, keep: 2 }))
class Happening {
  @PrimaryColumn('int') id!: number
  @ShardKey() @PrimaryColumn('date') day!: string
  @Column('enum', { enum: ['new', 'seen'], default: 'new' }) state!: string
}

@Entity()
@Sharded(time({ every: 'year', from: '2000', ahead: 1, keep: 2 }))
class Ticket {
  @PrimaryColumn('int') id!: number
  @ShardKey() @PrimaryColumn('date') day!: string
  @GlobalUnique() @Column('text') code!: string
}

const happenings = [year - 2, year - 1, year, year + 1].map((one, id) => ({ id, day: `${one}-03-01` }))

describe.each(['schema', 'table'] as const)('shards of periods, in the layout %s', (layout) => {
  let databases: FreshDatabases
  const sources: ShardedDataSource[] = []

  const start = async (options: Partial<ShardedDataSourceOptions> = {}): Promise<ShardedDataSource> => {
    const [a = '', b = ''] = databases.nodes
    const dataSource = await new ShardedDataSource({
      type: 'postgres',
      entities: [Happening],
      nodes: { a: { url: a }, b: { url: b } },
      layout,
      ...options,
    }).initialize()
    sources.push(dataSource)
    return dataSource
  }
  const by = (shards: ShardingFunction) => ({ groups: { happening: { shards } } })
  const namesOf = (dataSource: ShardedDataSource) => dataSource.shards(Happening).map(({ name }) => name)
  const daysOf = async (dataSource: ShardedDataSource) =>
    (await dataSource.getRepository(Happening).find({ order: { day: 'ASC' } })).map(({ day }) => day)

  /** What is on the servers of a period, whoever knows of it. */
  const objectsOf = async (label: number): Promise<number> => {
    let found = 0
    for (const connectionString of databases.nodes) {
      const client = new Client({ connectionString })
      await client.connect()
      const { rows } = await client.query(
        `SELECT (SELECT count(*) FROM pg_namespace WHERE nspname LIKE $1) + (SELECT count(*) FROM pg_class WHERE relname LIKE $1 AND relkind = 'r')
           + (SELECT count(*) FROM pg_type WHERE typname LIKE $1 AND typtype = 'e') AS n`,
        [`happening_${label}%`],
      )
      found += Number(rows[0].n)
      await client.end()
    }
    return found
  }

  beforeEach(async () => {
    databases = await createDatabases(2)
  })
  afterEach(async () => {
    for (const dataSource of sources.splice(0)) await dataSource.destroy()
    await databases.drop()
  })

  it('come and go with time, and all processes know of it', { timeout: 60_000 }, async () => {
    const one = await start({ synchronize: true })
    const other = await start()
    await one.getRepository(Happening).insert(happenings)
    expect(namesOf(one)).toEqual(labels(year - 2, year - 1, year, year + 1))
    expect(await one.syncTopology()).toEqual({ added: [], dropped: [], detached: [], kept: [] })

    const next = { id: 9, day: `${year + 2}-03-01` }
    await expect(other.getRepository(Happening).insert(next)).rejects.toMatchObject({ code: 'KEY_NOT_OWNED' })
    const { epoch } = one.shardMap
    expect(await one.syncTopology({ now: later(1) })).toEqual({
      added: labels(year + 2),
      dropped: labels(year - 2),
      detached: [],
      kept: [],
    })
    expect(one.shardMap.epoch).toBe(epoch + 2)
    expect(namesOf(one)).toEqual(labels(year - 1, year, year + 1, year + 2))
    expect(await objectsOf(year - 2)).toBe(0)
    await vi.waitFor(() => expect(namesOf(other)).toEqual(namesOf(one)), 5_000)
    await other.getRepository(Happening).insert(next)
    const kept = [...happenings.slice(1).map(({ day }) => day), next.day]
    for (const dataSource of [one, other, await start()]) {
      expect(await daysOf(dataSource)).toEqual(kept)
      expect(await dataSource.query('SELECT count(*)::int AS n FROM happening')).toEqual([{ n: 4 }])
      expect(await dataSource.getRepository(Happening).findOneBy({ day: next.day })).toMatchObject({
        ...next,
        state: 'new',
      })
      await expect(dataSource.getRepository(Happening).insert(happenings.slice(0, 1))).rejects.toMatchObject({
        code: 'KEY_NOT_OWNED',
      })
    }
    await one.synchronize()
    expect(await daysOf(one)).toEqual(kept)
  })

  it('are made once by processes at the same time', async () => {
    const one = await start({ synchronize: true })
    const other = await start()
    const changes = await Promise.all([one, other, one, other].map((source) => source.syncTopology({ now: later(3) })))
    expect(changes.flatMap(({ added }) => added)).toEqual(labels(year + 2, year + 3, year + 4))
    expect(changes.flatMap(({ dropped }) => dropped).sort()).toEqual(labels(year - 2, year - 1, year))
    for (const source of [one, other]) expect(namesOf(source)).toEqual(labels(year + 1, year + 2, year + 3, year + 4))
  })

  it('are not dropped while they are read, and then they are', { timeout: 60_000 }, async () => {
    const one = await start({ synchronize: true })
    await one.getRepository(Happening).insert(happenings)
    const runner = one.createQueryRunner()
    await runner.startTransaction()
    expect(await runner.manager.findBy(Happening, { day: `${year - 2}-03-01` })).toHaveLength(1)
    const kept = [{ shard: `happening_${year - 2}`, reason: 'a transaction or a stream has it open' }]
    expect(await one.syncTopology({ now: later(1) })).toMatchObject({ dropped: [], kept })
    expect(await runner.query('SELECT 1 AS n')).toEqual([{ n: 1 }])
    await runner.commitTransaction()
    await runner.release()
    expect(await daysOf(one)).toEqual(happenings.slice(1).map(({ day }) => day))

    // More than a cursor fetches at once.
    const many = Array.from({ length: 4_000 }, (_, id) => ({ id: 100 + id, day: `${year - 1}-04-01` }))
    await one.getRepository(Happening).insert(many)
    let read = 0
    for await (const { id } of one.getRepository(Happening).stream({ order: { id: 'DESC' } })) {
      if (read++ > 0) continue
      expect(id).toBe(100 + many.length - 1)
      expect(await one.syncTopology({ now: later(2) })).toMatchObject({
        dropped: labels(year - 2),
        kept: [{ shard: `happening_${year - 1}`, reason: 'a transaction or a stream has it open' }],
      })
    }
    expect(read).toBe(many.length + 3)
    expect((await one.syncTopology({ now: later(2) })).dropped).toEqual(labels(year - 1))
    expect(await objectsOf(year - 1)).toBe(0)
  })

  it('are detached where this is wanted, and then are nobody’s but the user’s', async () => {
    const detaching = by(time({ every: 'year', from: '2000', ahead: 1, keep: 2, expiry: 'detach' }))
    const one = await start({ synchronize: true, ...detaching })
    await one.getRepository(Happening).insert(happenings)
    const before = await objectsOf(year - 2)
    expect(await one.syncTopology({ now: later(1) })).toMatchObject({
      dropped: [],
      detached: labels(year - 2),
      kept: [],
    })
    expect(await daysOf(one)).toEqual(happenings.slice(1).map(({ day }) => day))
    const dropping = await start()
    expect(await dropping.syncTopology({ now: later(1) })).toEqual({ added: [], dropped: [], detached: [], kept: [] })
    expect(await objectsOf(year - 2)).toBe(before)
  })

  it('go on from periods with an end, by synchronize and by the timer', async () => {
    const fixed = await start({
      synchronize: true,
      ...by(time({ every: 'year', from: `${year - 1}`, to: `${year + 1}` })),
    })
    await fixed.getRepository(Happening).insert(happenings.slice(1, 3))
    const rolling = await start({ synchronize: true })
    expect(namesOf(rolling)).toEqual(labels(year - 1, year, year + 1))
    expect(await daysOf(rolling)).toEqual(happenings.slice(1, 3).map(({ day }) => day))
    const ahead = await start(by(time({ every: 'year', from: '2000', ahead: 3 })))
    await vi.waitFor(() => expect(namesOf(ahead)).toEqual(labels(year - 1, year, year + 1, year + 2, year + 3)), 5_000)
    await ahead.getRepository(Happening).insert({ id: 5, day: `${year + 3}-01-01` })
    await vi.waitFor(() => expect(namesOf(rolling)).toEqual(namesOf(ahead)), 5_000)
  })

  it('stay where lookups are kept of their rows', async () => {
    const one = await start({
      entities: [Happening, Ticket],
      synchronize: true,
      groups: { ticket_code_lookup: { shards: hash({ shards: 2 }) } },
    })
    await one.getRepository(Ticket).insert({ id: 1, day: `${year - 2}-01-01`, code: 'x' })
    const { kept, dropped, added } = await one.syncTopology({ now: later(1) })
    expect(added).toEqual([...labels(year + 2), `ticket_${year + 2}`])
    expect(dropped).toEqual(labels(year - 2))
    expect(kept).toMatchObject([{ shard: `ticket_${year - 2}`, reason: expect.stringContaining('lookups') }])
    expect(await one.getRepository(Ticket).findOneBy({ code: 'x' })).toMatchObject({ id: 1 })
    await expect(start({ entities: [Ticket] })).rejects.toMatchObject({ code: 'LOOKUP_INVALID' })
  })
})

it('cannot be synchronised before the start', async () => {
  const dataSource = new ShardedDataSource({
    type: 'postgres',
    entities: [Happening],
    nodes: { a: { url: 'postgres://localhost' } },
  })
  await expect(dataSource.syncTopology()).rejects.toThrow('connection')
})
