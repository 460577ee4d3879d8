import { In } from 'typeorm'
import { beforeEach, describe, expect, it } from 'vitest'
import { onTargets } from '../../support/targets'
import { builders, ids } from './builders'
import { Customer, Item, Order, shop } from './shop'
import { openShop, orderId } from './shop-rows'

describe('soft deletes by a query builder', () => {
  onTargets(shop, (target) => {
    const { customers, orders } = builders(target)
    const make = () => target.dataSource.createQueryBuilder()
    beforeEach(() => openShop(target.dataSource))

    it('hides one row by its key', async () => {
      const result = await make().softDelete().from(Customer).where('id = :id', { id: 3 }).execute()
      expect(result.affected).toBe(1)
      expect(await customers().getCount()).toBe(10)
      expect(await customers().where('c.id = 3').getOne()).toBeNull()
      const hidden = await customers().withDeleted().where('c.id = 3').getOneOrFail()
      expect(hidden.deletedAt).toBeInstanceOf(Date)
      expect(hidden.version).toBe(2)
    })
    it('hides rows of all shards, those that are hidden already not again', async () => {
      expect((await make().softDelete().from(Order).where('number > 15').execute()).affected).toBe(7)
      expect(await orders().getCount()).toBe(14)
      const old = await orders().withDeleted().where('o.number = 20').getOneOrFail()
      expect(old.deletedAt).toEqual(new Date('2024-06-01T00:00:00Z'))
    })
    it('hides by objects and ids', async () => {
      expect(
        (
          await make()
            .softDelete()
            .from(Customer)
            .where({ id: In(['1', '2']) })
            .execute()
        ).affected,
      ).toBe(2)
      expect(
        (
          await make()
            .softDelete()
            .from(Order)
            .whereInIds([orderId(5), orderId(6)])
            .execute()
        ).affected,
      ).toBe(2)
      expect(ids(await customers().orderBy('c.id').limit(2).getMany())).toEqual(['3', '4'])
    })
    it('hides through a repository', async () => {
      await target.dataSource.getRepository(Customer).createQueryBuilder().softDelete().where('points = 300').execute()
      expect(await customers().getCount()).toBe(8)
    })
    it('hides everything', async () => {
      expect((await make().softDelete().from(Order).execute()).affected).toBe(21)
      expect(await orders().getCount()).toBe(0)
      expect(await orders().withDeleted().getCount()).toBe(23)
    })
    it('restores one row, and rows of all shards', async () => {
      expect((await make().restore().from(Customer).where('id = 12').execute()).affected).toBe(1)
      expect(await customers().getCount()).toBe(12)
      expect((await make().restore().from(Order).execute()).affected).toBeGreaterThanOrEqual(2)
      expect(await orders().getCount()).toBe(23)
    })
    it('restores through a repository', async () => {
      const result = await target.dataSource
        .getRepository(Order)
        .createQueryBuilder()
        .restore()
        .where({ customerId: '2' })
        .execute()
      expect(result.affected).toBeGreaterThanOrEqual(1)
      expect(await orders().where('o.customerId = 2').getCount()).toBe(2)
    })
    it('returns what it hid', async () => {
      const result = await make().softDelete().from(Order).where('customerId = 3').returning(['number']).execute()
      expect(result.raw.map(({ number }: { number: number }) => number).toSorted()).toEqual([4, 5, 6])
    })
    it('hides nothing where nothing fits', async () => {
      expect((await make().softDelete().from(Customer).where('id = 99').execute()).affected).toBe(0)
      expect((await make().softDelete().from(Customer).where('id = 12').execute()).affected).toBe(0)
    })
    it('hides the entity that it is given', async () => {
      const order = await orders().where('o.number = 9').getOneOrFail()
      await make().softDelete().from(Order).whereEntity(order).execute()
      expect(order.deletedAt).toBeInstanceOf(Date)
      expect(await orders().where('o.number = 9').getOne()).toBeNull()
    })
    it('refuses an entity without a date of deletion', async () => {
      await expect(make().softDelete().from(Item).where('id = 11').execute()).rejects.toThrow(
        'does not have delete date columns',
      )
      await expect(make().restore().from(Item).where('id = 11').execute()).rejects.toThrow(
        'does not have delete date columns',
      )
    })
    it('undoes what a transaction hid', async () => {
      await target.dataSource
        .transaction(async (manager) => {
          await manager.createQueryBuilder().softDelete().from(Customer).execute()
          expect(await manager.createQueryBuilder(Customer, 'c').getCount()).toBe(0)
          throw new Error('undo')
        })
        .catch((error: Error) => expect(error.message).toBe('undo'))
      expect(await customers().getCount()).toBe(11)
    })
  })
})
