import { getEventListeners } from 'node:events'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { CursorGroup } from '../../src/execution/cursor-group'
import { startOperation } from '../../src/execution/operation'
import type { NodeStatement } from '../../src/planning/scatter-statement'
import type { ShardedQueryRunner } from '../../src/typeorm/operations/sharded-query-runner'
import { ShardAccess } from '../../src/typeorm/runners/shard-access'
import { errorOf, Item, type OpenNodes, type Side, startTwoNodes, type TwoNodes, until } from './two-nodes'

const series = (side: Side, from: number, to: number): NodeStatement => ({
  node: side,
  shards: [`item_${side}`],
  text: 'SELECT n AS id FROM generate_series($1::int, $2::int) n',
  parameters: [from, to],
})
const sleeping = (side: Side): NodeStatement => ({
  ...series(side, 1, 2),
  text: 'SELECT n AS id, pg_sleep(CASE n WHEN $2 THEN 600 ELSE 0 END)::text FROM generate_series($1::int, $2::int) n',
})

describe('cursors over nodes', () => {
  let nodes: TwoNodes
  let open: OpenNodes
  const pools = () => (['left', 'right'] as const).map((side) => open.dataSource.runtime.pool(side))
  const access = (transaction?: ShardedQueryRunner) =>
    new ShardAccess(open.dataSource.runtime, startOperation({ transaction }))
  const isSleeping = async (side: Side) => (await open.sessions(side)).some(({ waits }) => waits === 'Timeout')

  /** Reads the sources in turn, a batch each, and closes the group. */
  const readAll = async (group: Pick<CursorGroup, 'sources' | 'close'>): Promise<number[][]> => {
    const read: number[][] = group.sources.map(() => [])
    const live = new Set(group.sources.keys())
    try {
      while (live.size > 0) {
        for (const index of live) {
          const batch = await group.sources[index]?.next()
          if (batch?.done !== false) live.delete(index)
          else read[index]?.push(...batch.value.map((row) => Number(row['id'])))
        }
      }
      return read
    } finally {
      await group.close()
    }
  }
  const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)

  const atRest = async () => {
    for (const pool of pools()) {
      expect([pool.counts.idle, pool.counts.waiting]).toEqual([pool.counts.total, 0])
      expect(pool.streams.counts).toEqual({ taken: 0, waiting: 0 })
      await Promise.all(Array.from({ length: pool.counts.total }, () => pool.query('SELECT 1')))
    }
    await open.idle()
  }

  beforeAll(async () => {
    nodes = await startTwoNodes()
  })
  beforeEach(async () => {
    // Recovery would take connections at times of its own.
    open = await nodes.open({ poolSize: 3, transactions: 'best-effort' })
  })
  afterEach(() => open.close())
  afterAll(() => nodes.stop())

  it('give all rows, several statements of a node on one connection, and give it back at the end', async () => {
    const statements = [series('right', 1, 25), series('left', 1, 30), series('left', 100, 104), series('left', 1, 0)]
    const group = access().cursors(statements, { batchRows: 10 })
    expect(pools().map((pool) => pool.counts.total)).toEqual([1, 1])
    expect(await group.sources[0]?.next()).toMatchObject({ done: false })
    expect(pools().map((pool) => pool.counts.total - pool.counts.idle)).toEqual([1, 1])
    expect(pools().map((pool) => pool.streams.counts.taken)).toEqual([1, 1])
    expect(await readAll(group)).toEqual([range(11, 25), range(1, 30), range(100, 104), []])
    await atRest()
  })

  it.each([false, true])(
    'end at one moment, several of a node: in a transaction of the caller %s',
    async (isCallers) => {
      const statements = range(1, 6).flatMap((n) => [series('left', 1, n), series('right', 1, n)])
      const runner = open.dataSource.createQueryRunner() as ShardedQueryRunner
      if (isCallers) await runner.startTransaction()
      const group = access(isCallers ? runner : undefined).cursors(statements, { batchRows: 10 })
      const read = await Promise.all(group.sources.map((source) => source.next()))
      expect(read.map(({ value }) => value?.length)).toEqual(range(1, 6).flatMap((n) => [n, n]))
      expect(await Promise.all(group.sources.map((source) => source.next()))).toEqual(
        statements.map(() => ({ done: true, value: undefined })),
      )
      await group.close()
      if (isCallers) {
        await runner.manager.count(Item)
        await runner.commitTransaction()
      }
      await runner.release()
      await atRest()
    },
  )

  it('read no more than a batch ahead, and nothing before they are asked', async () => {
    const fetched: string[] = []
    open.dataSource.onStatement(({ text }) => fetched.push(text.split(' ')[0] ?? ''))
    const group = access().cursors([series('left', 1, 1_000_000)], { batchRows: 5 })
    expect(fetched).toEqual([])
    const [source] = group.sources
    expect((await source?.next())?.value).toHaveLength(5)
    await until(async () => fetched.length === 4)
    await pools()[0]?.query('SELECT 1')
    expect(fetched).toEqual(['BEGIN', 'DECLARE', 'FETCH', 'FETCH', 'SELECT'])
    expect((await source?.next())?.value?.map((row) => row['id'])).toEqual(range(6, 10))
    await group.close()
    expect(await source?.next()).toEqual({ done: true, value: undefined })
    await atRest()
  })

  it('close on break, also while a batch is on its way', async () => {
    const group = access().cursors([series('left', 1, 100), series('right', 1, 100)], { batchRows: 10 })
    for (const source of group.sources) {
      for await (const rows of source) {
        expect(rows).toHaveLength(10)
        break
      }
    }
    await atRest()
    // The batch ahead sleeps: it is cancelled on the server.
    const slow = access().cursors([sleeping('left'), series('right', 1, 9)], { batchRows: 1 })
    const [left, right] = slow.sources
    await Promise.all([left?.next(), right?.next()])
    await until(() => isSleeping('left'))
    await Promise.all([left?.return?.(), right?.return?.()])
    expect(await isSleeping('left')).toBe(false)
    await atRest()
  })

  it('close all when one fails, which every source then throws', async () => {
    const failing = {
      ...series('right', 0, 9),
      text: 'SELECT 1 / (5 - n) AS id FROM generate_series($1::int, $2::int) n',
    }
    const group = access().cursors([sleeping('left'), failing], { batchRows: 2 })
    const [left, right] = group.sources
    const asleep = left ? errorOf(left.next()) : undefined
    await until(() => isSleeping('left'))
    const thrown = await errorOf(readAll({ sources: right ? [right] : [], close: () => group.close() }))
    expect(thrown).toMatchObject({ code: '22012', node: 'right' })
    expect(await asleep).toBe(thrown)
    expect(await (left ? errorOf(left.next()) : undefined)).toBe(thrown)
    await atRest()
  })

  it('close on an abort and at the deadline, also while nobody reads', async () => {
    const controller = new AbortController()
    const group = access().cursors([series('left', 1, 100), series('right', 1, 100)], {
      batchRows: 10,
      signal: controller.signal,
    })
    const [left, right] = group.sources
    await left?.next()
    controller.abort('gone')
    await until(async () => pools().every((pool) => pool.counts.idle === pool.counts.total))
    expect(await (right ? errorOf(right.next()) : undefined)).toBe('gone')
    expect(getEventListeners(controller.signal, 'abort')).toEqual([])
    await atRest()
    const late = access().cursors([sleeping('left')], { batchRows: 10, deadlineMs: 150 })
    expect(await errorOf(readAll(late))).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(await isSleeping('left')).toBe(false)
    const paused = access().cursors([series('left', 1, 100)], { batchRows: 10, deadlineMs: 150 })
    await paused.sources[0]?.next()
    await until(async () => pools().every((pool) => pool.counts.idle === pool.counts.total))
    expect(await errorOf(readAll(paused))).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    const many = access().cursors([series('left', 1, 100), series('right', 1, 100)], { batchRows: 10, rowBudget: 25 })
    expect(await errorOf(readAll(many))).toMatchObject({ code: 'ROW_BUDGET_EXCEEDED' })
    await atRest()
  })

  it('close when a node dies in the middle', async () => {
    const group = access().cursors([series('left', 1, 100_000), series('right', 1, 100_000)], { batchRows: 10 })
    const [left, right] = group.sources
    await Promise.all([left?.next(), right?.next()])
    await nodes.clusters.right.kill()
    const error = await errorOf(readAll(group))
    expect(error).toMatchObject({ code: 'SHARD_UNAVAILABLE', details: { node: 'right' } })
    const [leftPool] = pools()
    expect(leftPool?.counts).toEqual({ total: 1, idle: 1, waiting: 0 })
    await nodes.clusters.right.restart()
    await until(async () => (await open.sessions('left')).every(({ state }) => state === 'idle'))
    expect(await readAll(access().cursors([series('right', 1, 3)]))).toEqual([[1, 2, 3]])
    await atRest()
  })

  it('wait for each other in turn, and leave a connection to everybody else', async () => {
    const statements = [series('right', 1, 40), series('left', 1, 40)]
    const group = () => access().cursors(statements, { batchRows: 10 })
    const held = [group(), group()]
    for (const one of held) await one.sources[0]?.next()
    const third = group()
    const waits = readAll(third)
    // Within the loop over a stream, operations of all kinds find a connection.
    expect(await open.dataSource.getRepository(Item).count()).toBe(10)
    expect(await open.dataSource.getRepository(Item).findOneBy({ id: 3 })).toMatchObject({ id: 3 })
    await open.dataSource.getRepository(Item).updateAll({ value: 1 })
    expect(pools().map((pool) => pool.streams.counts)).toEqual([
      { taken: 2, waiting: 1 },
      { taken: 2, waiting: 0 },
    ])
    for (const one of held) await one.close()
    expect(await waits).toEqual([range(1, 40), range(1, 40)])
    const many = await Promise.all(Array.from({ length: 50 }, () => readAll(group())))
    expect(many).toEqual(Array.from({ length: 50 }, () => [range(1, 40), range(1, 40)]))
    await atRest()
  })

  it('stand in the caller’s transaction between its other statements, and leave it as it is', async () => {
    const update = (value: number) => ({ value })
    await open.dataSource.transaction(async (manager) => {
      await manager.updateAll(Item, update(7))
      const runner = manager.queryRunner as ShardedQueryRunner
      const all = (side: Side): NodeStatement => ({
        ...series(side, 0, 0),
        text: `SELECT value AS id FROM "item_${side}"."item"`,
        parameters: [],
      })
      const group = access(runner).cursors([all('left'), series('left', 1, 4), all('right')], { batchRows: 2 })
      const first = await group.sources[0]?.next()
      expect(first?.value).toEqual([{ id: 7 }, { id: 7 }])
      await manager.updateAll(Item, update(8))
      const other = access(runner).cursors([series('left', 1, 3)], { batchRows: 2 })
      await other.sources[0]?.next()
      await other.close()
      expect(await readAll(group)).toEqual([
        [7, 7, 7],
        [1, 2, 3, 4],
        [7, 7, 7, 7, 7],
      ])
      const broken = await errorOf(
        manager.transaction(async (inner) => {
          const nested = access(inner.queryRunner as ShardedQueryRunner).cursors(
            [series('left', 1, 9), sleeping('right')],
            {
              batchRows: 2,
              deadlineMs: 200,
            },
          )
          await nested.sources[0]?.next()
          await readAll(nested)
        }),
      )
      expect(broken).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
      const { rows } = await (await runner.connectionFor(open.dataSource.shards(Item)[0] as never)).query(
        'SELECT name FROM pg_cursors',
        undefined,
        undefined,
      )
      expect(rows).toEqual([])
    })
    expect(await open.values('left')).toEqual([8, 8, 8, 8, 8])
    await atRest()
  })

  it('do not outlive the caller’s transaction', async () => {
    let group: CursorGroup | undefined
    await open.dataSource.transaction(async (manager) => {
      group = access(manager.queryRunner as ShardedQueryRunner).cursors([series('right', 1, 9), series('left', 1, 9)], {
        batchRows: 2,
      })
      await group.sources[0]?.next()
    })
    const error = group ? await errorOf(readAll(group)) : undefined
    expect(error).toMatchObject({
      code: 'SHARD_UNAVAILABLE',
      message: expect.stringMatching(/after it was given back/),
    })
    await atRest()
  })
})
