import { setTimeout } from 'node:timers/promises'
import { In, Raw } from 'typeorm'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { ShardedDataSourceOptions, ShardedRepository } from '../../src/index'
import { errorOf, Item, type OpenNodes, startTwoNodes, type TwoNodes, until } from './two-nodes'

/** Sleeps on the row of id 2, and so on the left node. */
const sleeping = (column: string) => `CASE id WHEN 2 THEN length(pg_sleep(600)::text) ELSE ${column} END >= 0`

type Items = ShardedRepository<Item>
type Ids = (items: Items, condition?: string) => Promise<number[]>

async function all(rows: AsyncIterable<unknown>): Promise<number[]> {
  const found: number[] = []
  for await (const row of rows) found.push((row as { id: number }).id)
  return found
}

const ofRepository: Ids = (items, condition) =>
  all(items.stream({ order: { id: 'ASC' }, ...(condition && { where: { value: Raw(() => condition) } }) }))

const ofBuilder: Ids = async (items, condition = '1 = 1') =>
  all(
    (await items
      .createQueryBuilder('item')
      .select('item.id', 'id')
      .where(condition)
      .orderBy('item.id')
      .stream()) as AsyncIterable<unknown>,
  )

describe.each([
  ['a repository', ofRepository],
  ['a query builder', ofBuilder],
] as const)('streams of %s', (_, ids) => {
  let nodes: TwoNodes
  let open: OpenNodes
  const items = (): Items => open.dataSource.getRepository(Item)
  const start = async (options: Partial<ShardedDataSourceOptions> = {}) => {
    await open?.close()
    open = await nodes.open(options)
  }
  const isSleeping = async () => (await open.sessions('left')).some(({ waits }) => waits === 'Timeout')
  const atRest = async () => {
    const pools = (['left', 'right'] as const).map((side) => open.dataSource.runtime.pool(side))
    for (const pool of pools) {
      await expect.poll(() => pool.counts).toEqual({ total: pool.counts.total, idle: pool.counts.total, waiting: 0 })
      expect([pool.scatters.counts, pool.streams.counts]).toEqual([
        { taken: 0, waiting: 0 },
        { taken: 0, waiting: 0 },
      ])
    }
    await open.idle()
    expect(await items().count()).toBe(10)
  }
  const even = [0, 2, 4, 6, 8]
  const asleep = sleeping('value')

  beforeAll(async () => {
    nodes = await startTwoNodes()
  })
  beforeEach(() => start())
  afterEach(() => open.close())
  afterAll(() => nodes.stop())

  it('end with the reason of an abort, on all shards and on one, before and during', async () => {
    for (const reason of [new Error('gone'), 'gone']) {
      for (const own of [items(), items().onShard('item_left')]) {
        const before = own.withLimits({ signal: AbortSignal.abort(reason) })
        expect(await errorOf(ids(before))).toBe(reason)
        const controller = new AbortController()
        const error = errorOf(ids(own.withLimits({ signal: controller.signal }), asleep))
        await until(isSleeping)
        controller.abort(reason)
        expect(await error).toBe(reason)
        expect(await isSleeping()).toBe(false)
      }
    }
    await atRest()
  })

  it('never end as if they were whole, whatever the reason of an abort', async () => {
    for (const reason of [null, undefined, 0, '']) {
      const controller = new AbortController()
      const error = ids(items().withLimits({ signal: controller.signal }), asleep).then(
        () => 'it was whole',
        () => 'it failed',
      )
      await until(isSleeping)
      controller.abort(reason)
      expect(await error).toBe('it failed')
    }
    await atRest()
  })

  it('end with the reason of an abort, and at the deadline, when all rows are in hand', async () => {
    const rowsOf = async (own: Items, onFirst: () => Promise<unknown>) => {
      let read = 0
      const rows = ids === ofRepository ? own.stream() : await own.createQueryBuilder('item').stream()
      try {
        for await (const _row of rows as AsyncIterable<unknown>) {
          if (read === 0) await onFirst()
          read += 1
        }
        return { read, error: undefined }
      } catch (error) {
        return { read, error }
      }
    }
    for (const own of [items(), items().onShard('item_left')]) {
      const controller = new AbortController()
      const reason = new Error('gone')
      const abort = async () => {
        await setTimeout(50)
        controller.abort(reason)
      }
      expect(await rowsOf(own.withLimits({ signal: controller.signal }), abort)).toEqual({ read: 1, error: reason })
      expect(await rowsOf(own.withLimits({ deadlineMs: 200 }), () => setTimeout(300))).toMatchObject({
        read: 1,
        error: { code: 'DEADLINE_EXCEEDED' },
      })
    }
    await atRest()
  })

  it('end at the deadline, on all shards and on one', async () => {
    for (const own of [items(), items().onShard('item_left'), items().withShardKey(2)]) {
      const error = await errorOf(ids(own.withLimits({ deadlineMs: 200 }), asleep))
      expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', details: { deadlineMs: 200 } })
      expect(await isSleeping()).toBe(false)
    }
    await atRest()
  })

  it('count their rows against a budget that the caller gives, and against no other', async () => {
    expect(await errorOf(ids(items().withLimits({ rowBudget: 9 })))).toMatchObject({ code: 'ROW_BUDGET_EXCEEDED' })
    expect(await ids(items().withLimits({ rowBudget: 10 }))).toHaveLength(10)
    const left = items().onShard('item_left')
    expect(await errorOf(ids(left.withLimits({ rowBudget: 4 })))).toMatchObject({ code: 'ROW_BUDGET_EXCEEDED' })
    expect(await ids(left.withLimits({ rowBudget: 5 }))).toEqual(even)
    await start({ scatter: { rowBudget: 3 } })
    expect(await ids(items())).toHaveLength(10)
    await atRest()
  })

  it('are narrowed by hints', async () => {
    await start({ scatter: { reads: 'forbid' } })
    expect(await errorOf(ids(items()))).toMatchObject({ code: 'SCATTER_FORBIDDEN' })
    expect(await ids(items().acrossShards())).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(await ids(items().onShard('item_left'))).toEqual(even)
    expect(await ids(items().withShardKey(4))).toEqual([4])
    expect(await ids(items().withShardKey(4), 'value >= 0')).toEqual([4])
    expect(await ids(items().acrossShards().withLimits({ rowBudget: 10, deadlineMs: 60_000 }))).toHaveLength(10)
    await open.dataSource.transaction(async (manager) => {
      const inside = manager.getRepository(Item) as Items
      await inside.delete({ id: In([2, 3]) })
      expect(await ids(inside.onShard('item_left'))).toEqual([0, 4, 6, 8])
      expect(await ids(inside.acrossShards())).toHaveLength(8)
      expect(await errorOf(ids(inside.acrossShards().withLimits({ rowBudget: 7 })))).toMatchObject({
        code: 'ROW_BUDGET_EXCEEDED',
      })
      await inside.insert([{ id: 2 }, { id: 3 }])
    })
    expect(await items().acrossShards().count()).toBe(10)
  })
})
