import {
  Any,
  type DataSource,
  type EntityTarget,
  type FindManyOptions,
  type FindOptionsWhere,
  In,
  IsNull,
  LessThan,
  MoreThan,
  Not,
  type ObjectLiteral,
  Or,
} from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ShardedDataSource } from '../../src/index'
import { type OpenTargets, openTargets } from '../support/targets'
import {
  Badge,
  Category,
  Customer,
  Order,
  OrderLine,
  Product,
  Review,
  shopEntities,
  shopGroups,
  Visit,
  writeShop,
} from './shop-apart'

/** Lists whose order no find says, by their primary key or else by all that they have. */
function settled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(settled)
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  const copy: ObjectLiteral = Object.create(Object.getPrototypeOf(value))
  for (const [name, inner] of Object.entries(value)) {
    const one = settled(inner)
    copy[name] = Array.isArray(one) && name !== 'loadedWith' ? one.toSorted(byId) : one
  }
  return copy
}
const byId = (a: ObjectLiteral, b: ObjectLiteral): number =>
  a['id'] === undefined ? (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1) : Number(a['id']) - Number(b['id'])

describe('relations to rows elsewhere', () => {
  let targets: OpenTargets
  beforeAll(async () => {
    targets = await openTargets({ entities: [...shopEntities], groups: [...shopGroups], seed: writeShop })
  })
  afterAll(() => targets.close())

  async function same<Entity extends ObjectLiteral>(
    target: EntityTarget<Entity>,
    options: FindManyOptions<Entity>,
  ): Promise<ObjectLiteral[]> {
    const isOrdered = Object.keys(options.order ?? {}).includes('id')
    const find = async ({ manager }: DataSource) => {
      const found: ObjectLiteral[] = (await manager.find(target, options)).map((one) => Object(settled(one)))
      return isOrdered ? found : found.toSorted(byId)
    }
    const expected = await find(targets.plain)
    for (const { dataSource } of targets.sharded) expect(await find(dataSource)).toStrictEqual(expected)
    return expected
  }

  it('are loaded to one', async () => {
    const lines = await same(OrderLine, { relations: { product: true }, order: { id: 'ASC' } })
    expect(lines.filter((line) => line['product'] === null).length).toBeGreaterThan(5)
    await same(OrderLine, { relations: { product: true, order: { customer: true } }, order: { id: 'DESC' } })
    await same(Review, { relations: { author: true, product: true }, order: { id: 'ASC' } })
    await same(Review, { relations: { author: { referrer: true } }, order: { id: 'ASC' } })
    await same(Customer, { relations: { referrer: { referrer: true } }, order: { id: 'ASC' } })
    await same(Product, { relations: { category: true }, order: { id: 'ASC' } })
    await same(Customer, { where: { id: 3 }, relations: { referrer: true } })
  })

  it('are loaded to many', async () => {
    await same(Product, { relations: { lines: true }, order: { id: 'ASC' } })
    await same(Product, {
      relations: { lines: { order: { customer: true } }, reviews: { author: true } },
      order: { id: 'ASC' },
    })
    await same(Customer, {
      relations: { referred: true, reviews: { product: { category: true } } },
      order: { id: 'ASC' },
    })
    await same(Category, { relations: { products: { reviews: { author: { badge: true } } } }, order: { id: 'ASC' } })
    await same(Category, { where: { id: 2 }, relations: { products: true } })
  })

  it('are loaded one to one, and eagerly', async () => {
    await same(Customer, { relations: { badge: true }, order: { id: 'ASC' } })
    await same(Badge, { order: { id: 'ASC' } })
    await same(Badge, { order: { id: 'ASC' }, loadEagerRelations: false })
    await same(Badge, { order: { id: 'ASC' }, loadRelationIds: true })
    await same(Badge, { where: { id: 3 }, loadRelationIds: true })
    await same(Badge, { order: { id: 'ASC' }, loadRelationIds: { relations: ['customer'] } })
    await same(Badge, { order: { id: 'ASC' }, relations: { customer: { orders: true } } })
    await same(Review, { order: { id: 'ASC' }, relations: { author: { badge: true } } })
  })

  it('are loaded below joined ones', async () => {
    await same(Order, { relations: { customer: true, lines: { product: { category: true } } }, order: { id: 'ASC' } })
    await same(Customer, { relations: { orders: { lines: { product: true } } }, order: { id: 'ASC' } })
  })

  it('are loaded by queries, where a find says so', async () => {
    const relationLoadStrategy = 'query'
    await same(OrderLine, { relations: { product: true }, order: { id: 'ASC' }, relationLoadStrategy })
    await same(Order, { relations: { lines: { product: true } }, order: { id: 'ASC' }, relationLoadStrategy })
    await same(Product, { relations: { reviews: { author: true } }, order: { id: 'ASC' }, relationLoadStrategy })
    await same(Badge, { order: { id: 'ASC' }, relationLoadStrategy })
    await same(Category, { relations: { products: { lines: true } }, order: { id: 'ASC' }, relationLoadStrategy })
  })

  it('are objects of their own of joins, and shared of queries', async () => {
    for (const { manager } of [targets.plain, ...targets.sharded.map(({ dataSource }) => dataSource)]) {
      for (const relationLoadStrategy of ['join', 'query'] as const) {
        const reviews = await manager.find(Review, { relations: { author: true }, relationLoadStrategy })
        const authors = reviews.flatMap(({ author }) => author ?? [])
        const distinct = relationLoadStrategy === 'join' ? authors.length : new Set(authors.map(({ id }) => id)).size
        expect(new Set(authors).size).toBe(distinct)
      }
    }
  })

  it('are loaded with the columns that are selected', async () => {
    await same(OrderLine, {
      select: { id: true, product: { name: true } },
      relations: { product: true },
      order: { id: 'ASC' },
    })
    await same(Order, {
      select: { state: true, lines: { position: true, product: { price: true, category: { name: true } } } },
      relations: { lines: { product: { category: true } } },
      order: { id: 'ASC' },
    })
    await same(Badge, { select: { colour: true, customer: { name: true } }, order: { id: 'ASC' } })
    await same(Review, {
      select: { id: true, author: { badge: { colour: true } } },
      relations: { author: { badge: true } },
      order: { id: 'ASC' },
    })
  })

  it('are loaded with all columns where they are eager, whatever is selected', async () => {
    const order = { id: 'ASC' } as const
    const relations = { customer: { orders: true } }
    await same(Badge, { select: { id: true, customer: { name: true } }, relations: { customer: true }, order })
    await same(Badge, { select: { id: true, customer: { name: true, orders: { id: true } } }, relations, order })
  })

  it('are loaded into properties in the order of TypeORM', async () => {
    const keysOf = (value: unknown): unknown =>
      typeof value !== 'object' || value === null || value instanceof Date
        ? typeof value
        : Array.isArray(value)
          ? value.map(keysOf)
          : Object.entries(value).map(([name, inner]) => [name, keysOf(inner)])
    for (const relations of [
      { product: true, order: true },
      { order: { customer: true }, product: { category: true, reviews: true } },
    ]) {
      const options = { relations, order: { id: 'ASC' }, where: { id: In([1, 2]) } } as const
      const expected = keysOf(await targets.plain.manager.find(OrderLine, options))
      for (const { dataSource } of targets.sharded)
        expect(keysOf(await dataSource.manager.find(OrderLine, options))).toEqual(expected)
    }
  })

  it('refuse properties that there are none of, as TypeORM does', async () => {
    for (const { manager } of [targets.plain, ...targets.sharded.map(({ dataSource }) => dataSource)]) {
      for (const select of [
        { id: true, product: { nope: true } },
        { id: true, product: { name: true, nope: true } },
      ])
        for (const where of [{}, { id: -1 }])
          await expect(
            manager.find(OrderLine, { select: Object(select), relations: { product: true }, where }),
          ).rejects.toThrow('Property "nope" was not found')
    }
  })

  it('leave out what is deleted, or do not', async () => {
    for (const withDeleted of [true, false]) {
      await same(OrderLine, { relations: { product: { category: true } }, order: { id: 'ASC' }, withDeleted })
      await same(Category, { relations: { products: true }, order: { id: 'ASC' }, withDeleted })
    }
  })

  it('are loaded of a page', async () => {
    await same(OrderLine, { relations: { product: true }, skip: 5, take: 10 })
    await same(OrderLine, { relations: { product: true }, order: { position: 'DESC' }, take: 9 })
    await same(Order, {
      relations: { lines: { product: true } },
      order: { state: 'ASC', id: 'DESC' },
      skip: 3,
      take: 7,
    })
    await same(OrderLine, { relations: { product: true }, order: { id: 'ASC' }, take: 0 })
    const options = { relations: { author: true }, order: { stars: 'DESC' }, skip: 2, take: 5 } as const
    const expected = await targets.plain.manager.findAndCount(Review, options)
    for (const { dataSource } of targets.sharded) {
      expect(await dataSource.manager.findAndCount(Review, options)).toStrictEqual(expected)
      expect(await dataSource.manager.count(Review, options)).toBe(25)
      expect(
        await dataSource.manager.findOne(Review, { where: { stars: 3 }, relations: { author: true } }),
      ).toStrictEqual(await targets.plain.manager.findOne(Review, { where: { stars: 3 }, relations: { author: true } }))
    }
  })

  it('take one statement a node and level', async () => {
    for (const { dataSource } of targets.sharded) {
      if (!(dataSource instanceof ShardedDataSource)) throw new Error('It is sharded.')
      const { manager } = dataSource
      const findAll = async (where: FindOptionsWhere<OrderLine & Customer>): Promise<void> => {
        await manager.find(OrderLine, { where, relations: { product: true } })
        await manager.find(OrderLine, { where, relations: { product: { reviews: true }, order: true } })
        // An eager relation is a level of its own: Badge.customer.
        await manager.find(Customer, { where, relations: { referrer: true, badge: true } })
      }
      // Types of columns are learnt once.
      await findAll({})
      const counts: Record<string, number> = {}
      const stop = dataSource.onStatement(({ node }) => {
        counts[node] = (counts[node] ?? 0) + 1
      })
      await findAll({})
      // A node that owns none of some keys is not asked for them.
      expect(Math.max(...Object.values(counts))).toBe(2 + 2 + 4)
      stop()
      const explained = await manager.explain(OrderLine, {
        relations: { product: { reviews: { author: true } }, order: true },
      })
      expect(explained.steps.filter((step) => step.startsWith('load '))).toEqual([
        'load OrderLine.product by its keys, from the nodes that own them',
        'load Review.author by its keys, from the nodes that own them',
      ])
      expect(explained.statements.map(({ text }) => text).join()).not.toMatch(/product"/)
    }
  })

  it('come in the order that is asked for, after a total order of the rows', async () => {
    for (const { manager } of [targets.plain, ...targets.sharded.map(({ dataSource }) => dataSource)]) {
      const products = await manager.find(Product, {
        relations: { lines: true },
        order: { id: 'ASC', lines: { position: 'DESC', id: 'ASC' } },
      })
      expect(products.map(({ lines }) => lines.map(({ id }) => id))).toEqual(
        products.map(({ lines }) =>
          lines.toSorted((a, b) => b.position - a.position || a.id - b.id).map(({ id }) => id),
        ),
      )
      expect(products.some(({ lines }) => lines.length > 3)).toBe(true)
    }
  })

  it('are conditions, and orders', async () => {
    const id = 'ASC'
    await same(OrderLine, { where: { product: { name: 'product 2' } }, order: { id } })
    await same(OrderLine, { where: { product: { id: 3 } }, relations: { product: true }, order: { id } })
    await same(OrderLine, { where: [{ product: { id: In([1, 6, 99]) } }, { position: 4 }], order: { id } })
    await same(OrderLine, {
      where: { product: { price: Not('3.50'), reviews: { stars: MoreThan(2) } } },
      order: { id },
    })
    await same(Product, { where: { lines: { position: LessThan(3) } }, relations: { lines: true }, order: { id } })
    await same(Product, { where: { category: { id: 2 } }, order: { id } })
    await same(Category, {
      where: { products: { price: MoreThan('4') } },
      relations: { products: true },
      order: { id },
    })
    await same(Customer, { where: { referrer: { name: 'customer 3' } }, relations: { referrer: true }, order: { id } })
    await same(Customer, { where: { referrer: IsNull() }, order: { id } })
    await same(Review, { relations: { author: true }, order: { author: { name: 'DESC' }, id }, take: 9, skip: 2 })
    await same(Review, {
      where: { author: { badge: { colour: 'colour 2' } }, product: { category: { id: 1 } } },
      order: { id },
    })
    for (const { manager } of [targets.plain, ...targets.sharded.map(({ dataSource }) => dataSource)]) {
      expect(await manager.countBy(OrderLine, { product: { name: 'product 2' } })).toBe(11)
      expect(await manager.existsBy(OrderLine, { product: { name: 'none' } })).toBe(false)
      expect(await manager.sum(OrderLine, 'position', { product: { id: 3 } })).toBe(18)
    }
  })

  it('are loaded of pages by cursor, and of streams', async () => {
    const order = { id: 'ASC' } as const
    const all = {
      [OrderLine.name]: [OrderLine, { relations: { product: { category: true }, order: true }, order }],
      [Product.name]: [Product, { relations: { lines: { order: true } }, where: { category: { id: 1 } }, order }],
      [Badge.name]: [Badge, { order }],
      [Category.name]: [Category, { relations: { products: { reviews: true } }, order }],
      few: [
        Review,
        { relations: { author: true }, select: { id: true, productId: true, author: { name: true } }, order },
      ],
    } as const
    for (const [target, options] of Object.values(all)) {
      const expected = (await targets.plain.manager.find<ObjectLiteral>(target, options)).map(settled)
      for (const { dataSource } of targets.sharded) {
        if (!(dataSource instanceof ShardedDataSource)) throw new Error('It is sharded.')
        const { manager } = dataSource
        const rows: unknown[] = []
        let cursor: string | null | undefined
        do {
          const page = await manager.findPage<ObjectLiteral>(target, { ...options, take: 7, after: cursor })
          rows.push(...page.rows.map(settled))
          cursor = page.hasNextPage ? page.endCursor : null
        } while (cursor)
        expect(rows).toStrictEqual(expected)
        const streamed: unknown[] = []
        for await (const entity of manager.stream<ObjectLiteral>(target, options)) streamed.push(settled(entity))
        expect(streamed).toStrictEqual(expected)
      }
    }
  })

  it('are conditions on the join column, where a condition has the key alone', async () => {
    const order = { id: 'ASC' } as const
    const keys = [
      In([1, 3, 99]),
      Not(2),
      IsNull(),
      Not(IsNull()),
      MoreThan(4),
      Any([2, 5]),
      Or(LessThan(2), MoreThan(7)),
    ]
    for (const id of [5, ...keys]) {
      await same(Review, { where: { author: { id } }, order })
      await same(OrderLine, { where: { product: { id } }, withDeleted: true, order })
      await same(OrderLine, { where: { product: { id } }, order })
      await same(Product, { where: { category: { id } }, relations: { category: true }, order })
    }
    await same(Review, { where: { author: { id: 3 } }, relations: { author: true }, order })
    await same(Review, { where: [{ author: { id: 3 } }, { stars: 4, author: { id: MoreThan(5) } }], order })
    await same(Review, { where: { author: { referrer: { id: 2 }, name: Not('customer 4') } }, order })
    await same(Review, { where: { stars: MoreThan(1), author: { id: 3 } }, take: 1 })
    await same(Review, { where: { author: { id: MoreThan(2) } }, order: { stars: 'DESC' }, skip: 2, take: 7 })
    await same(Product, { where: { category: { id: 1 } }, order: { name: 'DESC' }, take: 2 })
    for (const { manager } of [targets.plain, ...targets.sharded.map(({ dataSource }) => dataSource)]) {
      expect(await manager.countBy(Review, { author: { id: 3 } })).toBe(2)
      expect(await manager.sum(Review, 'stars', { author: { id: 3 } })).toBe(2)
      expect((await manager.findOneBy(Review, { author: { id: MoreThan(2) } }))?.id).toBe(2)
      await expect(manager.findBy(Review, { author: { id: Object(undefined) } })).rejects.toThrow()
      await expect(manager.findBy(Review, { author: { id: 'three' as never } })).rejects.toMatchObject({
        code: '22P02',
      })
    }
  })

  it('take no statement and no table more for a condition on the key alone', async () => {
    for (const { dataSource, shards } of targets.sharded) {
      if (!(dataSource instanceof ShardedDataSource)) throw new Error('It is sharded.')
      const { manager } = dataSource
      const texts: string[] = []
      const stop = dataSource.onStatement(({ text }) => void texts.push(text))
      await manager.findBy(Review, { author: { id: 3 } })
      stop()
      expect(texts.length).toBe(Math.min(2, shards))
      for (const text of texts) expect(text).not.toMatch(/JOIN|customer"/)
      // Badge.customer and Customer.referrer are no shard keys; Review.product is one, within its group.
      const explained = await manager.explain(Review, { where: { author: { id: In([3, 4]) } } })
      expect(explained.statements.map(({ text }) => text).join()).not.toMatch(/JOIN/)
    }
  })

  it('are loaded lazily, and by a builder of relations', async () => {
    const results = []
    for (const { manager } of [targets.plain, ...targets.sharded.map(({ dataSource }) => dataSource)]) {
      const visits = await manager.find(Visit, { order: { id: 'ASC' } })
      const customers = await Promise.all(visits.map(({ customer }) => customer))
      const products = await Promise.all(visits.map(({ product }) => product))
      const [first] = await manager.find(Customer, { where: { id: 2 } })
      const visited = await first?.visits
      const reviews = await manager.createQueryBuilder().relation(Customer, 'reviews').of(3).loadMany<Review>()
      const referrer = await manager.createQueryBuilder().relation(Customer, 'referrer').of(4).loadOne<Customer>()
      results.push({
        customers: customers.map((one) => one?.id),
        products: products.map((one: Product | null) => one?.id),
        visited: visited?.map(({ id }) => id).sort(),
        reviews: reviews.map(({ id }) => id).sort(),
        referrer: referrer?.id,
      })
    }
    expect(results[0]?.customers.filter((id) => id !== undefined).length).toBe(12)
    for (const result of results) expect(result).toEqual(results[0])
  })

  it('are looked through for keys of no row', async () => {
    for (const { dataSource } of targets.sharded) {
      if (!(dataSource instanceof ShardedDataSource)) throw new Error('It is sharded.')
      await dataSource.manager.insert(Visit, { id: 999, productId: 1, customer: Object({ id: 777 }) })
      const reports = await dataSource.verifyRelations()
      expect(reports.map(({ entity, property }) => `${entity}.${property}`).sort()).toEqual([
        'Badge.customer',
        'Customer.referrer',
        'OrderLine.product',
        'Product.category',
        'Review.author',
        'Visit.customer',
      ])
      expect(reports.filter(({ missing }) => missing > 0)).toEqual([
        { entity: 'Visit', property: 'customer', keys: 7, missing: 1, examples: [['777']] },
      ])
      await dataSource.manager.delete(Visit, 999)
    }
  })
})
