import { Raw } from 'typeorm'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { ShardedDataSourceOptions } from '../../src/index'
import { errorOf, Item, type OpenNodes, startTwoNodes, type TwoNodes, until } from './two-nodes'

const silenceMs = 2_000
/** For a busy machine. */
const slackMs = 3_000
const busyMs = 50

let nodes: TwoNodes
let open: OpenNodes
const thaws: (() => void)[] = []

const items = () => open.dataSource.getRepository(Item)
const pool = (side: 'left' | 'right') => open.dataSource.runtime.pool(side)
const start = async (options: Partial<ShardedDataSourceOptions> = {}) => {
  open = await nodes.open({ timeouts: { silenceMs }, ...options })
}
const freeze = async (side: 'left' | 'right') => {
  const thaw = await nodes.clusters[side].freeze()
  thaws.push(thaw)
  return thaw
}
const timed = async <T>(work: Promise<T>): Promise<{ readonly ms: number; readonly result: T }> => {
  const started = performance.now()
  const result = await work
  return { ms: performance.now() - started, result }
}
const quantile = (times: readonly number[], share: number): number =>
  [...times].sort((a, b) => a - b)[Math.floor(times.length * share)] ?? Number.NaN

beforeAll(async () => {
  nodes = await startTwoNodes()
})
afterEach(async () => {
  for (const thaw of thaws.splice(0)) thaw()
  await open.close()
})
afterAll(() => nodes.stop())

