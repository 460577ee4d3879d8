import type { QueryFailedError } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sqlState } from '../../src/endpoints/sql-state'
import type { ShardedDataSource, ShardedRepository } from '../../src/index'
import { Customer, Item, Order, Setting, shop } from '../parity/query-builder/shop'
import { openShop } from '../parity/query-builder/shop-rows'
import { type OpenTargets, openTargets } from '../support/targets'

describe('streams of a repository', () => {
  let targets: OpenTargets
  beforeAll(async () => {
    targets = await openTargets({ ...shop, seed: openShop })
  })
  afterAll(() => targets.close())

  const sharded = () => targets.sharded.map(({ dataSource }) => dataSource as ShardedDataSource)
  const all = async <T>(stream: AsyncIterable<T>): Promise<T[]> => {
    const found: T[] = []
    for await (const one of stream) found.push(one)
    return found
  }

  /** PostgreSQL promises no order of children. */
  const sorted = (order: Order): Order => {
    order.items?.sort((a, b) => Number(a.id) - Number(b.id))
    order.categories?.sort((a, b) => (a.name < b.name ? -1 : 1))
    return order
  }

  const finds: readonly (readonly [string, Parameters<ShardedRepository<Order>['stream']>[0]])[] = [
    ['in an order', { order: { total: 'DESC', id: 'ASC' } }],
    ['in an order of texts and nulls', { order: { note: { direction: 'DESC', nulls: 'LAST' }, id: 'ASC' } }],
    ['in an order by an enum', { order: { status: 'ASC', number: 'ASC' } }],
    ['of one key', { where: { customerId: '4' }, order: { total: 'ASC' } }],
    ['of a page', { order: { number: 'ASC' }, skip: 3, take: 7 }],
    ['of a selection', { select: { id: true, number: true }, order: { number: 'DESC' } }],
    [
      'of a selection beside a relation',
      { select: { number: true }, relations: { customer: true }, order: { number: 'ASC' } },
    ],
    [
      'of a selection of a relation',
      { select: { customer: { name: true } }, relations: { customer: true }, order: { number: 'ASC' } },
    ],
    ['with relations', { relations: { items: true, customer: true }, order: { number: 'ASC' } }],
    ['of a page with relations', { relations: { categories: true }, order: { number: 'DESC' }, skip: 2, take: 5 }],
    ['where a relation says so', { where: { customer: { name: 'eve' } }, order: { number: 'ASC' } }],
    ['of no rows', { where: { number: -1 } }],
  ]

  it.each(finds)('give the entities of find: %s', async (_name, options) => {
    const expected = await targets.plain.getRepository(Order).find(options)
    for (const dataSource of sharded()) {
      const found = await all(dataSource.getRepository(Order).stream(options))
      expect(found.map(sorted)).toEqual(expected.map(sorted))
      for (const order of found) expect(order).toBeInstanceOf(Order)
    }
  })

  it('give all entities once, without an order', async () => {
    const expected = await targets.plain.getRepository(Item).find()
    for (const dataSource of sharded()) {
      const found = await all(dataSource.getRepository(Item).stream())
      expect(found).toHaveLength(expected.length)
      expect(new Set(found.map(({ id }) => id))).toEqual(new Set(expected.map(({ id }) => id)))
    }
  })

  it('give unsharded entities', async () => {
    const expected = await targets.plain.getRepository(Setting).find({ order: { name: 'ASC' } })
    for (const dataSource of sharded())
      expect(await all(dataSource.getRepository(Setting).stream({ order: { name: 'ASC' } }))).toEqual(expected)
  })

  it.each([Order, Setting])('fail with the error of find', async (entity) => {
    const options = { order: { id: 'ASC' }, skip: 1e19 } as const
    const failed = (found: Promise<unknown>) =>
      found.catch((error: QueryFailedError) => [error.name, error.message, sqlState(error)])
    const expected = await failed(targets.plain.getRepository<{ id: unknown }>(entity).find(options))
    expect(expected).toEqual(['QueryFailedError', 'bigint out of range', '22003'])
    for (const dataSource of sharded()) {
      const repository = dataSource.getRepository<{ id: unknown }>(entity)
      const [first] = entity === Order ? dataSource.shards(Order) : []
      const narrowed = first ? [repository, repository.onShard(first.name)] : [repository]
      for (const one of narrowed) expect(await failed(all(one.stream(options)))).toEqual(expected)
    }
  })

  it('are narrowed to a shard, and to a key', async () => {
    for (const dataSource of sharded()) {
      const orders = dataSource.getRepository(Order)
      const { shard } = dataSource.locate(Customer, '4')
      const narrowed = orders.onShard(shard)
      expect(await all(narrowed.stream({ order: { number: 'ASC' } }))).toEqual(
        await narrowed.find({ order: { number: 'ASC' } }),
      )
      const ofKey = orders.withShardKey('4')
      expect(await all(ofKey.stream({ order: { number: 'ASC' } }))).toEqual(
        await ofKey.find({ order: { number: 'ASC' } }),
      )
    }
  })

  it('see what their transaction wrote', async () => {
    for (const dataSource of sharded()) {
      await expect(
        dataSource.transaction(async (manager) => {
          await manager.update(Order, { number: 6 }, { note: 'seen' })
          const orders = manager.getRepository(Order) as ShardedRepository<Order>
          const notes = (await all(orders.stream({ where: { note: 'seen' } }))).map(({ number }) => number)
          expect(notes).toEqual([6])
          throw new Error('undone')
        }),
      ).rejects.toThrow('undone')
    }
  })

  it('give their connections back when they are left, thirty times over', async () => {
    for (const dataSource of sharded()) {
      for (let round = 0; round < 30; round++)
        for await (const _ of dataSource.getRepository(Order).stream({ order: { number: 'ASC' } })) break
      await expect
        .poll(() => dataSource.runtime.nodes.map((node) => dataSource.runtime.pool(node).counts))
        .toEqual(
          dataSource.runtime.nodes.map((node) => {
            const { total } = dataSource.runtime.pool(node).counts
            return { total, idle: total, waiting: 0 }
          }),
        )
    }
  })

  it('refuse what is no option of a stream, at the first entity', async () => {
    for (const dataSource of sharded()) {
      const stream = dataSource.getRepository(Order).stream({ loadRelationIds: true } as never)
      await expect(all(stream)).rejects.toMatchObject({ code: 'STATEMENT_UNSUPPORTED' })
    }
  })
})
