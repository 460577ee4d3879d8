import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { Column, Entity, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardedError, ShardKey } from '../../../src/index'
import { createRng, type Rng } from '../../differential/rng'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'
import { isWhole } from '../../support/share-of'

@Entity()
@Sharded(hash({ shards: 3 }))
class Account {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('bigint', { default: 0 }) balance!: string
}

@Entity()
@Sharded({ colocatedWith: () => Account })
class Entry {
  @ShardKey() @PrimaryColumn('int') account!: number
  @PrimaryColumn('int') worker!: number
  @PrimaryColumn('int') n!: number
}

const accounts = 40
const workers = 4
const start = 1_000

const rounds = Number(process.env['CHAOS_ROUNDS'] ?? (isWhole ? 8 : 3))
const seed = Number(process.env['CHAOS_SEED'] ?? 1)

const nodeNames = ['a', 'b', 'c'] as const

/** Of a change: nothing is to be done. */
const isOver = /^(done|cancelled|reverted)$/

/** What somebody else's death, or a shard that moves, may do to a write that is then not done. */
const isPassing = (error: unknown): boolean =>
  error instanceof ShardedError
    ? error.labels.includes('retryable') || /^(LOCK_TIMEOUT|SHARD_MOVED|SHARD_UNAVAILABLE)$/.test(error.code)
    : /^(40001|40P01|55P03)$/.test(String((error as { code?: string }).code))