describe('a node that is frozen', () => {
  it('leaves point reads of another node as fast as they were, while 12 transactions wait for it', async () => {
    await start({ timeouts: { silenceMs: 4_000 } })
    // On a busy machine all reads are slow at times: a client of the test's own is the measure at the same moments.
    const client = await open.client('left')
    const pointReads = async (during: (count: number) => boolean) => {
      const ours: number[] = []
      const others: number[] = []
      while (during(ours.length)) {
        others.push((await timed(client.query('SELECT * FROM "item_left"."item" WHERE id = $1', [2]))).ms)
        ours.push((await timed(items().findOneByOrFail({ id: 2 }))).ms)
      }
      return { ours, others }
    }
    await pointReads((count) => count < 200)
    const before = await pointReads((count) => count < 300)
    await freeze('right')
    let waiting = 12
    const transactions = Array.from({ length: 12 }, (_, index) =>
      timed(
        errorOf(
          open.dataSource.transaction(async (manager) => {
            await manager.insert(Item, { id: 100 + 2 * index })
            await manager.update(Item, { id: 1 }, { value: index })
          }),
        ),
      ).finally(() => {
        waiting -= 1
      }),
    )
    // Two connections of ten are left, and four transactions wait for their turn.
    await until(async () => pool('right').transactions.counts.taken === 8)
    expect(pool('left').transactions.counts).toEqual({ taken: 8, waiting: 4 })
    const during = await pointReads(() => waiting > 0)
    const ended = await Promise.all(transactions)
    expect(during.ours.length).toBeGreaterThan(30)
    const p99 = Math.max(quantile(before.ours, 0.99), quantile(during.others, 0.99))
    // Of so few reads on a busy machine the worst says nothing, but that it waited for no bound.
    expect(quantile(during.ours, 0.95)).toBeLessThan(2 * p99 + busyMs)
    expect(Math.max(...during.ours)).toBeLessThan(2_000)
    for (const { ms, result } of ended) {
      expect(result).toMatchObject({ code: 'SHARD_UNAVAILABLE', details: { node: 'right' } })
      expect(ms).toBeLessThan(4_000 + slackMs)
    }
    expect(await open.values('left')).toHaveLength(5)
    expect([pool('left').transactions.counts.taken, pool('right').transactions.counts.taken]).toEqual([0, 0])
  }, 60_000)

  it('ends a point read at its deadline', async () => {
    await start({ timeouts: { silenceMs: 60_000 } })
    await items().findOneByOrFail({ id: 1 })
    await freeze('right')
    const { ms, result } = await timed(errorOf(items().withLimits({ deadlineMs: 2_000 }).findOneBy({ id: 1 })))
    expect(result).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(ms).toBeLessThan(3_500)
    // Also where the connection is still to be made.
    const fresh = Array.from({ length: 3 }, () =>
      timed(errorOf(items().withLimits({ deadlineMs: 500 }).findOneBy({ id: 1 }))),
    )
    for (const one of await Promise.all(fresh)) expect(one.ms).toBeLessThan(2_000)
  }, 60_000)

  it('is noticed by statements without limits, then refused at once, and had again when it answers', async () => {
    await start()
    await items().findOneByOrFail({ id: 1 })
    const thaw = await freeze('right')
    const reads = [
      errorOf(items().findOneBy({ id: 1 })),
      errorOf(items().find()),
      errorOf(items().update({ id: 3 }, { value: 7 })),
    ]
    const scatters = Array.from({ length: 15 }, () => errorOf(items().find()))
    await until(async () => pool('right').scatters.counts.waiting > 0)
    await until(async () => pool('left').scatters.counts.taken === 0)
    const { ms, result } = await timed(Promise.all(reads))
    for (const error of await Promise.all(scatters)) expect(error).toMatchObject({ code: 'SHARD_UNAVAILABLE' })
    expect(ms).toBeLessThan(silenceMs + slackMs)
    expect(result).toMatchObject([
      { code: 'SHARD_UNAVAILABLE' },
      { code: 'SHARD_UNAVAILABLE' },
      // It may have been sent.
      { code: expect.stringMatching(/^(?:CONNECTION_LOST|SHARD_UNAVAILABLE)$/) },
    ])
    const refused = await timed(errorOf(items().findOneBy({ id: 1 })))
    expect(refused.result).toMatchObject({ code: 'SHARD_UNAVAILABLE', message: expect.stringContaining('node right') })
    expect(refused.ms).toBeLessThan(500)
    expect(await items().findOneByOrFail({ id: 2 })).toMatchObject({ id: 2 })
    thaw()
    await until(() =>
      items()
        .findOneBy({ id: 1 })
        .then(
          () => true,
          () => false,
        ),
    )
  }, 60_000)

  it('is not what a slow statement or a blocked event loop is', async () => {
    await start({ timeouts: { silenceMs: 1_500 }, connectTimeoutMS: 2_500 })
    const slow = { value: Raw((column) => `${column} + length(pg_sleep(0.4)::text) >= 0`) }
    const reads = [
      items().findBy({ id: 1, ...slow }),
      items().findBy({ id: 2, ...slow }),
      items().find({ where: slow }),
    ]
    // More than the pools have connections: some wait for one, some for a new one.
    const others = Array.from({ length: 40 }, (_, index) => items().findOneByOrFail({ id: index % 10 }))
    const blockedUntil = performance.now() + 4_000
    while (performance.now() < blockedUntil);
    expect(await Promise.all(others)).toHaveLength(40)
    expect((await Promise.all(reads)).map((rows) => rows.length)).toEqual([1, 1, 10])
  }, 60_000)
})

describe('transactions that open nodes in different orders', () => {
  it('go on one after the other where all would wait for each other', async () => {
    await start({ poolSize: 2, lockTimeoutMs: Number.POSITIVE_INFINITY, connectTimeoutMS: 8_000 })
    let arrived = 0
    let go: () => void = () => undefined
    const together = new Promise<void>((resolve) => {
      go = resolve
    })
    const transaction = (first: number, second: number) =>
      open.dataSource.transaction(async (manager) => {
        await manager.update(Item, { id: first }, { value: 1 })
        arrived += 1
        if (arrived === 4) go()
        await together
        await manager.update(Item, { id: second }, { value: 2 })
      })
    const { ms, result } = await timed(
      Promise.allSettled([transaction(0, 1), transaction(2, 3), transaction(5, 4), transaction(7, 6)]),
    )
    expect(result.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'fulfilled'])
    expect(ms).toBeLessThan(4_000)
    expect(pool('left').transactions.counts).toEqual({ taken: 0, waiting: 0 })
  }, 60_000)
})
