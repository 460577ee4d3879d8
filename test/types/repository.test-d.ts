import { Column, Entity, MoreThan, PrimaryColumn, type Repository } from 'typeorm'
import { expectTypeOf } from 'vitest'
import {
  hash,
  type Page,
  type PageEdge,
  range,
  Sharded,
  ShardedDataSource,
  type ShardedRepository,
  ShardKey,
} from '../../src/index'

@Entity()
@Sharded(hash({ shards: 4 }))
class Order {
  @ShardKey()
  @PrimaryColumn('bigint')
  id!: string

  @Column('int')
  total!: number
}

const dataSource = new ShardedDataSource({ type: 'postgres', nodes: { a: { url: '' } } })
const orders = dataSource.getRepository(Order)

expectTypeOf(orders).toEqualTypeOf<ShardedRepository<Order>>()
expectTypeOf(orders).not.toBeAny()
expectTypeOf(orders).toExtend<Repository<Order>>()
expectTypeOf(dataSource.manager.getRepository(Order)).toEqualTypeOf<ShardedRepository<Order>>()

// Narrowed repositories keep what `extend` added, in every order of the calls.
const extended = orders.extend({ dear: () => orders.findBy({ total: MoreThan(100) }) })
for (const narrowed of [extended.onShard('order_00'), extended.withShardKey('1'), extended.acrossShards().onShard('x')])
  expectTypeOf(narrowed.dear()).toEqualTypeOf<Promise<Order[]>>()

expectTypeOf(orders.find({ where: { total: 1 }, order: { total: 'ASC' } })).toEqualTypeOf<Promise<Order[]>>()
expectTypeOf(orders.findOneBy({ id: '1' })).toEqualTypeOf<Promise<Order | null>>()
expectTypeOf(orders.findAndCount()).toEqualTypeOf<Promise<[Order[], number]>>()
expectTypeOf(orders.sum('total')).toEqualTypeOf<Promise<number | null>>()
expectTypeOf(orders.explain()).resolves.toHaveProperty('statements')
expectTypeOf(orders.explainPage({ take: 2 })).resolves.toHaveProperty('statements')
expectTypeOf(dataSource.locate(Order, '1').slot).toEqualTypeOf<number | undefined>()
expectTypeOf(dataSource.shards()[0]).not.toBeAny()

const page = orders.findPage({ where: { total: MoreThan(1) }, order: { total: 'DESC' }, take: 20 })
expectTypeOf(page).toEqualTypeOf<Promise<Page<Order>>>()
expectTypeOf(page).resolves.not.toBeAny()
expectTypeOf(dataSource.manager.findPage(Order, { take: 1 })).toEqualTypeOf<Promise<Page<Order>>>()
page.then(({ rows, endCursor, hasNextPage, edges, pageInfo }) => {
  expectTypeOf(rows).toEqualTypeOf<readonly Order[]>()
  expectTypeOf(endCursor).toEqualTypeOf<string | null>()
  expectTypeOf(hasNextPage).toEqualTypeOf<boolean>()
  expectTypeOf(edges).toEqualTypeOf<readonly PageEdge<Order>[]>()
  expectTypeOf(pageInfo.startCursor).toEqualTypeOf<string | null>()
  // Arguments of a GraphQL field are passed as they come.
  orders.findPage({ take: 20, after: endCursor })
  orders.findPage({ take: 20, last: true, before: endCursor })
})
// @ts-expect-error: a page has a size
orders.findPage({ order: { total: 'ASC' } })
// @ts-expect-error: a cursor stands in place of skip
orders.findPage({ take: 1, skip: 1 })
// @ts-expect-error: a page takes no lock
orders.findPage({ take: 1, lock: { mode: 'pessimistic_read' } })
// @ts-expect-error: a page is not cached
orders.findPage({ take: 1, cache: true })
// @ts-expect-error: a page starts at one cursor
orders.findPage({ take: 1, after: 'a', before: 'b' })
// @ts-expect-error: the entity has no such property
orders.findPage({ take: 1, order: { price: 'ASC' } })
// @ts-expect-error: a secret is a text or bytes
new ShardedDataSource({ type: 'postgres', nodes: {}, cursors: { secret: 5 } })

// @ts-expect-error: the entity has no such property
orders.find({ where: { price: 1 } })
// @ts-expect-error: the property is a number
orders.findBy({ total: 'much' })
// @ts-expect-error: only numbers can be summed
orders.sum('id')
// @ts-expect-error: a shard is asked for by its name
orders.onShard(3)
// @ts-expect-error: nodes are needed
new ShardedDataSource({ type: 'postgres', entities: [Order] })
// @ts-expect-error: the connection belongs to a node
new ShardedDataSource({ type: 'postgres', nodes: {}, url: '' })
// @ts-expect-error: a layout is one of two
new ShardedDataSource({ type: 'postgres', nodes: {}, layout: 'database' })
// @ts-expect-error: a sharding function or a colocation
Sharded({ shards: 4 })
// @ts-expect-error: a policy is one of three
Sharded(hash({ shards: 4 }), { scatter: { reads: 'never' } })
// @ts-expect-error: an interval has two bounds
range({ shards: { a: [1] } })
// @ts-expect-error: the number of shards is missing
hash({})
