import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { In, Raw } from 'typeorm'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ShardedDataSource, type ShardedDataSourceOptions } from '../../src/index'
import { errorOf, Item, type OpenNodes, Setting, startTwoNodes, type TwoNodes, until } from './two-nodes'

setFlagsFromString('--expose_gc')
const collectGarbage: () => void = runInNewContext('gc')

let nodes: TwoNodes
let open: OpenNodes
const thaws: (() => void)[] = []
const items = () => open.dataSource.getRepository(Item)
const pools = () => (['left', 'right'] as const).map((side) => open.dataSource.runtime.pool(side))
const start = async (options: Partial<ShardedDataSourceOptions> = {}) => {
  open = await nodes.open({ poolSize: 3, ...options })
}
const streamsOpen = () => pools().map((pool) => pool.streams.counts.taken)

beforeAll(async () => {
  nodes = await startTwoNodes()
})
afterEach(async () => {
  for (const thaw of thaws.splice(0)) thaw()
  await open.close()
})
afterAll(() => nodes.stop())

/** More rows than one batch, so that the cursors stay open. */
const fill = () => items().insert(Array.from({ length: 5_000 }, (_, index) => ({ id: 1_000 + index })))
const readOne = async (rows: AsyncIterable<unknown>): Promise<AsyncIterator<unknown>> => {
  const iterator = rows[Symbol.asyncIterator]()
  await iterator.next()
  return iterator
}

describe('streams that are left open', () => {
  it('give their connections back when they are dropped', async () => {
    await start()
    await fill()
    const drop = async (): Promise<void> => {
      for (let count = 0; count < 2; count++) await readOne(items().stream({ order: { id: 'ASC' } }))
    }
    await drop()
    expect(streamsOpen()).toEqual([2, 2])
    await until(async () => {
      collectGarbage()
      return streamsOpen().every((count) => count === 0)
    })
    expect(await items().count()).toBe(5_010)
  })

  it('are closed when nobody reads them, and say so to a reader who comes back', async () => {
    await start({ timeouts: { streamIdleMs: 400 } })
    await fill()
    const iterator = await readOne(items().stream({ order: { id: 'ASC' } }))
    expect(streamsOpen()).toEqual([1, 1])
    await until(async () => streamsOpen().every((count) => count === 0))
    const rest = async () => {
      for (let next = await iterator.next(); !next.done; ) next = await iterator.next()
    }
    expect(await errorOf(rest())).toMatchObject({ code: 'STREAM_IDLE', details: { streamIdleMs: 400 } })
    // A slow reader is one all the same.
    let read = 0
    for await (const _ of items().stream({ order: { id: 'ASC' }, take: 30 })) {
      read += 1
      if (read > 20) await new Promise((resolve) => setTimeout(resolve, 100))
    }
    expect(read).toBe(30)
  })

  it('keep another one waiting no longer than for a connection', async () => {
    await start({ connectTimeoutMS: 500 })
    await fill()
    const kept = [await readOne(items().stream()), await readOne(items().stream())]
    expect(await errorOf(readOne(items().stream()))).toMatchObject({
      code: 'POOL_EXHAUSTED',
      details: { node: 'left', of: 'streams', waitMs: 500 },
    })
    for (const iterator of kept) await iterator.return?.()
    await (await readOne(items().stream())).return?.()
    await until(async () => streamsOpen().every((count) => count === 0))
  })
})

describe('a transaction that is left open', () => {
  it('is rolled back when nothing is sent in it, and gives its connections back', async () => {
    await start({ timeouts: { transactionIdleMs: 400 } })
    const error = await errorOf(
      open.dataSource.transaction(async (manager) => {
        await manager.insert(Item, [{ id: 100 }, { id: 101 }])
        await new Promise((resolve) => setTimeout(resolve, 1_200))
        await manager.insert(Item, { id: 102 })
      }),
    )
    expect(error).toMatchObject({ code: 'TRANSACTION_IDLE', labels: ['retryable', 'no-writes'] })
    const forgotten = open.dataSource.createQueryRunner()
    await forgotten.connect()
    await forgotten.startTransaction()
    await forgotten.manager.insert(Item, [{ id: 100 }, { id: 101 }])
    await until(async () => pools().every(({ transactions }) => transactions.counts.taken === 0))
    expect(await items().countBy({ id: Raw((column) => `${column} >= 100`) })).toBe(0)
    expect(await errorOf(forgotten.commitTransaction())).toMatchObject({
      labels: expect.arrayContaining(['no-writes']),
    })
    await forgotten.release()
    // Work that takes its time is not idle.
    await open.dataSource.transaction(async (manager) => {
      await manager.findBy(Item, { id: Raw((column) => `${column} + length(pg_sleep(0.2)::text) >= 0`) })
    })
  })

  it('is idle when nothing is done on any of its nodes', async () => {
    await start({ timeouts: { transactionIdleMs: 400 } })
    await fill()
    const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))
    const slow = (id: number) => ({ value: () => `CASE WHEN id = ${id} AND pg_sleep(1) IS NULL THEN 1 ELSE 2 END` })
    // One node is quiet while statements go to the other, and while one runs there.
    await open.dataSource.transaction(async (manager) => {
      await manager.update(Item, { id: 2 }, { value: 1 })
      for (let count = 0; count < 8; count++) {
        await manager.update(Item, { id: 1 }, { value: count })
        await pause(150)
      }
      await manager.update(Item, { id: 1 }, slow(1))
    })
    // One operation whose part on one node takes longer.
    expect((await items().update({ id: In([1, 2]) }, slow(1))).affected).toBe(2)
    // A load gathers rows before it sends them; a stream in a transaction gives out those that it has in hand.
    const given = async function* () {
      for (const id of [100, 101, 102, 103, 104, 105]) {
        await pause(150)
        yield { id }
      }
    }
    expect((await items().load(given())).rows).toBe(6)
    const readSlowly = async (rows: AsyncIterable<unknown>): Promise<number> => {
      let read = 0
      for await (const _ of rows) if (++read <= 8) await pause(150)
      return read
    }
    const order = { id: 'ASC' } as const
    expect(
      await open.dataSource.transaction(async (manager) =>
        readSlowly(await manager.createQueryBuilder(Item, 'item').orderBy('item.id').stream()),
      ),
    ).toBe(5_016)
    // Outside of a transaction a stream's reader has the bound of streams.
    const iterator = await readOne(items().stream({ order }))
    await pause(1_000)
    let read = 1
    while (!(await iterator.next()).done) read += 1
    expect(read).toBe(5_016)
  })

  it('keeps others waiting for a connection no longer than connectTimeoutMS', async () => {
    await start({ connectTimeoutMS: 500, poolReserve: 0 })
    const runners = Array.from({ length: 3 }, () => open.dataSource.createQueryRunner())
    for (const runner of runners) await runner.connect()
    expect(await errorOf(items().findOneBy({ id: 2 }))).toMatchObject({
      code: 'POOL_EXHAUSTED',
      details: { node: 'left', of: 'connections', count: 3, waitMs: 500 },
    })
    await Promise.all(runners.map((runner) => runner.release()))
    expect(await items().findOneBy({ id: 2 })).toMatchObject({ id: 2 })
  })
})

