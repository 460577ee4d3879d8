import { type DataSource, EntityNotFoundError, In, PessimisticLockTransactionRequiredError } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { onTargets } from '../support/targets'
import { Account, bank, Entry, ids, Setting, twelveAccounts } from './bank'

describe('transactions', () => {
  onTargets(bank, (target) => {
    const accounts = () => target.dataSource.getRepository(Account)
    const total = (dataSource: DataSource) => dataSource.getRepository(Account).sum('balance')

    it('commit what they wrote everywhere, and give back what the callback gives', async () => {
      const result = await target.dataSource.transaction(async (manager) => {
        await manager.save(Account, twelveAccounts())
        await manager.save(Setting, { name: 'x' })
        expect(await accounts().count()).toBe(0)
        return 'done'
      })
      expect(result).toBe('done')
      expect(await accounts().count()).toBe(12)
      expect(await target.dataSource.getRepository(Setting).count()).toBe(1)
    })

    it('roll everything back with the callback’s own error', async () => {
      const error = new RangeError('no')
      await expect(
        target.dataSource.transaction(async (manager) => {
          await manager.save(Account, twelveAccounts())
          await manager.insert(Setting, { name: 'x' })
          await manager.update(Account, { owner: 'a' }, { balance: 0 })
          throw error
        }),
      ).rejects.toBe(error)
      expect(await accounts().count()).toBe(0)
      expect(await target.dataSource.getRepository(Setting).count()).toBe(0)
    })

    it('see their own writes by key and over all shards, in every kind of read', async () => {
      await target.dataSource.transaction(async (manager) => {
        await manager.insert(Account, twelveAccounts())
        const repository = manager.getRepository(Account)
        expect(await repository.findOneByOrFail({ id: '3' })).toMatchObject({ balance: 30 })
        expect((await repository.find({ order: { balance: 'DESC' }, take: 2 })).map(({ id }) => id)).toEqual([
          '12',
          '11',
        ])
        expect(await repository.count()).toBe(12)
        expect(await repository.existsBy({ owner: 'c' })).toBe(true)
        expect(await repository.sum('balance')).toBe(780)
        expect(await repository.average('balance')).toBe(65)
        await repository.delete({ id: In(['1', '2', '3']) })
        expect((await repository.findAndCount({ take: 1, order: { id: 'ASC' } }))[1]).toBe(9)
        await manager.save(Entry, { accountId: '5', amount: 1 })
        expect(await repository.find({ where: { entries: { amount: 1 } }, relations: { entries: true } })).toHaveLength(
          1,
        )
      })
      expect(await accounts().count()).toBe(9)
    })

    it('nest: an inner one rolls back alone', async () => {
      await target.dataSource.transaction(async (outer) => {
        await outer.save(Account, twelveAccounts().slice(0, 4))
        await expect(
          outer.transaction(async (inner) => {
            await inner.save(Account, twelveAccounts().slice(4))
            expect(await inner.count(Account)).toBe(12)
            throw new Error('inner')
          }),
        ).rejects.toThrow('inner')
        expect(await outer.count(Account)).toBe(4)
        await outer.transaction(async (inner) => {
          await inner.save(Account, twelveAccounts().slice(8))
        })
        expect(await outer.count(Account)).toBe(8)
      })
      expect(await accounts().count()).toBe(8)
    })

    it('nest: the outer one takes the inner one along', async () => {
      await expect(
        target.dataSource.transaction(async (outer) => {
          await outer.transaction((inner) => inner.save(Account, twelveAccounts()))
          throw new Error('outer')
        }),
      ).rejects.toThrow('outer')
      expect(await accounts().count()).toBe(0)
    })

    it('recover from a failed statement by a nested transaction around it', async () => {
      await accounts().save({ id: '1', owner: 'there' })
      await target.dataSource.transaction(async (outer) => {
        await outer.save(Account, { id: '2', owner: 'b' })
        await expect(outer.transaction((inner) => inner.insert(Account, twelveAccounts()))).rejects.toMatchObject({
          driverError: { code: '23505' },
        })
        await outer.save(Account, { id: '3', owner: 'c' })
      })
      expect((await accounts().find({ order: { id: 'ASC' } })).map(({ owner }) => owner)).toEqual(['there', 'b', 'c'])
    })

    it('run at the isolation level that is asked for', async () => {
      await accounts().save(twelveAccounts())
      await target.dataSource.transaction('REPEATABLE READ', async (manager) => {
        expect(await manager.sum(Account, 'balance')).toBe(780)
        await accounts().update({ owner: In(['a', 'b', 'c']) }, { balance: 0 })
        expect(await manager.sum(Account, 'balance')).toBe(780)
        expect(await manager.findOneByOrFail(Account, { id: '7' })).toMatchObject({ balance: 70 })
      })
      await target.dataSource.transaction('READ COMMITTED', async (manager) => {
        expect(await manager.sum(Account, 'balance')).toBe(0)
        await accounts().updateAll({ balance: 1 })
        expect(await manager.sum(Account, 'balance')).toBe(12)
      })
    })

    it('fail a serialisation conflict as PostgreSQL does', async () => {
      await accounts().save(twelveAccounts())
      const conflict = target.dataSource.transaction('REPEATABLE READ', async (manager) => {
        await manager.findOneBy(Account, { id: '7' })
        await accounts().update('7', { balance: 1 })
        await manager.update(Account, '7', { balance: 2 })
      })
      await expect(conflict).rejects.toMatchObject({ driverError: { code: '40001' } })
      expect(await total(target.dataSource)).toBe(780 - 69)
    })

    it('lock rows', async () => {
      await accounts().save(twelveAccounts())
      const lock = { mode: 'pessimistic_write' as const }
      await expect(accounts().findOne({ where: { id: '3' }, lock })).rejects.toBeInstanceOf(
        PessimisticLockTransactionRequiredError,
      )
      await target.dataSource.transaction(async (manager) => {
        await manager.findOneOrFail(Account, { where: { id: '3' }, lock })
        const busy = target.dataSource.transaction((other) =>
          other.find(Account, { where: { id: '3' }, lock: { ...lock, onLocked: 'nowait' } }),
        )
        await expect(busy).rejects.toMatchObject({ driverError: { code: '55P03' } })
      })
      await expect(
        accounts().findOne({ where: { id: '3' }, lock: { mode: 'optimistic', version: 7 } }),
      ).rejects.toThrow(/optimistic lock/)
    })

    it('go by a query runner, too', async () => {
      const runner = target.dataSource.createQueryRunner()
      try {
        await runner.connect()
        await runner.startTransaction()
        await runner.manager.save(Account, twelveAccounts())
        expect(await runner.manager.count(Account)).toBe(12)
        await runner.rollbackTransaction()
        expect(runner.isTransactionActive).toBe(false)
        expect(await runner.manager.count(Account)).toBe(0)
        await runner.startTransaction('SERIALIZABLE')
        await runner.manager.save(Account, twelveAccounts().slice(0, 2))
        await runner.commitTransaction()
        await expect(runner.commitTransaction()).rejects.toThrow(/[Tt]ransaction/)
      } finally {
        await runner.release()
      }
      expect(await accounts().count()).toBe(2)
    })

    it('run many at once, moving money about', async () => {
      await accounts().save(twelveAccounts())
      const move = (from: string, to: string) =>
        target.dataSource.transaction(async (manager) => {
          // In one order, so that no two wait for each other.
          for (const id of [from, to].sort((a, b) => Number(a) - Number(b)))
            await manager.findOneOrFail(Account, { where: { id }, lock: { mode: 'pessimistic_write' } })
          await manager.decrement(Account, { id: from }, 'balance', 1)
          await manager.increment(Account, { id: to }, 'balance', 1)
        })
      await Promise.all(ids.slice(1).map((id) => move(id, '1')))
      expect(await total(target.dataSource)).toBe(780)
      expect(await accounts().findOneByOrFail({ id: '1' })).toMatchObject({ balance: 21 })
    })

    it('reject inside as outside', async () => {
      const failing = target.dataSource.transaction((manager) => manager.findOneByOrFail(Account, { id: '1' }))
      await expect(failing).rejects.toBeInstanceOf(EntityNotFoundError)
    })

    it('begin and end without a statement', async () => {
      expect(await target.dataSource.transaction(async () => 5)).toBe(5)
    })
  })
})
