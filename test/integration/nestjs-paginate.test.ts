import {
  FilterOperator,
  FilterSuffix,
  type PaginateConfig,
  type Paginated,
  type PaginateQuery,
  PaginationType,
  paginate,
} from 'nestjs-paginate'
import { type EntityTarget, IsNull, MoreThan, Not, type ObjectLiteral } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { expectExactOrRefused } from '../parity/query-builder/builders'
import { Category, Customer, Item, Order, shop, Warehouse } from '../parity/query-builder/shop'
import { openShop } from '../parity/query-builder/shop-rows'
import { type OpenTargets, openTargets } from '../support/targets'

/** nestjs-paginate on sharded repositories: data, meta and links are those of plain TypeORM. */
describe('nestjs-paginate', () => {
  let opened: OpenTargets | undefined
  beforeAll(async () => {
    opened = await openTargets({ ...shop, seed: openShop })
  })
  afterAll(() => opened?.close())
  const targets = (): OpenTargets => {
    if (!opened) throw new Error('The data sources are opened in beforeAll.')
    return opened
  }

  type Query = Omit<PaginateQuery, 'path'>

  /** Children are joined without an order of their own: PostgreSQL promises none. */
  const withChildrenInOrder = <T extends ObjectLiteral>(answer: Paginated<T>): Paginated<T> => {
    for (const row of answer.data) sortChildren(row)
    return answer
  }

  /** Asks plain TypeORM, then every sharding: the answers are the same, to the last property. */
  async function ask<T extends ObjectLiteral>(
    entity: EntityTarget<T>,
    config: PaginateConfig<T>,
    query: Query = {},
  ): Promise<Paginated<T>> {
    const on = async ({ dataSource }: Pick<OpenTargets['sharded'][number], 'dataSource'>) =>
      withChildrenInOrder(
        await paginate<T>({ path: 'http://localhost/shop', ...query }, dataSource.getRepository(entity), { ...config }),
      )
    const plain = await on({ dataSource: targets().plain })
    for (const target of targets().sharded) {
      const answer = await on(target)
      expect(answer, target.name).toStrictEqual(plain)
    }
    return plain
  }

  const customers: PaginateConfig<Customer> = {
    sortableColumns: ['id', 'name', 'points', 'score', 'balance', 'tier', 'address.city', 'seenAt'],
    searchableColumns: ['name', 'email', 'address.city'],
    defaultSortBy: [['id', 'ASC']],
    filterableColumns: {
      id: true,
      name: true,
      email: true,
      points: true,
      tier: true,
      balance: true,
      active: true,
      tags: true,
      'address.city': true,
      'orders.number': true,
      'orders.status': true,
      'orders.total': true,
      'orders.items.quantity': true,
      'categories.name': true,
    },
  }
  const orders: PaginateConfig<Order> = {
    sortableColumns: ['number', 'total', 'placedAt', 'note', 'customerId', 'customer.points', 'customer.name'],
    searchableColumns: ['note', 'customer.name', 'items.sku'],
    defaultSortBy: [['number', 'ASC']],
    filterableColumns: {
      customerId: true,
      number: true,
      status: true,
      note: true,
      total: true,
      placedAt: true,
      'customer.id': true,
      'customer.tier': true,
      'items.quantity': true,
      'items.attributes.colour': true,
      'categories.name': true,
      'payment.method': true,
    },
  }
  const idsOf = ({ data }: Paginated<Customer>): string[] => data.map(({ id }) => id)
  const numbersOf = ({ data }: Paginated<Order>): number[] => data.map(({ number }) => number)

  describe('pages', () => {
    it.each([1, 2, 3, 4, 5, 6])('gives page %i', async (page) => {
      const answer = await ask(Order, orders, { page, limit: 5 })
      const all = [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22, 23]
      expect(numbersOf(answer)).toEqual(all.slice((page - 1) * 5, page * 5))
      expect(answer.meta).toMatchObject({
        totalItems: 21,
        totalPages: 5,
        itemsPerPage: 5,
        currentPage: Math.min(page, 5),
      })
    })
    it('gives the first page by default, with links', async () => {
      const { data, links } = await ask(Customer, customers)
      expect(data).toHaveLength(11)
      expect(data[0]).toBeInstanceOf(Customer)
      expect(links.current).toBe('http://localhost/shop?page=1&limit=20&sortBy=id:ASC')
    })
    it('bounds the limit', async () => {
      const { data, meta, links } = await ask(Customer, { ...customers, maxLimit: 4 }, { limit: 100, page: 2 })
      expect(data.map(({ id }) => id)).toEqual(['5', '6', '7', '8'])
      expect([meta.itemsPerPage, meta.totalPages]).toEqual([4, 3])
      expect(links.next).toContain('page=3')
    })
    it('has a default limit', async () => {
      expect(idsOf(await ask(Customer, { ...customers, defaultLimit: 3 }))).toEqual(['1', '2', '3'])
    })
    it('gives all rows where the limit is -1', async () => {
      const { data, meta } = await ask(Order, { ...orders, maxLimit: -1 }, { limit: -1 })
      expect([data.length, meta.totalItems, meta.totalPages]).toEqual([21, 21, 1])
    })
    it('gives only the count where the limit is 0', async () => {
      const { data, meta } = await ask(Order, orders, { limit: 0 })
      expect([data, meta.totalItems]).toEqual([[], 21])
    })
    it('uses limit and offset', async () => {
      const config = { ...orders, paginationType: PaginationType.LIMIT_AND_OFFSET }
      expect(numbersOf(await ask(Order, config, { page: 3, limit: 4 }))).toEqual([10, 11, 12, 13])
    })
    it('gives no row for a condition that none fulfils', async () => {
      const { data, meta } = await ask(Customer, customers, { filter: { points: '$gt:1000' } })
      expect([data, meta.totalItems]).toEqual([[], 0])
    })
    it('counts by a query of its own', async () => {
      const { meta } = await ask(Customer, { ...customers, optimizedCount: true, relations: ['orders'] }, { limit: 2 })
      expect(meta.totalItems).toBe(11)
    })
    it('takes a condition of the application', async () => {
      expect(
        idsOf(await ask(Customer, { ...customers, where: { points: MoreThan(200), email: Not(IsNull()) } })),
      ).toEqual(['3', '7', '11'])
      expect(idsOf(await ask(Customer, { ...customers, where: { id: '7' } }))).toEqual(['7'])
      expect(idsOf(await ask(Customer, { ...customers, where: [{ id: '7' }, { tier: 'gold' }] }))).toEqual([
        '3',
        '6',
        '7',
        '9',
      ])
    })
    it('takes a query builder', async () => {
      const on = (dataSource: OpenTargets['plain']) =>
        paginate(
          { path: '', limit: 2 },
          dataSource.getRepository(Customer).createQueryBuilder('c').where('c.points >= :p', { p: 200 }),
          customers,
        )
      const plain = await on(targets().plain)
      expect(plain.data.map(({ id }) => id)).toEqual(['2', '3'])
      expect(plain.meta.totalItems).toBe(6)
      for (const { dataSource, name } of targets().sharded) expect(await on(dataSource), name).toStrictEqual(plain)
    })
  })

  describe('sorts', () => {
    it.each([
      [
        'a number downwards',
        [
          ['points', 'DESC'],
          ['id', 'ASC'],
        ],
        ['3', '7', '11', '2', '6', '10', '1', '5', '9', '4', '8'],
      ],
      ['a text', [['name', 'ASC']], undefined],
      [
        'an enum',
        [
          ['tier', 'DESC'],
          ['id', 'DESC'],
        ],
        ['9', '6', '3', '10', '7', '4', '1', '11', '8', '5', '2'],
      ],
      ['nulls of a numeric', [['balance', 'DESC']], ['7', '11', '10', '9', '8', '6', '5', '4', '3', '2', '1']],
      [
        'ties of nulls',
        [
          ['score', 'ASC'],
          ['id', 'DESC'],
        ],
        ['1', '2', '3', '4', '6', '7', '8', '9', '11', '10', '5'],
      ],
      ['microseconds', [['seenAt', 'ASC']], ['11', '3', '6', '9', '1', '4', '7', '10', '2', '5', '8']],
      [
        'an embedded',
        [
          ['address.city', 'ASC'],
          ['id', 'ASC'],
        ],
        ['1', '5', '9', '3', '4', '7', '8', '11', '2', '6', '10'],
      ],
    ] as const)('by %s', async (_name, sortBy, expected) => {
      const answer = await ask(Customer, customers, { sortBy: sortBy.map(([column, way]) => [column, way]) })
      if (expected) expect(idsOf(answer)).toEqual(expected)
      expect(new Set(idsOf(answer)).size).toBe(11)
    })
    it.each(['first', 'last'] as const)('puts nulls %s', async (nullSort) => {
      const answer = await ask(
        Customer,
        { ...customers, nullSort },
        {
          sortBy: [
            ['score', 'ASC'],
            ['id', 'ASC'],
          ],
          limit: 20,
        },
      )
      expect(nullSort === 'first' ? idsOf(answer).slice(0, 2) : idsOf(answer).slice(-2)).toEqual(['5', '10'])
    })
    it('by a column of a relation', async () => {
      const answer = await ask(
        Order,
        { ...orders, relations: ['customer'] },
        {
          sortBy: [
            ['customer.points', 'DESC'],
            ['number', 'DESC'],
          ],
          limit: 6,
        },
      )
      expect(numbersOf(answer)).toEqual([23, 22, 21, 13, 12, 6])
      expect(answer.data.map(({ customer }) => customer?.id ?? null)).toEqual([null, null, '11', '7', '7', '3'])
      expect(answer.data[2]?.customer).toBeInstanceOf(Customer)
    })
    it('by the shard key of a child', async () => {
      const answer = await ask(Order, orders, {
        sortBy: [
          ['customerId', 'DESC'],
          ['number', 'ASC'],
        ],
        limit: 4,
      })
      expect(numbersOf(answer)).toEqual([22, 23, 21, 17])
    })
    it('by the first of two columns that is set', async () => {
      const config: PaginateConfig<Customer> = { ...customers, sortableColumns: ['id', 'email', 'name'] }
      const answer = await ask(Customer, config, {
        sortBy: [
          [['email', 'name'], 'ASC'],
          ['id', 'ASC'],
        ],
      })
      expect(answer.data).toHaveLength(11)
    })
    it('leaves out what cannot be sorted by', async () => {
      expect(idsOf(await ask(Customer, customers, { sortBy: [['email', 'DESC']] }))[0]).toBe('1')
    })
  })

  describe('searches', () => {
    it('in texts with accents', async () => {
      expect(idsOf(await ask(Customer, customers, { search: 'É' }))).toEqual(['2', '8'])
    })
    it('in some columns', async () => {
      expect(idsOf(await ask(Customer, customers, { search: 'o', searchBy: ['name'] }))).toEqual(['3', '5', '7'])
      expect(idsOf(await ask(Customer, customers, { search: 'oslo' }))).toEqual(['1', '5', '9'])
    })
    it('for several words', async () => {
      expect(idsOf(await ask(Customer, { ...customers, multiWordSearch: true }, { search: 'paris example' }))).toEqual([
        '3',
        '7',
        '11',
      ])
    })
    it('in relations', async () => {
      const config = { ...orders, relations: ['customer', 'items'] as ('customer' | 'items')[] }
      const answer = await ask(Order, config, { search: 'dora' })
      expect(numbersOf(answer)).toEqual([12, 13])
      expect(answer.data.map(({ items }) => items.length)).toEqual([1, 2])
      const items = await ask(Order, config, { search: 'sku-3', limit: 3 })
      expect(items.data).toHaveLength(3)
    })
    it('with a filter', async () => {
      const answer = await ask(Customer, customers, { search: 'a', filter: { points: '$gte:200' } })
      expect(idsOf(answer)).toEqual(['2', '3', '6', '7', '10', '11'])
    })
  })

  describe('filters', () => {
    const cases: readonly (readonly [PaginateQuery['filter'], readonly string[]])[] = [
      [{ id: '7' }, ['7']],
      [{ id: '$eq:7' }, ['7']],
      [{ id: '$in:1,5,9' }, ['1', '5', '9']],
      [{ id: '$not:$eq:7', points: '300' }, ['3', '11']],
      [{ id: '$gt:9' }, ['10', '11']],
      [{ id: '$btw:3,5' }, ['3', '4', '5']],
      [{ points: '$gte:300' }, ['3', '7', '11']],
      [{ points: '$lt:100' }, ['4', '8']],
      [{ points: '$lte:100', active: 'true' }, ['1', '5', '9']],
      [{ points: '$btw:150,250' }, ['2', '6', '10']],
      [{ points: '$not:$btw:50,250' }, ['3', '4', '7', '8', '11']],
      [{ email: '$null' }, ['4', '8']],
      [{ email: '$not:$null', points: '200' }, ['2', '6', '10']],
      [{ balance: '$null' }, ['7']],
      [{ balance: '$gt:50' }, ['9', '10', '11']],
      [{ name: '$ilike:É' }, ['2', '8']],
      [{ name: '$sw:f' }, ['11']],
      [{ name: '$not:$ilike:a', points: '100' }, ['5', '9']],
      [{ tier: '$in:gold,silver', points: '$gte:200' }, ['2', '3', '6', '11']],
      [{ tier: ['$eq:gold', '$eq:bronze'] }, []],
      [{ tags: '$contains:a,t5' }, ['5']],
      [{ tags: '$contains:a', points: '300' }, ['3', '7', '11']],
      [{ 'address.city': 'Oslo' }, ['1', '5', '9']],
      [{ 'orders.number': '14' }, ['8']],
      [{ 'orders.status': 'paid', id: '$in:3,4' }, ['3', '4']],
      [{ 'orders.total': '$gt:100' }, ['8']],
      [{ 'orders.number': '$none:$gt:0' }, ['5', '10']],
      [{ 'orders.items.quantity': '$gte:4' }, ['3', '6', '9']],
      [{ 'categories.name': 'office' }, ['2', '5', '8', '11']],
      [{ 'categories.name': '$none:$eq:home' }, ['3', '6', '9']],
    ]
    it.each(cases.map(([filter, expected]) => [JSON.stringify(filter), filter, expected] as const))(
      '%s',
      async (_name, filter, expected) => {
        const answer = await ask(Customer, customers, filter ? { filter } : {})
        expect(idsOf(answer)).toEqual(expected)
        expect(answer.meta.totalItems).toBe(expected.length)
      },
    )

    const ofOrders: readonly (readonly [PaginateQuery['filter'], readonly number[]])[] = [
      [{ customerId: '4' }, [7, 8, 9, 10]],
      [{ customerId: '$in:4,9', status: '$not:$eq:paid' }, [7, 8, 10, 18, 19]],
      [{ 'customer.id': '4' }, [7, 8, 9, 10]],
      [{ 'customer.tier': 'gold' }, [4, 5, 6, 11, 17, 18, 19]],
      [{ placedAt: '$gte:2024-01-11' }, [21, 22, 23]],
      [{ note: '$null' }, [6, 9, 12, 15, 18, 21]],
      [{ 'items.quantity': '4' }, [5, 11, 17, 23]],
      [{ 'items.attributes.colour': 'red', customerId: '4' }, [7, 8, 10]],
      [{ 'payment.method': 'cash' }, [4, 8, 12, 16]],
      [{ 'categories.name': 'home' }, [9, 12, 15, 21]],
    ]
    it.each(ofOrders.map(([filter, expected]) => [JSON.stringify(filter), filter, expected] as const))(
      'orders %s',
      async (_name, filter, expected) => {
        expect(numbersOf(await ask(Order, orders, filter ? { filter } : {}))).toEqual(expected)
      },
    )

    it.each([
      ['points=$eq:300 AND tier=$eq:gold', ['3']],
      ['id=$eq:7 OR id=$eq:2', ['2', '7']],
      ['(id=$eq:7 OR tier=$eq:gold) AND NOT points=$eq:300', ['6', '9']],
      ['NOT (points=$gt:0)', ['4', '8']],
      ['orders.number=$eq:14 OR points=$eq:300', ['3', '7', '8', '11']],
      ['NOT orders.number=$gt:0', ['5', '10']],
    ])('by the expression %s', async (filterExpression, expected) => {
      expect(idsOf(await ask(Customer, customers, { filterExpression }))).toEqual(expected)
    })

    it('asks with $all about the children of all parents, in every shard', async () => {
      const filter = { 'items.quantity': '$all:$gte:1' }
      const on = (dataSource: OpenTargets['plain']) =>
        paginate({ path: '', filter }, dataSource.getRepository(Order), { ...orders }).then(numbersOf)
      const plain = await on(targets().plain)
      for (const target of targets().sharded) await expectExactOrRefused(target, () => on(target.dataSource), plain)
    })

    it('ignores what may not be filtered, or refuses it', async () => {
      expect(idsOf(await ask(Customer, customers, { filter: { score: '1' } }))).toHaveLength(11)
      const strict: PaginateConfig<Customer> = {
        ...customers,
        filterableColumns: { id: [FilterOperator.EQ, FilterSuffix.NOT] },
        throwOnInvalidFilter: true,
      }
      for (const { dataSource } of [{ dataSource: targets().plain }, ...targets().sharded])
        await expect(
          paginate({ path: '', filter: { id: '$gt:1' } }, dataSource.getRepository(Customer), strict),
        ).rejects.toThrow()
    })
  })

  describe('relations', () => {
    it('loads children of a page', async () => {
      const answer = await ask(Customer, { ...customers, relations: { orders: true } }, { page: 2, limit: 3 })
      expect(answer.data.map(({ id, orders: own }) => [id, own.length])).toEqual([
        ['4', 4],
        ['5', 0],
        ['6', 1],
      ])
    })
    it('loads relations of relations', async () => {
      const answer = await ask(
        Customer,
        { ...customers, relations: { orders: { items: true, payment: true } } },
        { limit: 4, sortBy: [['id', 'DESC']] },
      )
      expect(idsOf(answer)).toEqual(['11', '10', '9', '8'])
      expect(answer.data[2]?.orders.flatMap(({ items }) => items)).toHaveLength(6)
    })
    it('loads through a junction', async () => {
      const answer = await ask(Order, { ...orders, relations: ['categories'] }, { filter: { customerId: '4' } })
      expect(answer.data.map(({ categories }) => categories.length)).toEqual([1, 0, 2, 0])
    })
    it('loads eager relations', async () => {
      const answer = await ask(Order, { ...orders, loadEagerRelations: true }, { limit: 3 })
      expect(answer.data.map(({ payment }) => payment?.method ?? null)).toEqual([null, 'card', 'cash'])
    })
    it('joins inner where it is told', async () => {
      const answer = await ask(Customer, {
        ...customers,
        relations: ['orders'],
        joinMethods: { orders: 'innerJoinAndSelect' },
      })
      expect(idsOf(answer)).toEqual(['1', '2', '3', '4', '6', '7', '8', '9', '11'])
    })
    it('pages children', async () => {
      const config: PaginateConfig<Item> = {
        sortableColumns: ['id', 'price'],
        relations: ['order'],
        filterableColumns: { 'order.number': true },
      }
      const answer = await ask(Item, config, {
        sortBy: [
          ['price', 'DESC'],
          ['id', 'ASC'],
        ],
        limit: 3,
        page: 2,
      })
      expect(answer.data).toHaveLength(3)
      expect(answer.data.every(({ order }) => order instanceof Order || order === null)).toBe(true)
    })
    it('pages entities with two keys', async () => {
      const config: PaginateConfig<Category> = {
        sortableColumns: ['customerId', 'name'],
        filterableColumns: { name: true },
      }
      const answer = await ask(Category, config, {
        sortBy: [
          ['name', 'DESC'],
          ['customerId', 'ASC'],
        ],
        limit: 5,
      })
      expect(answer.data.map(({ customerId, name }) => `${customerId} ${name}`)).toEqual([
        '2 office',
        '5 office',
        '8 office',
        '11 office',
        '1 home',
      ])
    })
    it('pages another group', async () => {
      const config: PaginateConfig<Warehouse> = { sortableColumns: ['code', 'capacity'], searchableColumns: ['city'] }
      const answer = await ask(Warehouse, config, { search: 'paris', sortBy: [['capacity', 'DESC']] })
      expect(answer.data.map(({ code }) => code)).toEqual(['W5', 'W1'])
    })
  })

  describe('selects', () => {
    it('some columns', async () => {
      const answer = await ask(Customer, { ...customers, select: ['id', 'name'] }, { limit: 2 })
      expect(answer.data).toEqual([
        { id: '1', name: 'Ada' },
        { id: '2', name: 'Émile' },
      ])
    })
    it('what the query asks for, and keys', async () => {
      const answer = await ask(
        Customer,
        { ...customers, select: ['id', 'name', 'points'] },
        { limit: 1, select: ['points'] },
      )
      expect(answer.data).toEqual([{ id: '1', points: 100 }])
    })
    it('columns of relations', async () => {
      const answer = await ask(
        Customer,
        { ...customers, relations: ['orders'], select: ['id', 'orders.id', 'orders.number'] },
        { filter: { id: '7' } },
      )
      expect(answer.data[0]?.orders.map(({ number }) => number).toSorted()).toEqual([12, 13])
      expect(Object.keys(answer.data[0]?.orders[0] ?? {}).toSorted()).toEqual(['id', 'number'])
    })
    it('everything by a star', async () => {
      const answer = await ask(Warehouse, { sortableColumns: ['code'], select: ['*'] }, { limit: 1 })
      expect(answer.data).toEqual([{ code: 'W1', city: 'Paris', capacity: 100 }])
    })
  })

  describe('deleted rows', () => {
    it('are hidden, or shown', async () => {
      expect((await ask(Customer, customers)).meta.totalItems).toBe(11)
      expect((await ask(Customer, { ...customers, withDeleted: true })).meta.totalItems).toBe(12)
      expect(
        (await ask(Customer, { ...customers, allowWithDeletedInQuery: true }, { withDeleted: true })).meta.totalItems,
      ).toBe(12)
    })
    it('of relations', async () => {
      const answer = await ask(
        Customer,
        { ...customers, withDeleted: true, relations: ['orders'] },
        { filter: { id: '2' } },
      )
      expect(answer.data[0]?.orders.map(({ number }) => number).toSorted()).toEqual([2, 3])
    })
  })

  describe('cursors', () => {
    const cursorOf = (link: string | undefined): string | undefined =>
      link === undefined ? undefined : (new URL(link).searchParams.get('cursor') ?? undefined)

    it.each([
      ['id', 'ASC', ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11']],
      ['id', 'DESC', ['11', '10', '9', '8', '7', '6', '5', '4', '3', '2', '1']],
      ['balance', 'ASC', ['1', '2', '3', '4', '5', '6', '8', '9', '10', '11', '7']],
      ['balance', 'DESC', ['11', '10', '9', '8', '6', '5', '4', '3', '2', '1', '7']],
    ] as const)('walk by %s %s to the end and back', async (column, way, expected) => {
      const config = { ...customers, paginationType: PaginationType.CURSOR }
      const seen: string[][] = []
      let cursor: string | undefined
      let back: string | undefined
      for (let page = 0; page < 5; page++) {
        const answer = await ask(Customer, config, {
          limit: 3,
          sortBy: [[column, way]],
          ...(cursor !== undefined && { cursor }),
        })
        if (answer.data.length === 0) break
        seen.push(idsOf(answer))
        cursor = cursorOf(answer.links.next)
        back = cursorOf(answer.links.previous)
      }
      expect(seen.flat()).toEqual(expected)
      const reversed = way === 'ASC' ? 'DESC' : 'ASC'
      const before = await ask(Customer, config, {
        limit: 3,
        sortBy: [[column, reversed]],
        ...(back !== undefined && { cursor: back }),
      })
      expect(before.data).toHaveLength(3)
    })
    it('walk by two columns', async () => {
      const config = { ...customers, paginationType: PaginationType.CURSOR }
      const first = await ask(Customer, config, {
        limit: 4,
        sortBy: [
          ['points', 'DESC'],
          ['id', 'ASC'],
        ],
      })
      expect(idsOf(first)).toEqual(['3', '7', '11', '2'])
      const cursor = cursorOf(first.links.next)
      const second = await ask(Customer, config, {
        limit: 4,
        sortBy: [
          ['points', 'DESC'],
          ['id', 'ASC'],
        ],
        ...(cursor !== undefined && { cursor }),
      })
      expect(idsOf(second)).toEqual(['6', '10', '1', '5'])
    })
    it('walk by a date', async () => {
      const config = { ...orders, paginationType: PaginationType.CURSOR }
      const answer = await ask(Order, config, {
        limit: 4,
        sortBy: [
          ['placedAt', 'DESC'],
          ['number', 'DESC'],
        ],
      })
      expect(numbersOf(answer)).toEqual([23, 22, 21, 19])
    })
    it('walk under a filter, in one shard and in all', async () => {
      const config = { ...orders, paginationType: PaginationType.CURSOR }
      const one = await ask(Order, config, { limit: 2, filter: { customerId: '4' }, sortBy: [['number', 'DESC']] })
      expect(numbersOf(one)).toEqual([10, 9])
      const all = await ask(Order, config, { limit: 3, filter: { status: 'paid' }, sortBy: [['number', 'ASC']] })
      expect(numbersOf(all)).toEqual([1, 5, 9])
    })
    it('walk over a relation', async () => {
      const config = { ...orders, relations: ['customer'] as 'customer'[], paginationType: PaginationType.CURSOR }
      const answer = await ask(Order, config, { limit: 3, sortBy: [['number', 'ASC']] })
      expect(answer.data.map(({ number, customer }) => [number, customer.id])).toEqual([
        [1, '1'],
        [2, '2'],
        [4, '3'],
      ])
    })
  })
})

/** Sorts the lists of entities inside of a row, and inside of those. */
function sortChildren(row: object): void {
  for (const value of Object.values(row)) {
    const children: unknown[] = Array.isArray(value) ? value : [value]
    const rows = children.filter((child): child is object => child instanceof Object && !(child instanceof Date))
    for (const child of rows) sortChildren(child)
    if (rows.length > 1) value.sort((a: object, b: object) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
  }
}