it('a wait for a connection that has no bound is none that is over at once', async () => {
  await start({ connectTimeoutMS: Number.POSITIVE_INFINITY })
  expect(await items().count()).toBe(10)
})

it('a statement that runs longer than queryMs is cancelled', async () => {
  await start({ timeouts: { queryMs: 300 } })
  const slow = { value: Raw((column) => `${column} + length(pg_sleep(600)::text) >= 0`) }
  for (const where of [{ id: 1, ...slow }, slow])
    expect(await errorOf(items().findBy(where))).toMatchObject({ code: 'STATEMENT_TIMEOUT', details: { queryMs: 300 } })
  await open.idle()
  expect(await items().count()).toBe(10)
})

it('the bounds are numbers above 0, by their names', () => {
  const nodesOf = { type: 'postgres', nodes: { a: { url: 'postgres://a' } } } as const
  for (const timeouts of [{ silenceMs: 0 }, { queryMs: 1.5 }, { destroyMs: -1 }, { queryMS: 5 } as object])
    expect(() => new ShardedDataSource({ ...nodesOf, timeouts })).toThrow(/OPTIONS_INVALID/)
  expect(() => new ShardedDataSource({ ...nodesOf, poolReserve: -1 })).toThrow(/OPTIONS_INVALID/)
  expect(() => new ShardedDataSource({ ...nodesOf, timeouts: { silenceMs: Number.POSITIVE_INFINITY } })).not.toThrow()
})

describe('destroy', () => {
  const destroyMs = 500
  const leaveOpen = async () => {
    await start({ timeouts: { destroyMs } })
    await fill()
    const iterator = await readOne(items().stream({ order: { id: 'ASC' } }))
    const runner = open.dataSource.createQueryRunner()
    await runner.startTransaction()
    await runner.manager.insert(Item, [{ id: 101 }, { id: 100 }])
    return { iterator, runner }
  }
  const timeOfDestroy = async (): Promise<number> => {
    const started = performance.now()
    await open.dataSource.destroy()
    return performance.now() - started
  }

  it('ends while a stream, an iterator and a transaction are open, and rolls that back', async () => {
    const { iterator, runner } = await leaveOpen()
    expect(await timeOfDestroy()).toBeLessThan(3 * destroyMs + 2_000)
    const rest = async () => {
      for (let next = await iterator.next(); !next.done; ) next = await iterator.next()
    }
    await errorOf(rest())
    await errorOf(runner.commitTransaction())
    expect(await open.values('right')).toHaveLength(2_505)
    for (const side of ['left', 'right'] as const) await until(async () => (await open.sessions(side)).length === 0)
  })

  it('ends while a query of an unsharded entity is under way, and answers it where it ends in time', async () => {
    await start({ timeouts: { destroyMs } })
    await open.dataSource.manager.insert(Setting, { name: 'x' })
    const find = (seconds: number) =>
      open.dataSource.manager.findBy(Setting, {
        name: Raw((column) => `${column} = 'x' AND pg_sleep(${seconds}) IS NOT NULL`),
      })
    const answered = find(0.2)
    const ended = errorOf(find(600))
    await until(async () => (await open.sessions('left')).filter(({ state }) => state === 'active').length === 2)
    expect(await timeOfDestroy()).toBeLessThan(3 * destroyMs + 2_000)
    expect(await answered).toEqual([{ name: 'x' }])
    expect(await ended).toMatchObject({ driverError: { code: 'SHARD_UNAVAILABLE' } })
  })

  it('ends while a node is frozen', async () => {
    await leaveOpen()
    thaws.push(await nodes.clusters.left.freeze())
    const read = errorOf(items().findOneBy({ id: 2 }))
    expect(await timeOfDestroy()).toBeLessThan(3 * destroyMs + 3_000)
    expect(await read).toMatchObject({ code: 'SHARD_UNAVAILABLE' })
  })
})
