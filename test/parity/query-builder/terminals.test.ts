import { EntityNotFoundError, type QueryFailedError } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { onTargets } from '../../support/targets'
import { builders, ids } from './builders'
import { Customer, Order, shop } from './shop'
import { openShop } from './shop-rows'

describe('what ends a query builder', () => {
  onTargets({ ...shop, seed: openShop }, (target) => {
    const { customers, orders, items, settings } = builders(target)

    it('getOne gives the first row by the order, or null', async () => {
      expect((await customers().orderBy('c.points', 'DESC').addOrderBy('c.id', 'DESC').getOne())?.id).toBe('11')
      expect((await customers().where('c.id = :id', { id: '6' }).getOne())?.name).toBe('Çelik')
      expect(await customers().where('c.id = 6 AND c.points = 0').getOne()).toBeNull()
    })
    it('getOne joins all the children of its row', async () => {
      const found = await customers()
        .leftJoinAndSelect('c.orders', 'o')
        .orderBy('c.points', 'DESC')
        .addOrderBy('c.id')
        .getOne()
      expect([found?.id, found?.orders.length]).toEqual(['3', 3])
    })
    it('getOneOrFail fails as TypeORM does', async () => {
      expect((await orders().where('o.number = 5').getOneOrFail()).total).toBe('20.25')
      await expect(customers().where('c.id = 99').getOneOrFail()).rejects.toBeInstanceOf(EntityNotFoundError)
      await expect(orders().where('o.total > 1000').getOneOrFail()).rejects.toThrow(
        'Could not find any entity of type "Order"',
      )
    })
    it('getMany gives entities that can be saved', async () => {
      const [found] = await settings().where("s.name = 'empty'").getMany()
      expect(found).toMatchObject({ name: 'empty', value: 0 })
    })
    it('getRawOne gives one raw row, or undefined', async () => {
      expect(await customers().select('c.name', 'name').orderBy('c.id', 'DESC').getRawOne()).toEqual({ name: 'Fritz' })
      expect(await customers().where('c.points = 1').getRawOne()).toBeUndefined()
    })
    it('getRawMany gives raw rows, deleted ones not', async () => {
      const rows = await orders().select('o.number', 'n').where('o.number BETWEEN 2 AND 4').orderBy('n').getRawMany()
      expect(rows).toEqual([{ n: 2 }, { n: 4 }])
    })
    it('getRawAndEntities gives rows of joins beside fewer entities', async () => {
      const { entities, raw } = await customers()
        .leftJoinAndSelect('c.orders', 'o')
        .where('c.id IN (4, 5)')
        .orderBy('c.id')
        .addOrderBy('o.number')
        .getRawAndEntities()
      expect(entities.map(({ id, orders: own }) => [id, own.length])).toEqual([
        ['4', 4],
        ['5', 0],
      ])
      expect(raw.map(({ c_id, o_number }) => [c_id, o_number])).toEqual([
        ['4', 7],
        ['4', 8],
        ['4', 9],
        ['4', 10],
        ['5', null],
      ])
    })
    it('getRawAndEntities of nothing', async () => {
      expect(await customers().where('c.id = 77').getRawAndEntities()).toEqual({ entities: [], raw: [] })
    })
    it('execute gives raw rows', async () => {
      expect(await customers().select('c.id', 'id').orderBy('c.id').limit(2).execute()).toEqual([
        { id: '1' },
        { id: '2' },
      ])
    })
    it('runs twice, and after a change', async () => {
      const query = items().where('i.customerId = 1').orderBy('i.id')
      expect(ids(await query.getMany())).toEqual(['11', '12'])
      expect(ids(await query.getMany())).toEqual(['11', '12'])
      expect(ids(await query.andWhere('i.quantity = 3').getMany())).toEqual(['12'])
    })
    it('runs many at the same time', async () => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          index % 2 === 0
            ? customers()
                .where('c.points >= :p', { p: index * 10 })
                .getCount()
            : orders()
                .where('o.customerId = :c', { c: (index % 4) + 1 })
                .getCount(),
        ),
      )
      expect(answers).toEqual([11, 1, 9, 4, 9, 1, 9, 4, 9, 1, 9, 4, 6, 1, 6, 4, 6, 1, 6, 4])
    })
    it('uses the query runner that it is given', async () => {
      const runner = target.dataSource.createQueryRunner()
      try {
        const found = await target.dataSource
          .createQueryBuilder(Customer, 'c', runner)
          .where('c.points = 300')
          .orderBy('c.id')
          .getMany()
        expect(ids(found)).toEqual(['3', '7', '11'])
        expect(await customers().setQueryRunner(runner).getCount()).toBe(11)
      } finally {
        await runner.release()
      }
    })
    it('reads inside a transaction what that wrote', async () => {
      await target.dataSource
        .transaction(async (manager) => {
          await manager.createQueryBuilder().update(Customer).set({ points: 999 }).where('id IN (1, 2, 3)').execute()
          const found = await manager
            .createQueryBuilder(Customer, 'c')
            .where('c.points = 999')
            .orderBy('c.id')
            .getMany()
          expect(ids(found)).toEqual(['1', '2', '3'])
          expect(await manager.getRepository(Customer).createQueryBuilder('c').where('c.points = 999').getCount()).toBe(
            3,
          )
          expect(await customers().where('c.points = 999').getCount()).toBe(0)
          throw new Error('undo')
        })
        .catch((error: Error) => expect(error.message).toBe('undo'))
      expect(await customers().where('c.points = 999').getCount()).toBe(0)
    })
    it('uses a transaction of its own', async () => {
      expect(await orders().useTransaction(true).where('o.customerId = 4').getCount()).toBe(4)
    })
    it('calls listeners unless told not to', async () => {
      expect(await customers().callListeners(false).where('c.id = 2').getMany()).toHaveLength(1)
    })

    describe('mistakes', () => {
      it('is a column that is not there', async () => {
        await expect(customers().where('c.nothing = 1').getMany()).rejects.toThrow('column c.nothing does not exist')
        await expect(customers().where('c.nothing = 1 AND c.id = 3').getMany()).rejects.toThrow(
          'column c.nothing does not exist',
        )
      })
      it('is an error of the server, with its code', async () => {
        const failed = await customers()
          .select('1 / (c.points - c.points)', 'x')
          .getRawMany()
          .catch((error: unknown) => error)
        expect((failed as QueryFailedError<Error & { code: string }>).driverError.code).toBe('22012')
      })
      it('is an entity that is not known', () => {
        expect(() => target.dataSource.createQueryBuilder('Nobody', 'x')).toThrow('No metadata for "Nobody" was found')
      })
      it('is a relation that is not there', () => {
        expect(() => customers().leftJoin('c.nothing', 'n').getQuery()).toThrow('Relation with property path nothing')
      })
      it('is an order by a property that is not there, with a page of a join', async () => {
        const query = customers().leftJoinAndSelect('c.orders', 'o').orderBy('o.nothing').take(1)
        await expect(query.getMany()).rejects.toThrow()
      })
      it('is a value that is no number', async () => {
        await expect(orders().where('o.number = :n', { n: 'x' }).getMany()).rejects.toThrow('invalid input syntax')
      })
      it('is an OR FAIL in a transaction, which stays usable', async () => {
        await target.dataSource.transaction(async (manager) => {
          const missing = manager.createQueryBuilder(Order, 'o').where('o.number = 99').getOneOrFail()
          await expect(missing).rejects.toBeInstanceOf(EntityNotFoundError)
          expect(await manager.createQueryBuilder(Order, 'o').getCount()).toBe(21)
        })
      })
    })
  })
})
