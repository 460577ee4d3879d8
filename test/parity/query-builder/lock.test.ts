import { OptimisticLockVersionMismatchError, PessimisticLockTransactionRequiredError } from 'typeorm'
import { beforeEach, describe, expect, it } from 'vitest'
import { onTargets } from '../../support/targets'
import { builders, expectExactOrRefused, ids, numbers } from './builders'
import { Customer, Order, shop } from './shop'
import { openShop } from './shop-rows'

describe('locks of a query builder', () => {
  onTargets(shop, (target) => {
    const { customers, orders } = builders(target)
    beforeEach(() => openShop(target.dataSource))
    const modes = ['pessimistic_read', 'pessimistic_write', 'for_no_key_update', 'for_key_share'] as const

    it.each(modes)('locks rows of one shard by %s', async (mode) => {
      await target.dataSource.transaction(async (manager) => {
        const found = await manager
          .createQueryBuilder(Order, 'o')
          .setLock(mode)
          .where('o.customerId = 4')
          .orderBy('o.number')
          .getMany()
        expect(numbers(found)).toEqual([7, 8, 9, 10])
      })
    })

    it('holds the row until the transaction ends', async () => {
      await target.dataSource.transaction(async (first) => {
        const locked = await first
          .createQueryBuilder(Customer, 'c')
          .setLock('pessimistic_write')
          .where('c.id = 3')
          .getOneOrFail()
        expect(locked.id).toBe('3')
        const attempt = target.dataSource.transaction((second) =>
          second
            .createQueryBuilder(Customer, 'c')
            .setLock('pessimistic_write')
            .setOnLocked('nowait')
            .where('c.id = 3')
            .getOne(),
        )
        await expect(attempt).rejects.toThrow('could not obtain lock')
      })
      const after = await target.dataSource.transaction((manager) =>
        manager
          .createQueryBuilder(Customer, 'c')
          .setLock('pessimistic_write')
          .setOnLocked('nowait')
          .where('c.id = 3')
          .getOne(),
      )
      expect(after?.id).toBe('3')
    })

    it('skips rows that are locked', async () => {
      await target.dataSource.transaction(async (first) => {
        await first
          .createQueryBuilder(Order, 'o')
          .setLock('pessimistic_write')
          .where('o.customerId = 4')
          .andWhere('o.number IN (7, 9)')
          .getMany()
        await target.dataSource.transaction(async (second) => {
          const free = await second
            .createQueryBuilder(Order, 'o')
            .setLock('pessimistic_write')
            .setOnLocked('skip_locked')
            .where('o.customerId = 4')
            .orderBy('o.number')
            .getMany()
          expect(numbers(free)).toEqual([8, 10])
        })
      })
    })

    it('locks some tables of a join', async () => {
      await target.dataSource.transaction(async (manager) => {
        const found = await manager
          .createQueryBuilder(Customer, 'c')
          .innerJoinAndSelect('c.orders', 'o')
          .setLock('pessimistic_write', undefined, ['c'])
          .where('c.id = 2')
          .getMany()
        expect(ids(found)).toEqual(['2'])
        const free = await target.dataSource.transaction((second) =>
          second
            .createQueryBuilder(Order, 'o')
            .setLock('pessimistic_write')
            .setOnLocked('nowait')
            .where('o.customerId = 2')
            .getMany(),
        )
        expect(numbers(free)).toEqual([2])
      })
    })

    it('locks rows of all shards, or is refused', () =>
      expectExactOrRefused(
        target,
        () =>
          target.dataSource.transaction(async (manager) =>
            ids(
              await manager
                .createQueryBuilder(Customer, 'c')
                .setLock('pessimistic_write')
                .where('c.points = 300')
                .orderBy('c.id')
                .getMany(),
            ),
          ),
        ['3', '7', '11'],
      ))

    it('asks for a transaction', async () => {
      for (const mode of modes)
        await expect(customers().setLock(mode).where('c.id = 1').getOne()).rejects.toBeInstanceOf(
          PessimisticLockTransactionRequiredError,
        )
      await expect(customers().setLock('pessimistic_write').getMany()).rejects.toBeInstanceOf(
        PessimisticLockTransactionRequiredError,
      )
    })

    it('compares a version', async () => {
      const found = await customers().setLock('optimistic', 1).where('c.id = 5').getOneOrFail()
      expect(found.id).toBe('5')
      await expect(customers().setLock('optimistic', 2).where('c.id = 5').getOne()).rejects.toBeInstanceOf(
        OptimisticLockVersionMismatchError,
      )
      await expect(customers().setLock('optimistic', 2).where("c.name = 'Bob'").getOne()).rejects.toBeInstanceOf(
        OptimisticLockVersionMismatchError,
      )
    })

    it('compares a version for one row only', async () => {
      await expect(orders().setLock('optimistic', 1).getMany()).rejects.toThrow(
        'optimistic lock can be used only with getOne()',
      )
      await expect(orders().setLock('optimistic', 1).getCount()).rejects.toThrow(
        'optimistic lock can be used only with getOne()',
      )
    })

    it('reads what is dirty as what is committed', async () => {
      expect(await customers().setLock('dirty_read').where('c.id = 1').getCount()).toBe(1)
    })
  })
})
