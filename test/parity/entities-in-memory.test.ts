import { describe, expect, it } from 'vitest'
import { onTargets } from '../support/targets'
import { Account, bank, Entry, ids, twelveAccounts } from './bank'

describe('what needs no database', () => {
  onTargets(bank, (target) => {
    const accounts = () => target.dataSource.getRepository(Account)
    const entries = () => target.dataSource.getRepository(Entry)

    it('creates instances of the class: of nothing, of one object, of a list', () => {
      expect(accounts().create()).toBeInstanceOf(Account)
      const one = accounts().create({ id: '1', owner: 'a', entries: [{ amount: 3 }] })
      expect(one).toBeInstanceOf(Account)
      expect(one.entries[0]).toBeInstanceOf(Entry)
      expect(one).toEqual({ id: '1', owner: 'a', entries: [{ amount: 3 }] })
      expect(accounts().create([{ id: '1' }, { id: '2' }])).toEqual([{ id: '1' }, { id: '2' }])
    })

    it('merges several objects into one, and returns it', () => {
      const into = accounts().create({ id: '1', owner: 'a', balance: 1 })
      expect(accounts().merge(into, { owner: 'b' }, { balance: 2 })).toBe(into)
      expect(into).toEqual({ id: '1', owner: 'b', balance: 2 })
    })

    it('tells whether an entity has an id, and gives it', () => {
      expect(accounts().hasId(accounts().create({ id: '1' }))).toBe(true)
      expect(accounts().hasId(accounts().create({ owner: 'a' }))).toBe(false)
      expect(accounts().getId(accounts().create({ id: '1' }))).toBe('1')
      expect(entries().getId(entries().create({ amount: 1 }))).toBeUndefined()
      expect(target.dataSource.manager.hasId(Account, { id: '1' })).toBe(true)
      expect(target.dataSource.manager.getId(Account, { id: '1' })).toBe('1')
    })

    it('has the metadata of the entity', () => {
      expect(accounts().metadata.name).toBe('Account')
      expect(accounts().metadata.tableName).toBe('account')
      expect(accounts().target).toBe(Account)
    })
  })
})

describe('preload', () => {
  onTargets(bank, (target) => {
    const accounts = () => target.dataSource.getRepository(Account)

    it('loads the row of the key and lays the given values over it', async () => {
      await accounts().save(twelveAccounts())
      for (const id of ids) {
        const loaded = await accounts().preload({ id, owner: 'new' })
        expect(loaded).toBeInstanceOf(Account)
        expect(loaded).toMatchObject({ id, owner: 'new', balance: 10 * Number(id), version: 1 })
      }
      expect((await accounts().findOneByOrFail({ id: '1' })).owner).toBe('a')
    })

    it('gives undefined where no row has the key, and refuses an object without one', async () => {
      expect(await accounts().preload({ id: '99', owner: 'x' })).toBeUndefined()
      await expect(accounts().preload({ owner: 'x' })).rejects.toMatch(/does not have a primary column/)
    })

    it('finds a row by a primary key that does not hold the shard key', async () => {
      await accounts().save(twelveAccounts())
      const entries = target.dataSource.getRepository(Entry)
      const saved = await entries.save(ids.map((accountId) => ({ accountId, amount: Number(accountId) })))
      for (const { id, accountId } of saved) {
        expect(await entries.preload({ id, note: 'n' })).toEqual({
          id,
          accountId,
          amount: Number(accountId),
          note: 'n',
        })
      }
    })

    it('loads the relations that the object has', async () => {
      const account = await accounts().save({ id: '5', owner: 'a', entries: [{ amount: 1 }, { amount: 2 }] })
      const loaded = await accounts().preload({ id: '5', entries: [{ id: account.entries[0]?.id ?? '', amount: 7 }] })
      expect(loaded?.entries).toHaveLength(1)
      expect(loaded?.entries[0]).toMatchObject({ id: account.entries[0]?.id, amount: 7 })
    })

    // Plain TypeORM's preload leaves the transaction: it does not see the row.
    it.runIf(target.shards > 0)('preloads inside a transaction what the transaction has written', async () => {
      await target.dataSource.transaction(async (manager) => {
        await manager.save(Account, { id: '7', owner: 'a' })
        expect(await manager.preload(Account, { id: '7', balance: 3 })).toMatchObject({ owner: 'a', balance: 3 })
      })
    })
  })
})
