import { In } from 'typeorm'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ShardedError } from '../../src/index'
import { errorOf, Item, type OpenNodes, Setting, startTwoNodes, type TwoNodes, until } from './two-nodes'

describe('a node that dies', () => {
  let nodes: TwoNodes
  let open: OpenNodes
  const items = () => open.dataSource.getRepository(Item)
  const ids = async () => (await items().find({ order: { id: 'ASC' } })).map(({ id }) => id)
  const all = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
  const waits = () => until(async () => (await open.sessions('right')).some(({ waits }) => waits === 'Lock'))

  beforeAll(async () => {
    nodes = await startTwoNodes()
  })
  beforeEach(async () => {
    open = await nodes.open()
  })
  afterEach(async () => {
    await nodes.clusters.right.restart()
    await open.close()
  })
  afterAll(() => nodes.stop())

  it('is named when the data source starts, which closes all that it opened, and may start again later', async () => {
    await open.dataSource.destroy()
    await nodes.clusters.right.kill()
    Object.assign(open.options, { startWithout: 'none' })
    const error = await errorOf(open.dataSource.initialize())
    expect(error).toBeInstanceOf(ShardedError)
    expect(error).toMatchObject({ code: 'SHARD_UNAVAILABLE', details: { node: 'right' } })
    expect(String(error)).toContain('right')
    expect(open.dataSource.isInitialized).toBe(false)
    await until(async () => (await open.sessions('left')).length === 0)
    await nodes.clusters.right.restart()
    await open.dataSource.initialize()
    expect(await ids()).toEqual(all)
  })

  it('fails a read over shards in its middle, and never gives a part of the rows', async () => {
    const client = await open.client('right')
    await client.query('BEGIN; LOCK TABLE "item_right"."item" IN ACCESS EXCLUSIVE MODE')
    const reads = [
      items().find(),
      items().count(),
      items().sum('value'),
      items().find({ order: { id: 'ASC' }, take: 1 }),
    ]
    const errors = Promise.all(reads.map(errorOf))
    await waits()
    await nodes.clusters.right.kill()
    for (const error of await errors) {
      expect(error).toBeInstanceOf(ShardedError)
      expect(error).toMatchObject({
        code: 'SHARD_UNAVAILABLE',
        details: { node: 'right' },
        labels: ['retryable', 'no-writes'],
      })
    }
  })

  it('leaves the other node’s shards to be read and written, and comes back by itself', async () => {
    await nodes.clusters.right.kill()
    expect(await items().findOneBy({ id: 4 })).toMatchObject({ id: 4 })
    expect(await items().countBy({ id: In([2, 4]) })).toBe(2)
    await items().save({ id: 12, value: 1 })
    await items().update({ id: In([12, 2]) }, { value: 2 })
    await open.dataSource.getRepository(Setting).save({ name: 'home' })
    const asksRight = [
      items().findOneBy({ id: 3 }),
      items().find(),
      items().countBy({ id: In([2, 3]) }),
      items().exists(),
      items().save({ id: 3, value: 1 }),
      items().updateAll({ value: 9 }),
      items().save([
        { id: 2, value: 7 },
        { id: 3, value: 7 },
      ]),
    ]
    for (const error of await Promise.all(asksRight.map(errorOf)))
      expect(error).toMatchObject({ code: 'SHARD_UNAVAILABLE' })
    expect(await open.values('left')).toEqual([0, 2, 0, 0, 0, 2])
    await nodes.clusters.right.restart()
    expect(await ids()).toEqual([...all, 12])
    await items().updateAll({ value: 3 })
    expect(await items().sum('value')).toBe(33)
  })

  it('undoes a write over shards before its commit, on every node', async () => {
    for (const write of [
      () => items().updateAll({ value: 5 }),
      () => items().save(all.map((id) => ({ id, value: 5 }))),
      () => items().delete({ value: 0 }),
    ]) {
      const client = await open.client('right')
      await client.query('BEGIN; SELECT 1 FROM "item_right"."item" FOR UPDATE')
      const error = errorOf(write())
      await waits()
      await nodes.clusters.right.kill()
      expect(await error).toMatchObject({ code: 'SHARD_UNAVAILABLE', details: { node: 'right' } })
      expect(await open.values('left')).toEqual([0, 0, 0, 0, 0])
      await until(async () => (await open.sessions('left')).every(({ state }) => !state.startsWith('idle in')))
      await nodes.clusters.right.restart()
      expect(await open.values('right')).toEqual([0, 0, 0, 0, 0])
    }
    await items().updateAll({ value: 6 })
    expect(await items().sum('value')).toBe(60)
  })

  it('undoes the caller’s transaction, on every node', async () => {
    const error = await errorOf(
      open.dataSource.transaction(async (manager) => {
        await manager.update(Item, { id: 2 }, { value: 5 })
        await manager.update(Item, { id: 3 }, { value: 5 })
        await nodes.clusters.right.kill()
        await manager.update(Item, { id: 5 }, { value: 5 })
      }),
    )
    expect(error).toMatchObject({ code: 'SHARD_UNAVAILABLE' })
    expect(await open.values('left')).toEqual([0, 0, 0, 0, 0])
    await nodes.clusters.right.restart()
    expect(await open.values('right')).toEqual([0, 0, 0, 0, 0])
    expect(await ids()).toEqual(all)
  })

  it('leaves it open whether a single write took effect', async () => {
    const client = await open.client('right')
    await client.query('BEGIN; SELECT 1 FROM "item_right"."item" FOR UPDATE')
    const error = errorOf(items().update({ id: 3 }, { value: 5 }))
    await waits()
    await nodes.clusters.right.kill()
    expect(await error).toMatchObject({ code: 'CONNECTION_LOST', labels: ['outcome-unknown'] })
  })
})
