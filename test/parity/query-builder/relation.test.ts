import { beforeEach, describe, expect, it } from 'vitest'
import { ShardedDataSource } from '../../../src/index'
import { onTargets } from '../../support/targets'
import { builders, numbers, sortedIds, sortedNumbers } from './builders'
import { Category, Customer, Item, Order, Payment, shop } from './shop'
import { openShop, orderId } from './shop-rows'

describe('relation query builders', () => {
  onTargets(shop, (target) => {
    const { customers, orders, items, categories } = builders(target)
    const relation = (entity: new () => object, property: string) =>
      target.dataSource.createQueryBuilder().relation(entity, property)
    const namesOf = async (number: number) =>
      (
        await orders()
          .leftJoinAndSelect('o.categories', 'g')
          .where('o.number = :number', { number })
          .orderBy('g.name')
          .getOneOrFail()
      ).categories.map(({ name }) => name)
    beforeEach(() => openShop(target.dataSource))

    describe('load', () => {
      it('loads many children of a parent, by id or by entity', async () => {
        expect(sortedNumbers(await relation(Customer, 'orders').of('4').loadMany<Order>())).toEqual([7, 8, 9, 10])
        const customer = await customers().where('c.id = 9').getOneOrFail()
        const found = await relation(Customer, 'orders').of(customer).loadMany<Order>()
        expect(sortedNumbers(found)).toEqual([17, 18, 19])
        expect(found[0]).toBeInstanceOf(Order)
      })
      it('loads no children', async () => {
        expect(await relation(Customer, 'orders').of('5').loadMany()).toEqual([])
      })
      it('loads the parent', async () => {
        const order = await orders().where('o.number = 14').getOneOrFail()
        const found = await relation(Order, 'customer').of(order).loadOne<Customer>()
        expect(found).toBeInstanceOf(Customer)
        expect(found?.id).toBe('8')
      })
      it('loads children that have their own key', async () => {
        const order = await orders().where('o.number = 8').getOneOrFail()
        expect(sortedIds(await relation(Order, 'items').of(order).loadMany<Item>())).toEqual(['81', '82', '83'])
      })
      it('loads both sides of a one-to-one', async () => {
        const order = await orders().where('o.number = 8').getOneOrFail()
        const payment = await relation(Order, 'payment').of(order).loadOne<Payment>()
        expect(payment?.method).toBe('cash')
        expect((await relation(Payment, 'order').of(payment).loadOne<Order>())?.number).toBe(8)
        const unpaid = await orders().where('o.number = 9').getOneOrFail()
        expect((await relation(Order, 'payment').of(unpaid).loadOne()) ?? null).toBeNull()
      })
      it('loads both sides of a junction', async () => {
        const order = await orders().where('o.number = 9').getOneOrFail()
        const found = await relation(Order, 'categories').of(order).loadMany<Category>()
        expect(found.map(({ name }) => name).toSorted()).toEqual(['gift', 'home'])
        const category = await categories().where("g.customerId = 4 AND g.name = 'gift'").getOneOrFail()
        expect(sortedNumbers(await relation(Category, 'orders').of(category).loadMany<Order>())).toEqual([7, 9])
      })
      // The primary keys of orders, items and payments lack the shard key.
      for (const [given, of] of [
        ['an id', (_: string, id: string) => id],
        ['an object of the id', (property: string, id: string) => ({ [property]: id })],
      ] as const) {
        describe(`of ${given} that does not tell the shard`, () => {
          it('loads parents', async () => {
            const customer = await relation(Order, 'customer')
              .of(of('id', orderId(14)))
              .loadOne<Customer>()
            expect(customer).toBeInstanceOf(Customer)
            expect(customer?.id).toBe('8')
            expect((await relation(Item, 'order').of(of('id', '82')).loadOne<Order>())?.number).toBe(8)
          })
          it('loads children', async () => {
            const found = await relation(Order, 'items')
              .of(of('id', orderId(8)))
              .loadMany<Item>()
            expect(sortedIds(found)).toEqual(['81', '82', '83'])
          })
          it('loads both sides of a one-to-one', async () => {
            expect(
              (
                await relation(Order, 'payment')
                  .of(of('id', orderId(8)))
                  .loadOne<Payment>()
              )?.method,
            ).toBe('cash')
            const order = await relation(Payment, 'order')
              .of(of('orderId', orderId(8)))
              .loadOne<Order>()
            expect(order?.number).toBe(8)
          })
          it('loads a junction', async () => {
            const found = await relation(Order, 'categories')
              .of(of('id', orderId(9)))
              .loadMany<Category>()
            expect(found.map(({ name }) => name).toSorted()).toEqual(['gift', 'home'])
          })
          it('loads nothing of a row that is not there', async () => {
            expect(
              await relation(Order, 'items')
                .of(of('id', orderId(99)))
                .loadMany(),
            ).toEqual([])
            expect(
              await relation(Order, 'customer')
                .of(of('id', orderId(99)))
                .loadOne(),
            ).toBeUndefined()
          })
          it('loads in a transaction what that has written', async () => {
            await target.dataSource.transaction(async (manager) => {
              const inside = manager.createQueryBuilder()
              await manager.update(Item, { id: '83' }, { orderId: orderId(7) })
              const found = await inside
                .relation(Order, 'items')
                .of(of('id', orderId(7)))
                .loadMany<Item>()
              expect(sortedIds(found)).toEqual(['71', '72', '83'])
            })
          })
        })
      }
    })

    describe('write', () => {
      it('adds to a junction', async () => {
        const order = await orders().where('o.number = 8').getOneOrFail()
        await relation(Order, 'categories').of(order).add({ customerId: '4', name: 'home' })
        expect(await namesOf(8)).toEqual(['home'])
      })
      it('adds several to a junction', async () => {
        const order = await orders().where('o.number = 8').getOneOrFail()
        await relation(Order, 'categories')
          .of(order)
          .add([
            { customerId: '4', name: 'home' },
            { customerId: '4', name: 'gift' },
          ])
        expect(await namesOf(8)).toEqual(['gift', 'home'])
      })
      it('removes from a junction', async () => {
        const order = await orders().where('o.number = 9').getOneOrFail()
        await relation(Order, 'categories').of(order).remove({ customerId: '4', name: 'home' })
        expect(await namesOf(9)).toEqual(['gift'])
      })
      it('adds and removes at once', async () => {
        const order = await orders().where('o.number = 7').getOneOrFail()
        await relation(Order, 'categories')
          .of(order)
          .addAndRemove([{ customerId: '4', name: 'home' }], [{ customerId: '4', name: 'gift' }])
        expect(await namesOf(7)).toEqual(['home'])
      })
      it('adds from the other side', async () => {
        const category = await categories().where("g.customerId = 4 AND g.name = 'home'").getOneOrFail()
        await relation(Category, 'orders').of(category).add(orderId(10))
        expect(await namesOf(10)).toEqual(['home'])
      })
      it('links rows of one shard, and says of others that they are apart', async () => {
        const { dataSource } = target
        const shardOf = (id: string) =>
          dataSource instanceof ShardedDataSource ? dataSource.locate(Customer, id).shard : undefined
        const all = await categories().getMany()
        const linked: string[] = []
        await dataSource.transaction(async (manager) => {
          for (const { customerId, name } of all) {
            const adding = manager
              .createQueryBuilder()
              .relation(Order, 'categories')
              .of(orderId(8))
              .add({ customerId, name })
            if (shardOf(customerId) === shardOf('4')) {
              await adding
              linked.push(name)
            } else await expect(adding).rejects.toMatchObject({ code: 'KEY_CONFLICT' })
          }
        })
        expect(linked.length).toBeGreaterThan(0)
        expect(await namesOf(8)).toEqual(linked.toSorted())
      })
      it('refers to no row', async () => {
        const none = { customerId: '4', name: 'none' }
        await expect(relation(Order, 'categories').of(orderId(8)).add(none)).rejects.toMatchObject({ code: '23503' })
        const home = { customerId: '4', name: 'home' }
        await expect(relation(Order, 'categories').of(orderId(999)).add(home)).rejects.toMatchObject({ code: '23503' })
      })
      it('adds children to a parent, and removes them', async () => {
        const order = await orders().where('o.number = 7').getOneOrFail()
        await relation(Order, 'items').of(order).add('81')
        const own = async () =>
          sortedIds((await orders().leftJoinAndSelect('o.items', 'i').where('o.number = 7').getOneOrFail()).items)
        expect(await own()).toEqual(['71', '72', '81'])
        await relation(Order, 'items').of(order).remove(['71', '81'])
        expect(await own()).toEqual(['72'])
        expect(await items().where('i.orderId IS NULL').getCount()).toBe(2)
      })
      it('sets the parent of a child, and sets none', async () => {
        const item = await items().where('i.id = 101').getOneOrFail()
        await relation(Item, 'order').of(item).set(orderId(7))
        expect((await items().where('i.id = 101').getOneOrFail()).orderId).toBe(orderId(7))
        await relation(Item, 'order').of(item).set(null)
        expect((await items().where('i.id = 101').getOneOrFail()).orderId).toBeNull()
      })
      it('sets by the id alone', async () => {
        await relation(Item, 'order').of('102').set(orderId(8))
        expect((await items().where('i.id = 102').getOneOrFail()).orderId).toBe(orderId(8))
      })
      it('sets inside a transaction, which can be undone', async () => {
        await target.dataSource
          .transaction(async (manager) => {
            await manager.createQueryBuilder().relation(Item, 'order').of('101').set(null)
            expect(await manager.createQueryBuilder(Item, 'i').where('i.orderId IS NULL').getCount()).toBe(1)
            throw new Error('undo')
          })
          .catch((error: Error) => expect(error.message).toBe('undo'))
        expect(await items().where('i.orderId IS NULL').getCount()).toBe(0)
      })
    })

    describe('mistakes', () => {
      it('is to set many, or to add to one', async () => {
        await expect(relation(Customer, 'orders').of('4').set(orderId(1))).rejects.toThrow(
          'Set operation is only supported for many-to-one',
        )
        await expect(relation(Order, 'customer').of(orderId(1)).add('4')).rejects.toThrow(
          'Add operation is only supported for many-to-many',
        )
      })
      it('is an order without whose', async () => {
        await expect(relation(Order, 'categories').add({ customerId: '4', name: 'home' })).rejects.toThrow(
          'Entity whose relation needs to be set is not set',
        )
      })
    })

    it('keeps the numbers of all orders', async () => {
      expect(numbers(await orders().orderBy('o.number').limit(3).getMany())).toEqual([1, 2, 4])
    })
  })
})
