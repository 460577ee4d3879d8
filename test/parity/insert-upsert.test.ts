import { InsertResult, QueryFailedError } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { onTargets } from '../support/targets'
import { Account, bank, Entry, ids, Setting, twelveAccounts } from './bank'

describe('insert and upsert', () => {
  onTargets(bank, (target) => {
    const accounts = () => target.dataSource.getRepository(Account)
    const entries = () => target.dataSource.getRepository(Entry)

    it('inserts one and fills what is generated', async () => {
      const given = { id: '5', owner: 'a' }
      const result = await accounts().insert(given)
      expect(result).toBeInstanceOf(InsertResult)
      expect(result.identifiers).toEqual([{ id: '5' }])
      expect(result.generatedMaps).toEqual([
        {
          balance: 0,
          state: 'open',
          version: 1,
          createdAt: expect.any(Date),
          updatedAt: expect.any(Date),
          deletedAt: null,
        },
      ])
      expect(result.raw).toHaveLength(1)
      expect(given).toMatchObject({ id: '5', version: 1, state: 'open' })
    })

    it('gives identifiers, maps and rows in the order of the input', async () => {
      const given = [...twelveAccounts()].reverse()
      const result = await accounts().insert(given)
      expect(result.identifiers).toEqual([...ids].reverse().map((id) => ({ id })))
      expect(result.generatedMaps).toHaveLength(12)
      expect(result.raw).toHaveLength(12)
      expect(given.map((account) => 'version' in account && account.version)).toEqual(ids.map(() => 1))
    })

    it('generates uuids for each row of a list', async () => {
      await accounts().insert(twelveAccounts())
      const given = ids.map((accountId) => ({ accountId, amount: Number(accountId) }))
      const { identifiers } = await entries().insert(given)
      expect(identifiers).toHaveLength(12)
      for (const [index, identifier] of identifiers.entries()) {
        expect(given[index]).toMatchObject(identifier)
        expect(await entries().findOneByOrFail(identifier)).toMatchObject({ accountId: ids[index] })
      }
    })

    it('inserts nothing of an empty list', async () => {
      const result = await accounts().insert([])
      expect(result).toMatchObject({ identifiers: [], generatedMaps: [] })
      expect(result).toBeInstanceOf(InsertResult)
    })

    it('takes expressions as values', async () => {
      await accounts().insert({ id: '3', owner: () => `'x' || 'y'`, balance: () => '40 + 2' })
      expect(await accounts().findOneByOrFail({ id: '3' })).toMatchObject({ owner: 'xy', balance: 42 })
    })

    it('inserts all or nothing', async () => {
      await accounts().insert({ id: '7', owner: 'first' })
      const error: unknown = await accounts()
        .insert(twelveAccounts())
        .catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(QueryFailedError)
      expect(error).toMatchObject({ driverError: { code: '23505' } })
      expect(await accounts().count()).toBe(1)
    })

    it('upserts: new rows are inserted, known ones updated', async () => {
      await accounts().insert(twelveAccounts().slice(0, 4))
      const result = await accounts().upsert(
        twelveAccounts().map((account) => ({ ...account, owner: 'up' })),
        ['id'],
      )
      expect(result).toBeInstanceOf(InsertResult)
      expect(result.identifiers).toEqual(ids.map((id) => ({ id })))
      expect(result.generatedMaps).toHaveLength(12)
      expect(await accounts().countBy({ owner: 'up' })).toBe(12)
    })

    it('upserts one by options', async () => {
      await accounts().insert({ id: '1', owner: 'a', balance: 1 })
      await accounts().upsert({ id: '1', owner: 'b' }, { conflictPaths: { id: true } })
      expect(await accounts().findOneByOrFail({ id: '1' })).toMatchObject({ owner: 'b', balance: 1 })
    })

    it('leaves rows alone that an upsert would not change', async () => {
      await accounts().insert(twelveAccounts())
      const before = await accounts().findOneByOrFail({ id: '2' })
      await accounts().upsert(twelveAccounts(), { conflictPaths: ['id'], skipUpdateIfNoValuesChanged: true })
      expect(await accounts().findOneByOrFail({ id: '2' })).toEqual(before)
    })

    it('upserts nothing of an empty list', async () => {
      expect(await accounts().upsert([], ['id'])).toMatchObject({ identifiers: [], generatedMaps: [] })
    })

    it('inserts and upserts what is not sharded', async () => {
      const settings = target.dataSource.getRepository(Setting)
      const { identifiers } = await settings.insert([{ name: 'x' }, { name: 'y', value: 2 }])
      expect(identifiers).toHaveLength(2)
      await settings.upsert({ name: 'x', value: 5 }, ['name'])
      expect(await settings.findOneByOrFail({ name: 'x' })).toEqual({ ...identifiers[0], name: 'x', value: 5 })
      await expect(settings.insert({ name: 'y' })).rejects.toMatchObject({ driverError: { code: '23505' } })
    })
  })
})
