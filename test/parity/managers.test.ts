import { EntityManager, EntityNotFoundError, Repository } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { ShardedEntityManager, ShardedRepository } from '../../src/index'
import { onTargets } from '../support/targets'
import { Account, bank, Entry, ids, Setting, twelveAccounts } from './bank'

class AccountRepository extends Repository<Account> {
  richest(count: number): Promise<Account[]> {
    return this.find({ order: { balance: 'DESC' }, take: count })
  }
}

describe('entity managers and repositories', () => {
  onTargets(bank, (target) => {
    const manager = () => target.dataSource.manager

    it('save and read with explicit targets', async () => {
      const saved = await manager().save(Account, twelveAccounts())
      expect(saved.map(({ id }) => id)).toEqual(ids)
      expect(await manager().save('Account', { id: '20', owner: 'z' })).toMatchObject({ version: 1 })
      expect(await manager().count(Account)).toBe(13)
      expect(await manager().find('Account', { where: { id: '20' } })).toHaveLength(1)
      expect(await manager().findOneBy(Account, { owner: 'z' })).toBeInstanceOf(Account)
      expect(await manager().findOne(Account, { where: { id: '3' } })).toBeInstanceOf(Account)
      expect(await manager().findBy(Account, { owner: 'a' })).toHaveLength(4)
      expect(await manager().findAndCount(Account, { take: 3, order: { id: 'ASC' } })).toEqual([expect.any(Array), 13])
      expect((await manager().findAndCountBy(Account, { owner: 'b' }))[1]).toBe(4)
      expect(await manager().exists(Account, { where: { owner: 'q' } })).toBe(false)
      expect(await manager().existsBy(Account, { owner: 'z' })).toBe(true)
      expect(await manager().countBy(Account, { owner: 'c' })).toBe(4)
      expect(await manager().sum(Account, 'balance', {})).toBe(780)
      expect(await manager().average(Account, 'balance', { owner: 'a' })).toBe(55)
      expect(await manager().minimum(Account, 'balance', { owner: 'b' })).toBe(20)
      expect(await manager().maximum(Account, 'balance')).toBe(120)
      await expect(manager().findOneByOrFail(Account, { owner: 'q' })).rejects.toBeInstanceOf(EntityNotFoundError)
      await expect(manager().findOneOrFail(Account, { where: { owner: 'q' } })).rejects.toBeInstanceOf(
        EntityNotFoundError,
      )
    })

    it('write with explicit targets', async () => {
      expect((await manager().insert(Account, twelveAccounts())).identifiers).toHaveLength(12)
      await manager().upsert(Account, { id: '1', owner: 'up' }, ['id'])
      expect((await manager().update(Account, { owner: 'b' }, { owner: 'x' })).affected).toBe(4)
      expect((await manager().increment(Account, { owner: 'x' }, 'balance', 1)).affected).toBe(4)
      expect((await manager().decrement(Account, { id: '1' }, 'balance', 4)).affected).toBe(1)
      expect(await manager().sum(Account, 'balance')).toBe(780)
      expect((await manager().softDelete(Account, '2')).affected).toBe(1)
      expect((await manager().restore(Account, '2')).affected).toBe(1)
      expect((await manager().delete(Account, { owner: 'x' })).affected).toBe(4)
      expect((await manager().updateAll(Account, { state: 'shut' })).affected).toBe(8)
      const rest = await manager().find(Account)
      await manager().softRemove(Account, rest)
      await manager().recover(Account, rest)
      await manager().remove(Account, rest.slice(0, 4))
      expect((await manager().deleteAll(Account)).affected).toBe(4)
      await manager().clear(Entry)
    })

    it('save several kinds of entities in one list', async () => {
      const list = [
        manager().create(Setting, { name: 'x' }),
        manager().create(Account, { id: '1', owner: 'a' }),
        manager().create(Account, { id: '2', owner: 'a' }),
        manager().create(Setting, { name: 'y' }),
        manager().create(Account, { id: '3', owner: 'a' }),
      ]
      expect(await manager().save(list)).toBe(list)
      expect(list[0]).toMatchObject({ id: expect.any(Number) })
      expect(await manager().count(Account)).toBe(3)
      expect(await manager().count(Setting)).toBe(2)
      expect(await manager().remove(list.slice(1, 4))).toHaveLength(3)
      expect([await manager().count(Account), await manager().count(Setting)]).toEqual([1, 1])
    })

    it('save several kinds all or nothing', async () => {
      await manager().save(Setting, { name: 'x' })
      const list = [
        manager().create(Account, { id: '1', owner: 'a' }),
        manager().create(Account, { id: '2', owner: 'a' }),
        manager().create(Setting, { name: 'x' }),
      ]
      await expect(manager().save(list)).rejects.toMatchObject({ driverError: { code: '23505' } })
      expect(await manager().count(Account)).toBe(0)
    })

    it('save parents and children in one list', async () => {
      const list = [
        manager().create(Entry, { accountId: '4', amount: 1 }),
        manager().create(Account, { id: '4', owner: 'a' }),
      ]
      await manager().save([...list].reverse())
      expect(await manager().countBy(Entry, { accountId: '4' })).toBe(1)
    })

    it('refuse what is no entity', async () => {
      await expect(manager().save(null as never)).rejects.toThrow(/Cannot save/)
      await expect(manager().remove(undefined as never)).rejects.toThrow(/Cannot remove/)
      await expect(manager().save({ id: '1' })).rejects.toThrow(/Cannot save/)
      await expect(manager().find('Nothing')).rejects.toThrow(/No metadata for "Nothing" was found/)
    })

    it('give one repository an entity', () => {
      expect(manager().getRepository(Account)).toBe(manager().getRepository(Account))
      expect(target.dataSource.getRepository(Account)).toBeInstanceOf(Repository)
      expect(manager()).toBeInstanceOf(EntityManager)
      expect(manager().dataSource).toBe(target.dataSource)
      if (target.shards === 0) return
      expect(target.dataSource.getRepository(Setting)).toBeInstanceOf(ShardedRepository)
      expect(manager()).toBeInstanceOf(ShardedEntityManager)
    })

    it('extend repositories, alone and in a transaction', async () => {
      const accounts = target.dataSource.getRepository(Account).extend({
        richest(count: number) {
          return this.find({ order: { balance: 'DESC' }, take: count })
        },
      })
      await accounts.save(twelveAccounts())
      expect((await accounts.richest(2)).map(({ id }) => id)).toEqual(['12', '11'])
      await target.dataSource
        .transaction(async (inside) => {
          const repository = inside.withRepository(accounts)
          expect(repository.manager).toBe(inside)
          await repository.save({ id: '30', owner: 'r', balance: 999 })
          expect((await repository.richest(2)).map(({ id }) => id)).toEqual(['30', '12'])
          throw new Error('undo')
        })
        .catch((error: Error) => expect(error.message).toBe('undo'))
      expect((await accounts.richest(1)).map(({ id }) => id)).toEqual(['12'])
    })

    it('take repository classes of the user', async () => {
      const accounts = new AccountRepository(Account, target.dataSource.createEntityManager())
      await accounts.save(twelveAccounts())
      expect((await accounts.richest(3)).map(({ id }) => id)).toEqual(['12', '11', '10'])
      const count = await target.dataSource.transaction(async (inside) => {
        const repository = inside.withRepository(accounts)
        expect(repository).toBeInstanceOf(AccountRepository)
        await repository.delete({ owner: 'a' })
        return repository.count()
      })
      expect(count).toBe(8)
      expect(await accounts.count()).toBe(8)
    })

    it('build queries on what is not sharded', async () => {
      await manager().save(Setting, [{ name: 'x' }, { name: 'y' }])
      const found = await target.dataSource.getRepository(Setting).createQueryBuilder('s').orderBy('s.name').getMany()
      expect(found.map(({ name }) => name)).toEqual(['x', 'y'])
      const rows = await target.dataSource.query('SELECT name FROM setting WHERE name = $1', ['y'])
      expect(rows).toEqual([{ name: 'y' }])
      expect(await target.dataSource.getRepository(Setting).query('SELECT 1 AS one')).toEqual([{ one: 1 }])
    })
  })
})
