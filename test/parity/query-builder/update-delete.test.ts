import { In, MoreThan, UpdateResult } from 'typeorm'
import { beforeEach, describe, expect, it } from 'vitest'
import { onTargets } from '../../support/targets'
import { builders, ids, numbers, sortedNumbers } from './builders'
import { Customer, Item, Order, Payment, Setting, shop } from './shop'
import { openShop, orderId } from './shop-rows'

describe('updates and deletes by a query builder', () => {
  onTargets(shop, (target) => {
    const { customers, orders, items, payments, settings } = builders(target)
    const make = () => target.dataSource.createQueryBuilder()
    beforeEach(() => openShop(target.dataSource))
    const points = async () =>
      (await customers().withDeleted().orderBy('c.id').getMany()).map((customer) => customer.points)

    describe('updates', () => {
      it('updates one row by its key', async () => {
        const result = await make().update(Customer).set({ points: 7 }).where('id = :id', { id: 3 }).execute()
        expect(result).toBeInstanceOf(UpdateResult)
        expect(result.affected).toBe(1)
        expect(await points()).toEqual([100, 200, 7, 0, 100, 200, 300, 0, 100, 200, 300, 0])
      })
      it('updates rows of all shards', async () => {
        const result = await make().update(Customer).set({ points: 1 }).where('points > 150').execute()
        expect(result.affected).toBe(6)
        expect(await points()).toEqual([100, 1, 1, 0, 100, 1, 1, 0, 100, 1, 1, 0])
      })
      it('updates every row, deleted ones too', async () => {
        expect((await make().update(Customer).set({ points: 5 }).execute()).affected).toBe(12)
        expect(await points()).toEqual(Array.from({ length: 12 }, () => 5))
      })
      it('updates rows by an object, a list, operators', async () => {
        expect((await make().update(Customer).set({ points: 1 }).where({ id: '1' }).execute()).affected).toBe(1)
        expect(
          (
            await make()
              .update(Customer)
              .set({ points: 1 })
              .where({ id: In(['2', '3']) })
              .execute()
          ).affected,
        ).toBe(2)
        expect(
          (
            await make()
              .update(Customer)
              .set({ points: 1 })
              .where([{ id: '4' }, { points: MoreThan(250) }])
              .execute()
          ).affected,
        ).toBe(3)
        expect(await points()).toEqual([1, 1, 1, 1, 100, 200, 1, 0, 100, 200, 1, 0])
      })
      it('updates rows by their ids', async () => {
        expect(
          (
            await make()
              .update(Order)
              .set({ note: 'x' })
              .whereInIds([orderId(1), orderId(17), orderId(22)])
              .execute()
          ).affected,
        ).toBe(3)
        expect(sortedNumbers(await orders().where("o.note = 'x'").getMany())).toEqual([1, 17, 22])
      })
      it('updates by an expression', async () => {
        await make()
          .update(Customer)
          .set({ points: () => 'points * 2 + 1' })
          .where('id <= 4')
          .execute()
        expect(await points()).toEqual([201, 401, 601, 1, 100, 200, 300, 0, 100, 200, 300, 0])
      })
      it('updates several columns, with an embedded, json and a transformer', async () => {
        await make()
          .update(Customer)
          .set({ address: { city: 'Bern' }, tags: ['x'], profile: null, nickname: 'nn', balance: '1.5' })
          .where('id IN (:...ids)', { ids: [1, 2] })
          .execute()
        const found = await customers().where('c.id <= 2').orderBy('c.id').getMany()
        expect(
          found.map(({ address, tags, profile, nickname, balance }) => ({ address, tags, profile, nickname, balance })),
        ).toEqual([
          { address: { city: 'Bern', postcode: 'P1' }, tags: ['x'], profile: null, nickname: 'nn', balance: '1.5000' },
          { address: { city: 'Bern', postcode: 'P2' }, tags: ['x'], profile: null, nickname: 'nn', balance: '1.5000' },
        ])
      })
      it('raises versions and dates of update', async () => {
        const before = await orders().where('o.number = 1').getOneOrFail()
        await make().update(Order).set({ note: 'later' }).where('number IN (1, 2)').execute()
        const after = await orders().where('o.number IN (1, 2, 4)').orderBy('o.number').getMany()
        expect(after.map(({ version }) => version)).toEqual([2, 2, 1])
        expect(after[0]?.updatedAt.getTime()).toBeGreaterThanOrEqual(before.updatedAt.getTime())
      })
      it('returns what it updated', async () => {
        const result = await make()
          .update(Customer)
          .set({ points: 9 })
          .where('id IN (2, 3)')
          .returning(['id', 'points'])
          .execute()
        expect(result.raw.toSorted((a: { id: string }, b: { id: string }) => Number(a.id) - Number(b.id))).toEqual([
          { id: '2', points: 9 },
          { id: '3', points: 9 },
        ])
        expect(result.affected).toBe(2)
      })
      it('updates the entity that it is given', async () => {
        const order = await orders().where('o.number = 5').getOneOrFail()
        await make().update(Order).set({ note: 'mine' }).whereEntity(order).execute()
        expect(order.version).toBe(2)
        expect((await orders().where('o.number = 5').getOneOrFail()).note).toBe('mine')
      })
      it('updates nothing where nothing fits', async () => {
        const result = await make().update(Customer).set({ points: 9 }).where('id = 99').execute()
        expect([result.affected, result.raw]).toEqual([0, []])
      })
      it('updates by a subquery of the same shard key', async () => {
        const result = await make()
          .update(Customer)
          .set({ points: 1 })
          .where(
            `id IN ${orders('x').subQuery().select('o.customerId').from(Order, 'o').where('o.total > 90').getQuery()}`,
          )
          .execute()
        expect(result.affected).toBe(3)
        expect(ids(await customers().where('c.points = 1').orderBy('c.id').getMany())).toEqual(['3', '8', '9'])
      })
      it('updates an unsharded table', async () => {
        expect((await make().update(Setting).set({ value: 1 }).where("name = 'limit'").execute()).affected).toBe(1)
        expect((await settings().where('s.value = 1').getOneOrFail()).name).toBe('limit')
      })
      it('updates through a repository with an alias', async () => {
        const result = await target.dataSource
          .getRepository(Order)
          .createQueryBuilder('o')
          .update()
          .set({ note: 'r' })
          .where({ customerId: '4' })
          .execute()
        expect(result.affected).toBe(4)
        const other = await orders().update().set({ note: 'q' }).where('customerId = :c', { c: '9' }).execute()
        expect(other.affected).toBe(4)
        expect(await orders().withDeleted().where("o.note IN ('r', 'q')").getCount()).toBe(8)
      })
      it('refuses to set nothing, and an unknown property', async () => {
        await expect(make().update(Item).set({}).where('id = 11').execute()).rejects.toThrow(
          'Cannot perform update query because update values are not defined',
        )
        const unknown = { nothing: 1 } as never
        await expect(make().update(Customer).set(unknown).where('id = 1').execute()).rejects.toThrow(
          'Property "nothing" was not found in "Customer"',
        )
      })
      it('does not move a row by a new shard key', async () => {
        const change = make().update(Item).set({ customerId: '5' }).where({ id: '71' }).execute()
        if (target.shards === 0) expect((await change).affected).toBe(1)
        else await expect(change).rejects.toMatchObject({ code: 'KEY_CHANGED' })
        expect(await items().where('i.id = 71').getCount()).toBe(1)
      })
      it('undoes what a transaction updated', async () => {
        await target.dataSource
          .transaction(async (manager) => {
            expect((await manager.createQueryBuilder().update(Customer).set({ points: 0 }).execute()).affected).toBe(12)
            throw new Error('undo')
          })
          .catch((error: Error) => expect(error.message).toBe('undo'))
        expect(await points()).toEqual([100, 200, 300, 0, 100, 200, 300, 0, 100, 200, 300, 0])
      })
      it('updates nothing where one row is refused', async () => {
        await expect(
          make()
            .update(Item)
            .set({ price: () => '1 / (quantity - 1)' })
            .execute(),
        ).rejects.toThrow('division by zero')
        expect(await items().select('SUM(i.price)', 'sum').getRawOne()).toEqual({ sum: '297.50' })
      })
    })

    describe('deletes', () => {
      it('deletes one row by its key', async () => {
        const result = await make()
          .delete()
          .from(Payment)
          .where('orderId = :id', { id: orderId(4) })
          .execute()
        expect(result.affected).toBe(1)
        expect(await payments().getCount()).toBe(10)
      })
      it('deletes rows of one shard and of all', async () => {
        expect((await make().delete().from(Item).where('customerId = :c', { c: '4' }).execute()).affected).toBe(8)
        expect((await make().delete().from(Item).where('quantity = 4').execute()).affected).toBe(4)
        expect(await items().getCount()).toBe(35)
      })
      it('deletes by objects, lists and ids', async () => {
        expect((await make().delete().from(Item).where({ customerId: '1', quantity: 2 }).execute()).affected).toBe(1)
        expect(
          (
            await make()
              .delete()
              .from(Item)
              .where([{ id: '21' }, { id: '22' }])
              .execute()
          ).affected,
        ).toBe(2)
        expect((await make().delete().from(Item).whereInIds(['41', '51', '172']).execute()).affected).toBe(3)
        expect(await items().getCount()).toBe(41)
      })
      it('deletes all', async () => {
        expect((await make().delete().from(Item).execute()).affected).toBe(47)
        expect(await items().getCount()).toBe(0)
      })
      it('cascades in the shard', async () => {
        expect((await make().delete().from(Customer).where({ id: '4' }).execute()).affected).toBe(1)
        expect(await orders().where('o.customerId = 4').getCount()).toBe(0)
        expect(await items().where('i.customerId = 4').getCount()).toBe(0)
        expect(await orders().getCount()).toBe(17)
      })
      it('returns what it deleted', async () => {
        const result = await make()
          .delete()
          .from(Item)
          .where('orderId = :o', { o: orderId(5) })
          .returning('id')
          .execute()
        expect(result.raw.map(({ id }: { id: string }) => id).toSorted()).toEqual(['51', '52', '53'])
        expect(result.affected).toBe(3)
      })
      it('deletes through a repository and through a builder with an alias', async () => {
        await target.dataSource.getRepository(Item).createQueryBuilder().delete().where('quantity = 4').execute()
        await items().delete().where('id = :id', { id: '11' }).execute()
        expect(await items().getCount()).toBe(42)
      })
      it('deletes by a subquery of the same shard key', async () => {
        const result = await make()
          .delete()
          .from(Item)
          .where(
            `"customerId" IN ${orders('x').subQuery().select('c.id').from(Customer, 'c').where('c.points = 300').getQuery()}`,
          )
          .execute()
        expect(result.affected).toBe(10)
      })
      it('deletes from an unsharded table', async () => {
        expect((await make().delete().from(Setting).where('value = 0').execute()).affected).toBe(1)
        expect(await settings().getCount()).toBe(2)
      })
      it('deletes nothing where nothing fits', async () => {
        expect((await make().delete().from(Item).where('id = 1').execute()).affected).toBe(0)
      })
      it('undoes what a transaction deleted', async () => {
        await target.dataSource
          .transaction(async (manager) => {
            await manager.createQueryBuilder().delete().from(Item).execute()
            expect(await manager.createQueryBuilder(Item, 'i').getCount()).toBe(0)
            throw new Error('undo')
          })
          .catch((error: Error) => expect(error.message).toBe('undo'))
        expect(await items().getCount()).toBe(47)
      })
      it('leaves the rest of one customer as it was', async () => {
        await make().delete().from(Order).where('number IN (8, 9)').execute()
        expect(numbers(await orders().where('o.customerId = 4').orderBy('o.number').getMany())).toEqual([7, 10])
      })
    })
  })
})