describe(`shards that are moved, split, isolated and merged at random, seed ${seed}`, () => {
  let databases: FreshDatabases
  const open = async (): Promise<ShardedDataSource> =>
    new ShardedDataSource({
      type: 'postgres',
      entities: [Account, Entry],
      nodes: Object.fromEntries(
        nodeNames.map((name, index) => [name, { url: databases.nodes[index] ?? '', poolSize: 6 }]),
      ),
      timeouts: { destroyMs: 300 },
    }).initialize()

  beforeAll(async () => {
    databases = await createDatabases(3)
    const first = new ShardedDataSource({
      type: 'postgres',
      entities: [Account, Entry],
      nodes: Object.fromEntries(nodeNames.map((name, index) => [name, { url: databases.nodes[index] ?? '' }])),
      synchronize: true,
    })
    await first.initialize()
    const rows = Array.from({ length: accounts }, (_, id) => ({ id, balance: String(start) }))
    await first.getRepository(Account).insert(rows)
    await first.destroy()
  })
  afterAll(() => databases.drop())

  /** Moves money and appends, until it is told to end. */
  const work = (dataSource: ShardedDataSource, worker: number) => {
    const rng = createRng(seed * 100 + worker)
    const appended: string[] = []
    let isOver = false
    const once = async (n: number): Promise<void> => {
      const [from, to] = [rng.int(accounts), rng.int(accounts)]
      if (n % 2 === 0) {
        await dataSource.getRepository(Entry).insert({ account: from, worker, n })
        appended.push(`${from} ${worker} ${n}`)
        return
      }
      if (from === to) return
      await dataSource.transaction(async (manager) => {
        // In one order: two transfers never wait for each other.
        for (const id of [from, to].sort((one, other) => one - other))
          await manager.increment(Account, { id }, 'balance', id === from ? -1 : 1)
      })
    }
    const run = async (): Promise<readonly string[]> => {
      for (let n = 0; !isOver; n++) {
        try {
          await once(n)
        } catch (error) {
          if (!isPassing(error)) throw error
        }
        await sleep(10)
      }
      return appended
    }
    const running = run()
    running.catch(() => undefined)
    return {
      end: () => {
        isOver = true
        return running
      },
    }
  }

  /** Something that may be done of the map as it is. */
  const change = (driver: ShardedDataSource, rng: Rng): Promise<unknown> => {
    const shards = driver.shards(Account)
    const shard = shards[rng.int(shards.length)]
    const node = nodeNames[rng.int(nodeNames.length)] ?? 'a'
    if (!shard) throw new Error('There is a shard.')
    const kind = shards.length < 3 ? 1 : rng.int(4)
    if (kind === 0 && node !== shard.node) return driver.topology.moveShard(shard.name, node)
    if (kind === 1 && shards.length < 7) return driver.topology.splitShard(shard.name, { to: [shard.node, node] })
    if (kind === 2) return driver.topology.isolateKey(Account, rng.int(accounts), { to: node })
    const other = shards[(shard.index + 1) % shards.length]
    return driver.topology.mergeShards([shard.name, other?.name ?? ''], { to: node })
  }

  it('lose nothing, double nothing, and leave nothing behind', { timeout: 60_000 + rounds * 30_000 }, async () => {
    const rng = createRng(seed)
    const sources = await Promise.all(Array.from({ length: workers }, open))
    const running = sources.map((dataSource, worker) => work(dataSource, worker))
    let driver = await open()
    const log: string[] = []
    for (let round = 0; round < rounds; round++) {
      const dies = rng.int(3) > 0
      const after = rng.int(30)
      let points = 0
      let die = (): void => undefined
      const dead = new Promise<'dead'>((resolve) => {
        die = () => resolve('dead')
      })
      const end = driver.onControlPoint((point) => {
        if (!/^(shard-move|resharding):/.test(point) || !dies || points++ !== after) return
        log.push(`died at ${point}`)
        die()
        // Nothing more is done by this process.
        return new Promise<void>(() => undefined)
      })
      const changing = change(driver, rng).then(
        () => 'done',
        (error: unknown) => String((error as { code?: string }).code ?? error),
      )
      const outcome = await Promise.race([changing, dead])
      log.push(outcome)
      end()
      if (outcome === 'dead') {
        await driver.destroy()
        driver = await open()
        // Its lease would run out after a quarter of a minute.
        await forgetDrivers(databases.nodes)
      }
      const isCancelled = rng.int(3) === 0
      for (const { id, state } of await driver.topology.moves()) {
        if (isOver.test(state)) continue
        await expect
          .poll(
            async () => {
              const now = (await driver.topology.moves()).find((move) => move.id === id)?.state
              if (now === 'switched') return (await driver.topology.finishMove(id)).state
              const isEarly = now === 'planned' || now === 'copying' || now === 'catching-up' || now === 'verifying'
              if (isCancelled && isEarly) return (await driver.topology.cancelMove(id)).state
              return (await driver.topology.resumeMove(id)).state
            },
            { timeout: 40_000, interval: 300 },
          )
          .toMatch(isOver)
      }
    }
    const appended = (await Promise.all(running.map((one) => one.end()))).flat()
    await driver.recoverTransactions()
    const entries = await driver.getRepository(Entry).find()
    const found = entries.map(({ account, worker, n }) => `${account} ${worker} ${n}`)
    expect(new Set(found).size, log.join('; ')).toBe(found.length)
    const there = new Set(found)
    expect(appended.filter((entry) => !there.has(entry))).toEqual([])
    const [{ sum, count }] = await driver.query('SELECT sum(balance)::int AS sum, count(*)::int AS count FROM account')
    expect([sum, count]).toEqual([accounts * start, accounts])
    expect((await driver.verifyPlacement()).filter(({ misplaced }) => misplaced > 0)).toEqual([])
    expect(await leftovers(databases.nodes)).toEqual([])
    for (const dataSource of [...sources, driver]) await dataSource.destroy()
  })
})

async function forgetDrivers([home = '']: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: home })
  await client.connect()
  await client.query(`UPDATE sharding.moves SET driven_until = 'epoch'`)
  await client.end()
}

/** Slots, subscriptions, publications, schemas and triggers of changes that are over. */
async function leftovers(urls: readonly string[]): Promise<readonly string[]> {
  const found: string[] = []
  for (const connectionString of urls) {
    const client = new Client({ connectionString })
    await client.connect()
    const { rows } = await client.query<{ name: string }>(
      `SELECT slot_name::text AS name FROM pg_replication_slots WHERE database = current_database()
       UNION ALL SELECT pubname FROM pg_publication
       UNION ALL SELECT subname FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
       UNION ALL SELECT nspname FROM pg_namespace WHERE nspname LIKE 'sharding\\_split%' OR nspname LIKE '%\\_\\_moved\\_%'
       UNION ALL SELECT tgname FROM pg_trigger WHERE tgname LIKE 'sharding\\_split%'`,
    )
    found.push(...rows.map(({ name }) => name))
    await client.end()
  }
  return found
}
