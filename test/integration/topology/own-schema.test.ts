import { Client } from 'pg'
import { Column, Entity, PrimaryColumn } from 'typeorm'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  hash,
  Sharded,
  ShardedDataSource,
  type ShardedDataSourceOptions,
  ShardedId,
  ShardKey,
} from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 4 }))
class Ticket {
  @PrimaryColumn('bigint')
  @ShardedId('64-bit')
  id!: string

  @ShardKey()
  @PrimaryColumn('int')
  eventId!: number
}

@Entity()
@Sharded({ colocatedWith: () => Ticket })
class Seat {
  @PrimaryColumn('int')
  @ShardedId('sequence')
  id!: number

  @ShardKey()
  @Column('int')
  eventId!: number
}

@Entity()
@Sharded(hash({ shards: 2 }), { group: 'sharding' })
class Clash {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number
}

/** The tables of the version before, by what they are called now. */
const former = {
  nodes: 'sharding_node',
  groups: 'sharding_group',
  epochs: 'sharding_epoch',
  decisions: 'sharding_decision',
  workers: 'sharding_worker',
  sequences: 'sharding_sequence',
}

describe("the schema of this package's tables", () => {
  const made: FreshDatabases[] = []
  let databases: FreshDatabases
  const opened: ShardedDataSource[] = []
  const url = (index: number): string => databases.nodes[index] ?? ''

  beforeEach(async () => {
    databases = await createDatabases(2)
    made.push(databases)
  })
  afterEach(async () => {
    for (const one of opened.splice(0)) if (one.isInitialized) await one.destroy()
  })
  afterAll(async () => {
    for (const one of made) await one.drop()
  })

  const start = async (options: Partial<ShardedDataSourceOptions> = {}): Promise<ShardedDataSource> => {
    const dataSource = new ShardedDataSource({
      type: 'postgres',
      entities: [Ticket, Seat],
      nodes: { a: { url: url(0) }, b: { url: url(1) } },
      ...options,
    })
    opened.push(dataSource)
    return dataSource.initialize()
  }
  const onNode = async <T>(index: number, text: string): Promise<T[]> => {
    const client = new Client({ connectionString: url(index) })
    await client.connect()
    try {
      return (await client.query(text)).rows as T[]
    } finally {
      await client.end()
    }
  }
  const failure = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'none',
      (error: unknown) => String(error),
    )
  const namesIn = async (index: number, schema: string): Promise<readonly string[]> => {
    const rows = await onNode<{ name: string }>(
      index,
      `SELECT relname AS name FROM pg_class WHERE relnamespace = to_regnamespace('${schema}') AND relkind = 'r' ORDER BY 1`,
    )
    return rows.map(({ name }) => name)
  }

  it('has them all, and takes over those of the version before, whose processes are refused', async () => {
    const dataSource = await start()
    await dataSource.synchronize()
    const tickets = dataSource.getRepository(Ticket)
    const before = await tickets.save([{ eventId: 1 }, { eventId: 2 }])
    await dataSource.getRepository(Seat).save({ eventId: 1 })
    const identities = await Promise.all([0, 1].map((index) => onNode(index, 'SELECT id FROM sharding.nodes')))
    await dataSource.destroy()
    expect(await namesIn(0, 'public')).toEqual([])
    expect(await namesIn(0, 'sharding')).toEqual([
      'databases',
      'decisions',
      'epochs',
      'groups',
      'nodes',
      'processes',
      'sequences',
      'workers',
    ])
    for (const index of [0, 1]) {
      for (const [now, old] of Object.entries(former))
        await onNode(index, `ALTER TABLE IF EXISTS sharding.${now} RENAME TO ${old}`)
      for (const old of Object.values(former))
        await onNode(index, `ALTER TABLE IF EXISTS sharding.${old} SET SCHEMA public`)
      await onNode(index, 'DROP SCHEMA sharding CASCADE')
    }
    const [first, second] = await Promise.all([start({ nodes: { b: { url: url(1) }, a: { url: url(0) } } }), start()])
    expect(first?.shardMap.home).toBe('a')
    expect(await Promise.all([0, 1].map((index) => onNode(index, 'SELECT id FROM sharding.nodes')))).toEqual(identities)
    expect(await first?.getRepository(Ticket).find({ order: { eventId: 'ASC' } })).toEqual(before)
    const { id } = (await second?.getRepository(Seat).save({ eventId: 3 })) ?? {}
    expect(id).toBeGreaterThan(1_000)
    const refused = 'this process is of an earlier version, end it and start it with the present one'
    for (const text of [
      'SELECT n.id FROM sharding_node n',
      'SELECT max(epoch) FROM sharding_epoch',
      `INSERT INTO sharding_decision (id, participants) VALUES ('a', '{}')`,
      `INSERT INTO sharding_worker (kind, worker) VALUES ('64-bit', -1) ON CONFLICT DO NOTHING`,
      `UPDATE sharding_worker SET holder = NULL`,
      `INSERT INTO sharding_sequence AS s (name, next_value) VALUES ('ticket', 1) ON CONFLICT (name) DO UPDATE SET next_value = s.next_value + 1`,
      'DELETE FROM sharding_group',
    ])
      expect(await failure(onNode(0, text))).toContain(refused)
  })

  it('is another for each cluster that uses the databases, and one forgets nothing of the others', async () => {
    const mine = await start()
    await mine.synchronize()
    await mine.getRepository(Ticket).save({ eventId: 1 })
    // The same group in other tables, which lie otherwise.
    const theirs = await start({
      cluster: 'reports',
      groups: { ticket: { shards: hash({ shards: 3 }), layout: 'table' } },
    })
    await theirs.synchronize()
    await theirs.getRepository(Ticket).save({ eventId: 1 })
    expect(theirs.shards()).toHaveLength(3)
    await theirs.dropDatabase()
    expect(await onNode(1, 'SELECT name FROM sharding_reports.groups')).toEqual([])
    expect(await onNode(1, 'SELECT name FROM sharding.groups')).toEqual([{ name: 'ticket' }])
    const again = await start()
    expect(again.shards()).toHaveLength(4)
    expect(await again.getRepository(Ticket).count()).toBe(1)
    expect(await failure(start({ cluster: 'No' }))).toContain('OPTIONS_INVALID')
    expect(await failure(start({ entities: [Clash], cluster: '00' }))).toContain('NAME_INVALID')
  })

  it('is wanted of a role that may make none in words that say how', async () => {
    const role = `visitor_${Date.now()}`
    // Both may be of one server.
    for (const index of [0, 1])
      await onNode(index, `CREATE ROLE ${role} LOGIN PASSWORD 'visitor'`).catch(() => undefined)
    const visitor = (index: number) => {
      const changed = new URL(url(index))
      Object.assign(changed, { username: role, password: 'visitor' })
      return { url: changed.href }
    }
    const nodes = { a: visitor(0), b: visitor(1) }
    const database = new URL(url(0)).pathname.slice(1)
    expect(await failure(start({ nodes, transactions: 'best-effort' }))).toMatch(
      new RegExp(`Run GRANT CREATE ON DATABASE "?${database}"? to the role for one start.*CATALOG_UNAVAILABLE`),
    )
    for (const index of [0, 1]) await onNode(index, `DROP ROLE IF EXISTS ${role}`)
  })
})
