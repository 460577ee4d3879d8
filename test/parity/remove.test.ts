import { In, IsNull, MissingDeleteDateColumnError, Not } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { onTargets } from '../support/targets'
import { Account, bank, Entry, ids, twelveAccounts } from './bank'

describe('remove, softRemove, recover', () => {
  onTargets(bank, (target) => {
    const accounts = () => target.dataSource.getRepository(Account)
    const entries = () => target.dataSource.getRepository(Entry)

    it('removes a loaded entity, returns it, and takes its id away', async () => {
      await accounts().save(twelveAccounts())
      const account = await accounts().findOneByOrFail({ id: '4' })
      expect(await accounts().remove(account)).toBe(account)
      expect(account.id).toBeUndefined()
      expect(account.owner).toBe('a')
      expect(await accounts().existsBy({ id: '4' })).toBe(false)
      expect(await accounts().count()).toBe(11)
    })

    it('removes a list over shards, in place', async () => {
      await accounts().save(twelveAccounts())
      const some = await accounts().findBy({ id: In(['1', '2', '3', '7', '12']) })
      const objects = [...some]
      expect(await accounts().remove(some)).toBe(some)
      expect(some).toEqual(objects)
      expect(some.every(({ id }) => id === undefined)).toBe(true)
      expect(await accounts().count()).toBe(7)
    })

    it('removes by a plain object with the primary key', async () => {
      await accounts().save(twelveAccounts())
      await target.dataSource.manager.remove(Account, accounts().create({ id: '8' }))
      expect(await accounts().existsBy({ id: '8' })).toBe(false)
    })

    it('removes by a primary key that does not hold the shard key', async () => {
      await accounts().save(twelveAccounts())
      const saved = await entries().save(ids.map((accountId) => ({ accountId, amount: 1 })))
      await entries().remove(entries().create(saved.slice(3, 9).map(({ id }) => ({ id }))))
      expect(await entries().count()).toBe(6)
    })

    it('removes what is not there without complaint', async () => {
      const gone = accounts().create({ id: '99' })
      expect(await accounts().remove(gone)).toBe(gone)
      const ghost = entries().create({ id: '00000000-0000-4000-8000-000000000000' })
      expect(await entries().remove(ghost)).toBe(ghost)
      expect(await accounts().remove([])).toEqual([])
    })

    it('saves an entity anew after its removal', async () => {
      const account = await accounts().save(accounts().create({ id: '4', owner: 'a' }))
      await accounts().remove(account)
      account.id = '5'
      await accounts().save(account)
      expect((await accounts().find()).map(({ id }) => id)).toEqual(['5'])
    })

    it('removes in chunks and without a transaction', async () => {
      await accounts().save(twelveAccounts())
      await accounts().remove(await accounts().findBy({ owner: 'a' }), { chunk: 2 })
      await accounts().remove(await accounts().findBy({ owner: 'b' }), { transaction: false })
      expect((await accounts().find()).every(({ owner }) => owner === 'c')).toBe(true)
    })

    it('removes nothing where one removal fails', async () => {
      await accounts().save(twelveAccounts())
      const all = await accounts().find()
      const bad = accounts().create({ id: 'no number' })
      await expect(accounts().remove([...all, bad])).rejects.toThrow()
      expect(await accounts().count()).toBe(12)
    })

    it('soft-removes and recovers the same objects', async () => {
      await accounts().save(twelveAccounts())
      const all = await accounts().find({ order: { id: 'ASC' } })
      expect(await accounts().softRemove(all)).toBe(all)
      expect(all.every(({ deletedAt, version }) => deletedAt instanceof Date && version === 2)).toBe(true)
      expect(await accounts().count()).toBe(0)
      expect(await accounts().count({ withDeleted: true })).toBe(12)
      expect(await accounts().countBy({ deletedAt: Not(IsNull()) })).toBe(0)
      expect(await accounts().recover(all)).toBe(all)
      expect(all.every(({ deletedAt, version }) => deletedAt === null && version === 3)).toBe(true)
      expect(await accounts().count()).toBe(12)
    })

    it('soft-removes one, and leaves the others', async () => {
      await accounts().save(twelveAccounts())
      const one = await accounts().findOneByOrFail({ id: '10' })
      await accounts().softRemove(one)
      expect(await accounts().findOneBy({ id: '10' })).toBeNull()
      expect((await accounts().findOne({ where: { id: '10' }, withDeleted: true }))?.deletedAt).toEqual(one.deletedAt)
      expect(await accounts().count()).toBe(11)
    })

    it('recovers nothing, and soft-removes nothing, of an empty list', async () => {
      const none: Account[] = []
      expect(await accounts().softRemove(none)).toBe(none)
      expect(await accounts().recover(none)).toBe(none)
    })

    it('asks for a delete date column', async () => {
      await accounts().save(twelveAccounts())
      const entry = await entries().save({ accountId: '1', amount: 1 })
      await expect(entries().softRemove(entry)).rejects.toBeInstanceOf(MissingDeleteDateColumnError)
    })
  })
})
