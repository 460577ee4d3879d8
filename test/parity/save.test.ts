import { QueryFailedError } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { onTargets } from '../support/targets'
import { Account, bank, Entry, ids, twelveAccounts } from './bank'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

describe('save', () => {
  onTargets(bank, (target) => {
    const accounts = () => target.dataSource.getRepository(Account)
    const entries = () => target.dataSource.getRepository(Entry)

    it('returns the same object, with what the database filled in', async () => {
      const given = accounts().create({ id: '5', owner: 'a' })
      const saved = await accounts().save(given)
      expect(saved).toBe(given)
      expect(saved).toEqual({
        id: '5',
        owner: 'a',
        balance: 0,
        rate: null,
        state: 'open',
        secret: null,
        version: 1,
        createdAt: expect.any(Date),
        updatedAt: expect.any(Date),
        deletedAt: null,
      })
    })

    it('returns the same list of the same objects, in order', async () => {
      const given = twelveAccounts().reverse()
      const objects = [...given]
      const saved = await accounts().save(given)
      expect(saved).toBe(given)
      for (const [index, one] of saved.entries()) expect(one).toBe(objects[index])
      expect(saved.map(({ id, version }) => [id, version])).toEqual([...ids].reverse().map((id) => [id, 1]))
      expect(await accounts().count()).toBe(12)
    })

    it('fills the generated uuid of each in the order of the list', async () => {
      await accounts().save(twelveAccounts())
      const saved = await entries().save(ids.map((accountId) => ({ accountId, amount: Number(accountId) })))
      expect(new Set(saved.map(({ id }) => id)).size).toBe(12)
      for (const { id, accountId } of saved) {
        expect(id).toMatch(uuid)
        expect(await entries().findOneByOrFail({ id })).toMatchObject({ accountId, amount: Number(accountId) })
      }
    })

    it('updates what exists and inserts what does not, in one call', async () => {
      await accounts().save(twelveAccounts().slice(0, 6))
      const saved = await accounts().save(twelveAccounts().map((account) => ({ ...account, balance: 7 })))
      expect(saved.map(({ version }) => version)).toEqual([2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1])
      expect(await accounts().countBy({ balance: 7 })).toBe(12)
    })

    it('raises the version and the update date with a change, and neither without', async () => {
      await accounts().save({ id: '3', owner: 'a' })
      const account = await accounts().findOneByOrFail({ id: '3' })
      const { createdAt, updatedAt } = account
      await accounts().save(account)
      expect(account.version).toBe(1)
      account.owner = 'b'
      await accounts().save(account)
      expect(account.version).toBe(2)
      expect(account.createdAt).toEqual(createdAt)
      expect(account.updatedAt.getTime()).toBeGreaterThanOrEqual(updatedAt.getTime())
    })

    it('saves a loaded entity back, and only what changed', async () => {
      await accounts().save(twelveAccounts())
      const loaded = await accounts().find({ order: { id: 'ASC' } })
      await accounts().update({ id: '4' }, { owner: 'behind' })
      for (const account of loaded) account.balance += 1
      await accounts().save(loaded)
      expect(await accounts().findOneByOrFail({ id: '4' })).toMatchObject({ owner: 'a', balance: 41 })
      expect((await accounts().find({ order: { id: 'ASC' } })).map(({ balance }) => balance)).toEqual(
        ids.map((id) => Number(id) * 10 + 1),
      )
    })

    it('saves a partial object by its primary key', async () => {
      await accounts().save(twelveAccounts())
      await accounts().save([
        { id: '2', balance: 1 },
        { id: '9', balance: 2 },
      ])
      expect(await accounts().findOneByOrFail({ id: '2' })).toMatchObject({ owner: 'b', balance: 1 })
      expect(await accounts().findOneByOrFail({ id: '9' })).toMatchObject({ owner: 'c', balance: 2 })
    })

    it('saves a partial object by a primary key that does not hold the shard key', async () => {
      await accounts().save(twelveAccounts())
      const [first, , third] = await entries().save(ids.map((accountId) => ({ accountId, amount: 1 })))
      await entries().save([
        { id: first?.id ?? '', note: 'one' },
        { id: third?.id ?? '', note: 'three' },
      ])
      expect(await entries().findOneByOrFail({ note: 'three' })).toMatchObject({ accountId: '3', amount: 1 })
      expect(await entries().count()).toBe(12)
    })

    it('gives an empty list back', async () => {
      const empty: Account[] = []
      expect(await accounts().save(empty)).toBe(empty)
    })

    it('takes undefined as unset and null as NULL', async () => {
      const account = await accounts().save({ id: '1', owner: 'a', rate: '1.5000' })
      const changed: { id: string; rate?: string | null } = { id: '1' }
      await accounts().save({ ...changed, rate: undefined as never })
      expect((await accounts().findOneByOrFail({ id: '1' })).rate).toBe('1.5000')
      await accounts().save({ ...changed, rate: null })
      expect((await accounts().findOneByOrFail({ id: '1' })).rate).toBeNull()
      expect(account.rate).toBe('1.5000')
    })

    it('does not let go of what is not selected', async () => {
      await accounts().save({ id: '1', owner: 'a', secret: 's' })
      const account = await accounts().findOneByOrFail({ id: '1' })
      expect(account).not.toHaveProperty('secret')
      account.owner = 'b'
      await accounts().save(account)
      const { secret } = await accounts().findOneOrFail({ where: { id: '1' }, select: { id: true, secret: true } })
      expect(secret).toBe('s')
    })

    it('saves in chunks', async () => {
      const saved = await accounts().save(twelveAccounts(), { chunk: 5 })
      expect(saved.map(({ id, version }) => [id, version])).toEqual(ids.map((id) => [id, 1]))
      expect(await accounts().count()).toBe(12)
    })

    it('saves without reload', async () => {
      const saved = await accounts().save(twelveAccounts(), { reload: false })
      expect(saved).toHaveLength(12)
      expect(await accounts().count()).toBe(12)
    })

    it('saves without a transaction, one object or many', async () => {
      await accounts().save({ id: '1', owner: 'a' }, { transaction: false })
      await accounts().save(twelveAccounts(), { transaction: false })
      expect(await accounts().count()).toBe(12)
    })

    it('saves all or nothing', async () => {
      const rows = [...twelveAccounts(), { id: '13', owner: null as never }]
      const error: unknown = await accounts()
        .save(rows)
        .catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(QueryFailedError)
      expect(error).toMatchObject({ driverError: { code: '23502', column: 'owner' } })
      expect(await accounts().count()).toBe(0)
    })

    it('lets a broken constraint through as PostgreSQL’s error', async () => {
      const orphan: unknown = await entries()
        .save({ accountId: '77', amount: 1 })
        .catch((thrown: unknown) => thrown)
      expect(orphan).toBeInstanceOf(QueryFailedError)
      expect(orphan).toMatchObject({ code: '23503', driverError: { code: '23503' } })
    })

    it('saves fifty at once', async () => {
      const many = Array.from({ length: 50 }, (_, index) => ({ id: String(1000 + index), owner: 'm' }))
      await Promise.all(many.map((one) => accounts().save(one)))
      expect(await accounts().countBy({ owner: 'm' })).toBe(50)
    })
  })
})
