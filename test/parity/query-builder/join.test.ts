import { describe, expect, it } from 'vitest'
import { onTargets } from '../../support/targets'
import { builders, expectExactOrRefused, ids, numbers, sortedNumbers } from './builders'
import { Category, Customer, Item, Order, Payment, Setting, shop, Warehouse } from './shop'
import { openShop, orderId } from './shop-rows'

describe('joins of a query builder', () => {
  onTargets({ ...shop, seed: openShop }, (target) => {
    const { customers, orders, items, categories, warehouses, payments } = builders(target)

    describe('along a relation', () => {
      it('selects children, of one parent', async () => {
        const found = await customers()
          .leftJoinAndSelect('c.orders', 'o')
          .where('c.id = :id', { id: 4 })
          .orderBy('o.number', 'DESC')
          .getMany()
        expect(found.map(({ id, orders: own }) => [id, numbers(own)])).toEqual([['4', [10, 9, 8, 7]]])
        expect(found[0]?.orders[0]).toBeInstanceOf(Order)
      })

      it('selects children, of all parents', async () => {
        const found = await customers()
          .leftJoinAndSelect('c.orders', 'o')
          .orderBy('c.id')
          .addOrderBy('o.number')
          .getMany()
        expect(found.map(({ id, orders: own }) => [id, numbers(own)])).toEqual([
          ['1', [1]],
          ['2', [2]],
          ['3', [4, 5, 6]],
          ['4', [7, 8, 9, 10]],
          ['5', []],
          ['6', [11]],
          ['7', [12, 13]],
          ['8', [14, 15, 16]],
          ['9', [17, 18, 19]],
          ['10', []],
          ['11', [21]],
        ])
      })

      it('drops parents without children in an inner join', async () => {
        const found = await customers().innerJoinAndSelect('c.orders', 'o').orderBy('c.id').addOrderBy('o.id').getMany()
        expect(ids(found)).toEqual(['1', '2', '3', '4', '6', '7', '8', '9', '11'])
        expect(numbers(found.find(({ id }) => id === '4')?.orders ?? [])).toEqual([10, 9, 8, 7].toSorted(byId))
      })

      it('joins without selecting', async () => {
        const found = await customers().innerJoin('c.orders', 'o').where('o.total > 90').orderBy('c.id').getMany()
        expect(ids(found)).toEqual(['3', '8', '9'])
        expect(found.every((customer) => !('orders' in customer))).toBe(true)
      })

      it('selects the parent', async () => {
        const found = await orders()
          .withDeleted()
          .innerJoinAndSelect('o.customer', 'c')
          .where('o.number IN (1, 23, 12)')
          .orderBy('o.number', 'DESC')
          .getMany()
        expect(found.map(({ number, customer }) => [number, customer.id, customer.name])).toEqual([
          [23, '12', 'Ñandú'],
          [12, '7', 'dora'],
          [1, '1', 'Ada'],
        ])
      })

      it('leaves a deleted parent out of the join, not its child', async () => {
        const found = await orders()
          .leftJoinAndSelect('o.customer', 'c')
          .where('o.number >= 21')
          .orderBy('o.number')
          .getMany()
        expect(found.map(({ number, customer }) => [number, customer?.id ?? null])).toEqual([
          [21, '11'],
          [22, null],
          [23, null],
        ])
      })

      it('joins three deep', async () => {
        const found = await customers()
          .leftJoinAndSelect('c.orders', 'o')
          .leftJoinAndSelect('o.items', 'i')
          .leftJoinAndSelect('o.payment', 'p')
          .where('c.id IN (2, 7)')
          .orderBy('c.id')
          .addOrderBy('o.number')
          .addOrderBy('i.id')
          .getMany()
        expect(
          found.map(({ id, orders: own }) => [
            id,
            own.map(({ number, items: list, payment }) => [number, ids(list), payment?.method ?? null]),
          ]),
        ).toEqual([
          ['2', [[2, ['21', '22', '23'], 'card']]],
          [
            '7',
            [
              [12, ['121'], 'cash'],
              [13, ['131', '132'], null],
            ],
          ],
        ])
      })

      it('joins from the bottom up', async () => {
        const found = await items()
          .innerJoinAndSelect('i.order', 'o')
          .innerJoinAndSelect('o.customer', 'c')
          .where('c.tier = :tier', { tier: 'gold' })
          .andWhere('i.quantity > 2')
          .orderBy('i.id')
          .getMany()
        expect(found.map(({ id, order }) => [id, order?.number, order?.customer.id])).toEqual([
          ['52', 5, '3'],
          ['53', 5, '3'],
          ['112', 11, '6'],
          ['113', 11, '6'],
          ['172', 17, '9'],
          ['173', 17, '9'],
          ['192', 19, '9'],
        ])
      })

      it('joins both sides of a one-to-one', async () => {
        const owner = await payments().innerJoinAndSelect('p.order', 'o').orderBy('o.number').limit(3).getMany()
        expect(owner.map(({ method, order }) => [method, order.number])).toEqual([
          ['card', 2],
          ['cash', 4],
          ['card', 6],
        ])
        const inverse = await orders().leftJoinAndSelect('o.payment', 'p').orderBy('o.number').limit(3).getMany()
        expect(inverse.map(({ number, payment }) => [number, payment?.amount ?? null])).toEqual([
          [1, null],
          [2, '30.25'],
          [4, '60.25'],
        ])
      })

      it('joins through a junction table, from both sides', async () => {
        const found = await orders()
          .leftJoinAndSelect('o.categories', 'g')
          .where('o.number IN (9, 12, 15, 17)')
          .orderBy('o.number')
          .addOrderBy('g.name')
          .getMany()
        expect(found.map(({ number, categories: list }) => [number, list.map(({ name }) => name)])).toEqual([
          [9, ['gift', 'home']],
          [12, ['home']],
          [15, ['gift', 'home']],
          [17, ['gift']],
        ])
        const inverse = await categories()
          .innerJoinAndSelect('g.orders', 'o')
          .where("g.name = 'home'")
          .orderBy('g.customerId')
          .addOrderBy('o.number')
          .getMany()
        expect(inverse.map(({ customerId, orders: list }) => [customerId, numbers(list)])).toEqual([
          ['4', [9]],
          ['7', [12]],
          ['8', [15]],
          ['11', [21]],
        ])
      })

      it('has a condition of its own with parameters', async () => {
        const found = await customers()
          .leftJoinAndSelect('c.orders', 'o', 'o.status = :status AND o.total > :total', { status: 'paid', total: 40 })
          .where('c.id < 8')
          .orderBy('c.id')
          .getMany()
        expect(found.map(({ id, orders: own }) => [id, numbers(own)])).toEqual([
          ['1', [1]],
          ['2', []],
          ['3', []],
          ['4', [9]],
          ['5', []],
          ['6', []],
          ['7', []],
        ])
      })

      it('selects single columns of what is joined', async () => {
        const found = await customers()
          .leftJoin('c.orders', 'o')
          .select(['c.id', 'o.id', 'o.number'])
          .where('c.id = 2')
          .getMany()
        expect(found).toEqual([{ id: '2', orders: [{ id: orderId(2), number: 2 }] }])
        const added = await customers()
          .leftJoin('c.orders', 'o')
          .addSelect('o.number')
          .where('c.id = 7')
          .orderBy('o.number')
          .getOneOrFail()
        expect(added.orders.map((order) => ({ ...order }))).toEqual([{ number: 12 }, { number: 13 }])
      })

      it('gives the raw rows of a join', async () => {
        const rows = await customers()
          .innerJoin('c.orders', 'o')
          .select(['c.id', 'o.number'])
          .where('o.number BETWEEN 6 AND 8')
          .orderBy('o.number', 'DESC')
          .getRawMany()
        expect(rows).toEqual([
          { c_id: '4', o_number: 8 },
          { c_id: '4', o_number: 7 },
          { c_id: '3', o_number: 6 },
        ])
      })

      it('joins one relation twice with different conditions', async () => {
        const found = await customers()
          .innerJoin('c.orders', 'a', "a.status = 'paid'")
          .innerJoin('c.orders', 'b', "b.status = 'shipped'")
          .select('c.id', 'id')
          .addSelect('a.number', 'paid')
          .addSelect('b.number', 'shipped')
          .orderBy('a.number')
          .addOrderBy('b.number')
          .getRawMany()
        expect(found).toEqual([
          { id: '3', paid: 5, shipped: 6 },
          { id: '4', paid: 9, shipped: 10 },
          { id: '9', paid: 17, shipped: 18 },
        ])
      })
    })

    describe('with an entity and a condition', () => {
      it('compares shard keys', async () => {
        const rows = await customers()
          .innerJoin(Order, 'o', 'o.customerId = c.id')
          .select('c.id', 'customer')
          .addSelect('o.number', 'order')
          .where('o.total < 11')
          .orderBy('o.number')
          .getRawMany()
        expect(rows).toEqual([
          { customer: '4', order: 8 },
          { customer: '6', order: 11 },
          { customer: '9', order: 19 },
        ])
      })

      it('compares shard keys and more', async () => {
        const rows = await orders()
          .leftJoin(Payment, 'p', 'p.customerId = o.customerId AND p.orderId = o.id AND p.method = :m', { m: 'cash' })
          .select('o.number', 'number')
          .addSelect('p.method', 'method')
          .where('o.customerId = 4')
          .orderBy('o.number')
          .getRawMany()
        expect(rows).toEqual([
          { number: 7, method: null },
          { number: 8, method: 'cash' },
          { number: 9, method: null },
          { number: 10, method: null },
        ])
      })

      it('joins by the name of an entity, or of its table', async () => {
        for (const name of ['Order', 'order']) {
          const rows = await customers()
            .innerJoin(name, 'o', 'o.customerId = c.id')
            .select('o.number', 'number')
            .where('c.id = 7')
            .orderBy('o.number')
            .getRawMany()
          expect(rows).toEqual([{ number: 12 }, { number: 13 }])
        }
      })

      it('joins children with children of another table', async () => {
        const rows = await items()
          .innerJoin(Category, 'g', 'g.customerId = i.customerId')
          .select('i.id', 'item')
          .addSelect('g.name', 'category')
          .where('i.customerId = 1')
          .orderBy('i.id')
          .addOrderBy('g.name')
          .getRawMany()
        expect(rows).toEqual([
          { item: '11', category: 'gift' },
          { item: '11', category: 'home' },
          { item: '12', category: 'gift' },
          { item: '12', category: 'home' },
        ])
      })

      it('counts pairs inside each shard', async () => {
        const query = items().innerJoin(Category, 'g', 'g.customerId = i.customerId')
        const rows = await query.select('COUNT(*)', 'pairs').getRawMany()
        expect(rows).toEqual([{ pairs: '82' }])
      })
    })

    describe('that maps', () => {
      it('maps many', async () => {
        const found = await customers()
          .leftJoinAndMapMany('c.paidOrders', 'c.orders', 'o', "o.status = 'paid'")
          .where('c.id IN (3, 4, 5)')
          .orderBy('c.id')
          .addOrderBy('o.number')
          .getMany()
        expect(found.map(({ id, paidOrders }) => [id, numbers(paidOrders ?? [])])).toEqual([
          ['3', [5]],
          ['4', [9]],
          ['5', []],
        ])
      })

      it('maps one', async () => {
        const found = await customers()
          .leftJoinAndMapOne('c.firstOrder', 'c.orders', 'o', 'o.number IN (4, 11)')
          .where('c.id IN (3, 5, 6)')
          .orderBy('c.id')
          .getMany()
        expect(found.map(({ id, firstOrder }) => [id, firstOrder?.number ?? null])).toEqual([
          ['3', 4],
          ['5', null],
          ['6', 11],
        ])
      })

      it('maps an entity with a condition', async () => {
        const found = await orders()
          .innerJoinAndMapMany('o.cheapItems', Item, 'i', 'i.orderId = o.id AND i.price < :price', { price: 3 })
          .orderBy('o.number')
          .addOrderBy('i.id')
          .getMany()
        expect(found.map(({ number, cheapItems }) => [number, ids(cheapItems ?? [])])).toEqual([
          [4, ['41', '42']],
          [8, ['81', '82', '83']],
          [12, ['121']],
          [16, ['161', '162']],
        ])
        expect(found[0]?.cheapItems?.[0]).toBeInstanceOf(Item)
      })

      it('maps one of an inner join', async () => {
        const found = await customers()
          .innerJoinAndMapOne('c.firstOrder', Order, 'o', 'o.customerId = c.id AND o.number = 14')
          .getMany()
        expect(found.map(({ id, firstOrder }) => [id, firstOrder?.number])).toEqual([['8', 14]])
      })

      it('maps ids of relations', async () => {
        const found = await customers()
          .loadRelationIdAndMap('c.orderIds', 'c.orders')
          .where('c.id IN (2, 5, 7)')
          .orderBy('c.id')
          .getMany()
        expect(found.map(({ id, orderIds }) => [id, orderIds?.toSorted()])).toEqual([
          ['2', [orderId(2)]],
          ['5', []],
          ['7', [orderId(12), orderId(13)].toSorted()],
        ])
      })

      it('maps ids of a junction, of all parents', async () => {
        const found = await orders()
          .loadAllRelationIds({ relations: ['categories', 'items'] })
          .where('o.number IN (9, 17)')
          .orderBy('o.number')
          .getMany()
        const read = (order: Order | undefined) => order as unknown as { categories: unknown[]; items: string[] }
        expect(read(found[0]).items).toEqual(['91'])
        expect(read(found[1]).items.toSorted()).toEqual(['171', '172', '173'])
        expect(read(found[1]).categories).toEqual([{ customerId: '9', name: 'gift' }])
        expect(read(found[0]).categories).toHaveLength(2)
      })
    })

    describe('with a subquery', () => {
      it('joins totals of each parent', async () => {
        const rows = await customers()
          .leftJoin(
            (qb) =>
              qb
                .select('o.customerId', 'customerId')
                .addSelect('SUM(o.total)', 'sum')
                .from(Order, 'o')
                .groupBy('o.customerId'),
            't',
            't."customerId" = c.id',
          )
          .select('c.id', 'id')
          .addSelect('t.sum', 'sum')
          .where('c.id <= 5')
          .orderBy('c.id')
          .getRawMany()
        expect(rows).toEqual([
          { id: '1', sum: '70.25' },
          { id: '2', sum: '30.25' },
          { id: '3', sum: '170.75' },
          { id: '4', sum: '181.00' },
          { id: '5', sum: null },
        ])
      })
    })

    describe('that are ordered, limited and counted', () => {
      it('takes parents, not joined rows', async () => {
        const found = await customers()
          .leftJoinAndSelect('c.orders', 'o')
          .orderBy('c.id', 'DESC')
          .skip(2)
          .take(3)
          .getMany()
        expect(found.map(({ id, orders: own }) => [id, sortedNumbers(own)])).toEqual([
          ['9', [17, 18, 19]],
          ['8', [14, 15, 16]],
          ['7', [12, 13]],
        ])
      })

      it('takes pairs of parent and order where the order names the children, as TypeORM does', () =>
        expectExactOrRefused(target, async () => {
          const query = customers().leftJoinAndSelect('c.orders', 'o').orderBy('c.id', 'DESC').addOrderBy('o.number')
          return (await query.skip(2).take(3).getMany()).map(({ id, orders: own }) => [id, numbers(own)])
        }, [['9', [17, 18, 19]]]))

      it('limits joined rows', async () => {
        const rows = await customers()
          .innerJoin('c.orders', 'o')
          .select(['c.id', 'o.number'])
          .orderBy('o.number')
          .limit(2)
          .offset(3)
          .getRawMany()
        expect(rows).toEqual([
          { c_id: '3', o_number: 5 },
          { c_id: '3', o_number: 6 },
        ])
      })

      it('orders parents by a column of what is joined', async () => {
        const found = await orders()
          .innerJoinAndSelect('o.customer', 'c')
          .orderBy('c.points', 'DESC')
          .addOrderBy('o.number')
          .take(4)
          .getMany()
        expect(numbers(found)).toEqual([4, 5, 6, 12])
      })

      it('counts parents once', async () => {
        const query = customers().innerJoinAndSelect('c.orders', 'o').where('o.total > 50')
        expect(await query.getCount()).toBe(6)
        const [found, count] = await query.orderBy('c.id').take(2).getManyAndCount()
        expect([ids(found), count]).toEqual([['1', '3'], 6])
      })

      it('tells whether a joined row exists', async () => {
        expect(await customers().innerJoin('c.orders', 'o').where('o.number = 14').getExists()).toBe(true)
        expect(await customers().innerJoin('c.orders', 'o').where('o.number = 22').getExists()).toBe(false)
      })
    })

    describe('that are not local to a shard', () => {
      it('compares columns that place no row', () =>
        expectExactOrRefused(
          target,
          async () =>
            customers()
              .innerJoin(Customer, 'd', 'd.points = c.points AND d.id > c.id')
              .select('c.id', 'a')
              .addSelect('d.id', 'b')
              .where('c.points = 300')
              .orderBy('c.id')
              .addOrderBy('d.id')
              .getRawMany(),
          [
            { a: '3', b: '7' },
            { a: '3', b: '11' },
            { a: '7', b: '11' },
          ],
        ))

      it('compares the shard key with another column', () =>
        expectExactOrRefused(
          target,
          async () =>
            customers()
              .innerJoin(Order, 'o', 'o.number = c.id')
              .select('c.id', 'id')
              .addSelect('o.customerId', 'other')
              .where('c.id IN (5, 6, 7)')
              .orderBy('c.id')
              .getRawMany(),
          [
            { id: '5', other: '3' },
            { id: '6', other: '3' },
            { id: '7', other: '4' },
          ],
        ))

      it('joins everything with everything', () =>
        expectExactOrRefused(
          target,
          async () => customers().innerJoin(Category, 'g', '1 = 1').select('COUNT(*)', 'n').getRawOne(),
          { n: '264' },
        ))

      it('joins by OR of the shard key', () =>
        expectExactOrRefused(
          target,
          async () =>
            customers()
              .innerJoin(Order, 'o', 'o.customerId = c.id OR o.number = 1')
              .select('COUNT(*)', 'n')
              .getRawOne(),
          { n: '31' },
        ))

      it('joins two groups', () =>
        expectExactOrRefused(
          target,
          async () =>
            customers()
              .innerJoin(Warehouse, 'w', 'w.city = c.addressCity')
              .select('c.id', 'id')
              .addSelect('w.code', 'code')
              .where('c.id <= 3')
              .orderBy('c.id')
              .addOrderBy('w.code')
              .getRawMany(),
          [
            { id: '1', code: 'W2' },
            { id: '2', code: 'W3' },
            { id: '3', code: 'W1' },
            { id: '3', code: 'W5' },
          ],
        ))

      it('joins two groups by their keys', () =>
        expectExactOrRefused(
          target,
          async () =>
            customers()
              .innerJoin(Warehouse, 'w', "w.code = 'W' || c.id")
              .select('c.id', 'id')
              .addSelect('w.code', 'code')
              .orderBy('c.id')
              .limit(2)
              .getRawMany(),
          [
            { id: '1', code: 'W1' },
            { id: '2', code: 'W2' },
          ],
        ))

      it('joins an unsharded table', () =>
        expectExactOrRefused(
          target,
          async () =>
            customers()
              .innerJoin(Setting, 's', 's.value = c.id')
              .select('c.id', 'id')
              .addSelect('s.name', 'name')
              .orderBy('c.id')
              .getRawMany(),
          [
            { id: '3', name: 'currency' },
            { id: '7', name: 'limit' },
          ],
        ))

      it('joins an unsharded table to one key', () =>
        expectExactOrRefused(
          target,
          async () =>
            customers()
              .leftJoin(Setting, 's', 's.value = c.id')
              .select('c.id', 'id')
              .addSelect('s.name', 'name')
              .where('c.id = 3')
              .getRawMany(),
          [{ id: '3', name: 'currency' }],
        ))

      it('keeps unmatched rows of an outer join once', () =>
        expectExactOrRefused(
          target,
          async () =>
            warehouses()
              .leftJoin(Customer, 'c', 'c.addressCity = w.city')
              .select('w.code', 'code')
              .addSelect('COUNT(c.id)', 'n')
              .groupBy('w.code')
              .orderBy('w.code')
              .getRawMany(),
          [
            { code: 'W1', n: '5' },
            { code: 'W2', n: '3' },
            { code: 'W3', n: '3' },
            { code: 'W4', n: '0' },
            { code: 'W5', n: '5' },
          ],
        ))

      it('adds a second table to FROM', () =>
        expectExactOrRefused(
          target,
          async () =>
            customers()
              .addFrom(Order, 'o')
              .select('c.id', 'id')
              .addSelect('o.number', 'number')
              .where('o.number = c.points / 100')
              .andWhere('c.id <= 3')
              .orderBy('c.id')
              .getRawMany(),
          [
            { id: '1', number: 1 },
            { id: '2', number: 2 },
            { id: '3', number: 3 },
          ],
        ))
    })

    it('adds a second table to FROM, joined on the shard key', async () => {
      const rows = await customers()
        .addFrom(Order, 'o')
        .select('c.id', 'id')
        .addSelect('o.number', 'number')
        .where('o.customerId = c.id')
        .andWhere('c.id <= 2')
        .andWhere('o.deletedAt IS NULL')
        .orderBy('o.number')
        .getRawMany()
      expect(rows).toEqual([
        { id: '1', number: 1 },
        { id: '2', number: 2 },
      ])
    })

    it('joins children by their foreign key alone', async () => {
      const rows = await items()
        .innerJoin(Order, 'o', 'o.id = i.orderId')
        .select('i.id', 'id')
        .addSelect('o.number', 'number')
        .where('o.number = 17')
        .orderBy('i.id')
        .getRawMany()
      expect(rows).toEqual([
        { id: '171', number: 17 },
        { id: '172', number: 17 },
        { id: '173', number: 17 },
      ])
    })
  })
})

const byId = (a: number, b: number): number => (orderId(a) < orderId(b) ? -1 : 1)
