import { Client } from 'pg'
import { Column, Entity, type EntityManager, PrimaryColumn } from 'typeorm'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, type ShardedDataSourceOptions, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'
import { hasPooler, type Pooler, startPooler } from '../../support/pooler'

@Entity()
@Sharded(hash({ shards: 4 }))
class Crate {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('int', { default: 0 })
  scans!: number
}

const ids = Array.from({ length: 20 }, (_, id) => id)

describe.runIf(hasPooler())('where a pooler has two servers, and operations hold both', () => {
  let databases: FreshDatabases
  let pooler: Pooler
  let onNode: Readonly<Record<'a' | 'b', number>>
  const opened: ShardedDataSource[] = []

  const open = async ({
    direct = false,
    ...options
  }: Partial<ShardedDataSourceOptions> & { direct?: boolean } = {}) => {
    const nodes = Object.fromEntries(
      (['a', 'b'] as const).map((name, index) => [
        name,
        { url: pooler.urls[index] ?? '', ...(direct && { directUrl: databases.nodes[index] ?? '' }) },
      ]),
    )
    const dataSource = new ShardedDataSource({
      type: 'postgres',
      entities: [Crate],
      nodes,
      poolSize: 3,
      logging: false,
      ...options,
    })
    opened.push(dataSource)
    return dataSource.initialize()
  }
  const meeting = (count: number) => {
    let come = 0
    let meet: () => void
    const met = new Promise<void>((resolve) => {
      meet = resolve
    })
    return async () => {
      come += 1
      if (come === count) meet()
      await met
    }
  }
  /** Two transactions of two processes, each of which holds a server of each node when it goes on. */
  const twoTransactions = async (
    dataSources: readonly ShardedDataSource[],
    goOn: (manager: EntityManager, index: number) => Promise<unknown>,
  ) => {
    const met = meeting(2)
    return Promise.allSettled(
      dataSources.map((dataSource, index) =>
        dataSource.transaction(async (manager) => {
          await manager.count(Crate)
          await met()
          return goOn(manager, index)
        }),
      ),
    )
  }
  const codesOf = (outcomes: readonly PromiseSettledResult<unknown>[]) =>
    outcomes.map((one) => (one.status === 'rejected' ? one.reason.code : undefined))

  beforeAll(async () => {
    databases = await createDatabases(2)
    pooler = await startPooler({ mode: 'transaction', urls: databases.nodes, poolSize: 2 })
    const [a = '', b = ''] = databases.nodes
    const direct = await open({ nodes: { a: { url: a }, b: { url: b } }, synchronize: true })
    const crates = direct.getRepository(Crate)
    await crates.insert(ids.map((id) => ({ id })))
    const idOn = (node: string) => ids.find((id) => direct.locate(Crate, id).node === node) ?? 0
    onNode = { a: idOn('a'), b: idOn('b') }
    await direct.destroy()
  })
  afterEach(async () => {
    for (const dataSource of opened.splice(0)) if (dataSource.isInitialized) await dataSource.destroy()
  })
  afterAll(async () => {
    await pooler?.stop()
    await databases?.drop()
  })
  it('a transaction asks past it what functions and columns there are', async () => {
    const clients = [await open({ direct: true }), await open({ direct: true })]
    const outcomes = await twoTransactions(clients, (manager) =>
      manager.query('SELECT upper(min(id)::text) AS first, count(*)::int AS crates FROM crate'),
    )
    expect(outcomes).toEqual(
      Array.from({ length: 2 }, () => ({ status: 'fulfilled', value: [{ first: '0', crates: 20 }] })),
    )
  })

  it('without a way past it, a question ends in time, and gives the servers back', async () => {
    const clients = [await open({ timeouts: { backgroundMs: 500 } }), await open({ timeouts: { backgroundMs: 500 } })]
    const outcomes = await twoTransactions(clients, (manager) =>
      manager.query('SELECT upper(min(id)::text) AS first, count(*)::int AS crates FROM crate'),
    )
    expect(codesOf(outcomes)).toContain('STATEMENT_TIMEOUT')
    for (const client of clients) expect(await client.getRepository(Crate).count()).toBe(ids.length)
  })

  it('a prepared transaction is ended past it while writes that wait for its rows hold all servers', async () => {
    const committing = await open({ direct: true })
    const others = await open({ direct: true })
    const hot = { id: onNode.b }
    const scansOf = async () => (await others.getRepository(Crate).findOneByOrFail(hot)).scans
    const before = await scansOf()
    let waiting: Promise<unknown> = Promise.resolve()
    const off = committing.onControlPoint(async (point, node) => {
      if (point !== 'commit:after-prepare' || node !== 'b') return
      const crates = others.getRepository(Crate)
      waiting = Promise.all([crates.increment(hot, 'scans', 1), crates.increment(hot, 'scans', 1)])
      await lockWaits(databases.nodes[1] ?? '', 2)
    })
    await committing.transaction(async (manager) => {
      await manager.increment(Crate, { id: onNode.a }, 'scans', 1)
      await manager.increment(Crate, hot, 'scans', 1)
    })
    off()
    await waiting
    expect(await scansOf()).toBe(before + 3)
  })

  it('a wait for a lock that nobody can be asked about ends', async () => {
    const options = { lockTimeoutMs: 300, timeouts: { backgroundMs: 300 } }
    const clients = [await open(options), await open(options)]
    const met = meeting(2)
    const order = [
      [onNode.a, onNode.b],
      [onNode.b, onNode.a],
    ] as const
    const outcomes = await twoTransactions(clients, async (manager, index) => {
      const [first = 0, second = 0] = order[index] ?? []
      await manager.increment(Crate, { id: first }, 'scans', 1)
      await met()
      await manager.increment(Crate, { id: second }, 'scans', 1)
    })
    expect(codesOf(outcomes)).toContain('LOCK_TIMEOUT')
    for (const client of clients) expect(await client.getRepository(Crate).count()).toBe(ids.length)
  })

  it('a way past it leads to the same database, and past it', async () => {
    const [a = '', b = ''] = pooler.urls
    const [direct = ''] = databases.nodes
    for (const [directUrl, why] of [
      [direct, 'leads to another database than its url'],
      [b, 'leads to a pooler'],
    ] as const) {
      await expect(open({ nodes: { a: { url: a }, b: { url: b, directUrl } } })).rejects.toMatchObject({
        code: 'OPTIONS_INVALID',
        message: expect.stringContaining(`directUrl of node b ${why}`),
      })
    }
  })
})

/** Waits until so many sessions of a database wait for a lock. */
async function lockWaits(connectionString: string, count: number): Promise<void> {
  const client = new Client({ connectionString })
  await client.connect()
  try {
    for (;;) {
      const { rows } = await client.query(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
      )
      if (rows[0].n >= count) return
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  } finally {
    await client.end()
  }
}
