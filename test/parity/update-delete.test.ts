import {
  Between,
  DeleteResult,
  In,
  IsNull,
  MoreThan,
  Not,
  QueryFailedError,
  Raw,
  TypeORMError,
  UpdateResult,
} from 'typeorm'
import { beforeEach, describe, expect, it } from 'vitest'
import { onTargets } from '../support/targets'
import { Account, bank, Entry, ids, Setting, twelveAccounts } from './bank'

describe('writes by condition', () => {
  onTargets(bank, (target) => {
    const accounts = () => target.dataSource.getRepository(Account)
    const entries = () => target.dataSource.getRepository(Entry)
    const owners = async () => (await accounts().find({ order: { id: 'ASC' } })).map(({ owner }) => owner).join('')

    beforeEach(async () => {
      await accounts().save(twelveAccounts())
    })

    it('updates one row by its key, an id, or an id in an object', async () => {
      for (const criteria of ['4', { id: '4' }, 4]) {
        const result = await accounts().update(criteria, { owner: 'x' })
        expect(result).toBeInstanceOf(UpdateResult)
        expect(result).toEqual({ affected: 1, raw: [], generatedMaps: [] })
      }
      expect(await accounts().findOneByOrFail({ id: '4' })).toMatchObject({ owner: 'x', version: 4 })
    })

    it('updates rows by a list of ids, and by conditions over all shards', async () => {
      expect((await accounts().update(['1', '5', '9', '77'], { owner: 'x' })).affected).toBe(3)
      expect((await accounts().update({ balance: MoreThan(90) }, { owner: 'y' })).affected).toBe(3)
      expect((await accounts().update([{ id: '2' }, { balance: 60 }], { owner: 'z' })).affected).toBe(2)
      expect((await accounts().update({ id: In(['3', '4']) }, { state: 'shut' })).affected).toBe(2)
      expect((await accounts().update({ owner: 'nobody' }, { state: 'shut' })).affected).toBe(0)
      expect(await accounts().find({ where: { state: 'shut' }, order: { id: 'ASC' }, select: { id: true } })).toEqual([
        { id: '3' },
        { id: '4' },
      ])
      expect((await accounts().findBy({ owner: 'x' })).map(({ id }) => id).sort()).toEqual(['1', '5', '9'])
      expect((await accounts().findBy({ owner: 'y' })).map(({ id }) => id).sort()).toEqual(['10', '11', '12'])
    })

    it('updates by expressions', async () => {
      const { affected } = await accounts().update({ owner: 'a' }, { balance: () => 'balance * 2' })
      expect(affected).toBe(4)
      expect(await accounts().sum('balance')).toBe(780 + 10 + 40 + 70 + 100)
    })

    it('returns what is asked for', async () => {
      const result = await accounts().update(
        { balance: Between(30, 60) },
        { owner: 'r' },
        { returning: ['id', 'owner'] },
      )
      expect(result.affected).toBe(4)
      const raw: { id: string; owner: string }[] = result.raw
      expect(raw.map(({ id, owner }) => id + owner).sort()).toEqual(['3r', '4r', '5r', '6r'])
    })

    it('updates all', async () => {
      expect((await accounts().updateAll({ owner: 'x' })).affected).toBe(12)
      expect(await owners()).toBe('x'.repeat(12))
    })

    it('updates nothing where one row fails', async () => {
      const failed = accounts().updateAll({ rate: () => '1 / (balance - 70)' })
      await expect(failed).rejects.toBeInstanceOf(QueryFailedError)
      await expect(failed).rejects.toMatchObject({ driverError: { code: '22012' } })
      expect(await accounts().countBy({ rate: IsNull() })).toBe(12)
    })

    it('deletes by id, ids and conditions', async () => {
      const result = await accounts().delete('4')
      expect(result).toBeInstanceOf(DeleteResult)
      expect(result).toEqual({ affected: 1, raw: [] })
      expect((await accounts().delete({ id: '4' })).affected).toBe(0)
      expect((await accounts().delete(['1', '2', '99'])).affected).toBe(2)
      expect((await accounts().delete({ owner: 'c' })).affected).toBe(4)
      expect((await accounts().delete([{ id: '5' }, { balance: 80 }])).affected).toBe(2)
      expect((await accounts().find({ order: { balance: 'ASC' } })).map(({ id }) => id)).toEqual(['7', '10', '11'])
    })

    it('tells of a write that fails by its own statement', async () => {
      const error: unknown = await accounts()
        .update({ balance: MoreThan(0) }, { balance: () => 'balance / 0' })
        .catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(QueryFailedError)
      expect(error).toMatchObject({ query: expect.stringMatching(/^UPDATE /), parameters: [0], code: '22012' })
    })

    it('tells no number of rows where a condition brings a second statement', async () => {
      const result = await accounts().delete({ balance: Raw((column) => `${column} > 90; SELECT 1`) })
      expect(result).toBeInstanceOf(DeleteResult)
      expect({ ...result }).toStrictEqual({ raw: [], affected: undefined })
      expect(await accounts().count()).toBe(9)
    })

    it('deletes by a primary key that does not hold the shard key', async () => {
      const saved = await entries().save(ids.map((accountId) => ({ accountId, amount: 1 })))
      const [first, second, third] = saved.map(({ id }) => id)
      expect((await entries().delete(first ?? '')).affected).toBe(1)
      expect((await entries().delete([second ?? '', third ?? ''])).affected).toBe(2)
      expect(await entries().count()).toBe(9)
    })

    it('deletes all, with what hangs on it', async () => {
      await entries().save(ids.map((accountId) => ({ accountId, amount: 1 })))
      expect((await accounts().deleteAll()).affected).toBe(12)
      expect(await entries().count()).toBe(0)
    })

    it('soft-deletes and restores', async () => {
      const gone = await accounts().softDelete({ owner: 'b' })
      expect(gone).toBeInstanceOf(UpdateResult)
      expect(gone.affected).toBe(4)
      expect((await accounts().softDelete('1')).affected).toBe(1)
      expect((await accounts().softDelete('1')).affected).toBe(0)
      expect(await accounts().count()).toBe(7)
      expect(await accounts().countBy({ deletedAt: Not(IsNull()) })).toBe(0)
      const back = await accounts().restore({ owner: 'b' })
      expect(back).toBeInstanceOf(UpdateResult)
      expect(back.affected).toBe(4)
      expect((await accounts().restore(['1', '2'])).affected).toBe(1)
      expect(await accounts().count()).toBe(12)
    })

    it('increments and decrements, one row or many', async () => {
      expect((await accounts().increment({ id: '3' }, 'balance', 5)).affected).toBe(1)
      expect((await accounts().increment({ owner: 'a' }, 'balance', '1')).affected).toBe(4)
      expect((await accounts().decrement({ balance: MoreThan(100) }, 'balance', 100)).affected).toBe(3)
      expect(await accounts().findOneByOrFail({ id: '3' })).toMatchObject({ balance: 35 })
      expect(await accounts().sum('balance')).toBe(780 + 5 + 4 - 300)
    })

    it('clears, alone and with what refers to it', async () => {
      await entries().save(ids.map((accountId) => ({ accountId, amount: 1 })))
      await expect(accounts().clear()).rejects.toMatchObject({ driverError: { code: '0A000' } })
      expect(await entries().count()).toBe(12)
      await entries().clear()
      expect(await entries().count()).toBe(0)
      await entries().save({ accountId: '1', amount: 1 })
      await accounts().clear({ cascade: true })
      expect([await accounts().count(), await entries().count()]).toEqual([0, 0])
    })

    it.each(['update', 'delete', 'softDelete', 'restore'] as const)('refuses empty criteria of %s', async (method) => {
      const run = (criteria: never): Promise<unknown> =>
        method === 'update' ? accounts().update(criteria, { owner: 'x' }) : accounts()[method](criteria)
      const message = `Empty criteria(s) are not allowed for the ${method} method.`
      for (const criteria of [{}, [], [{}], [{ id: '1' }, {}], null, undefined, '']) {
        const error: unknown = await run(criteria as never).catch((thrown: unknown) => thrown)
        expect(error).toBeInstanceOf(TypeORMError)
        expect(error).toMatchObject({ message })
      }
      expect(await owners()).toBe('abcabcabcabc')
    })

    it.each([null, undefined])('refuses %s as the value of a condition', async (value) => {
      const where = { owner: value } as never
      await expect(accounts().update(where, { owner: 'x' })).rejects.toBeInstanceOf(TypeORMError)
      await expect(accounts().delete(where)).rejects.toBeInstanceOf(TypeORMError)
      await expect(accounts().increment(where, 'balance', 1)).rejects.toBeInstanceOf(TypeORMError)
      expect(await owners()).toBe('abcabcabcabc')
    })

    it('refuses values and properties that make no sense', async () => {
      await expect(accounts().increment({ id: '1' }, 'balance', 'many')).rejects.toThrow(
        'Value "many" is not a number.',
      )
      await expect(accounts().increment({ id: '1' }, 'no', 1)).rejects.toThrow('Column no was not found in Account')
      await expect(accounts().increment({}, 'balance', 1)).rejects.toBeInstanceOf(TypeORMError)
      await expect(accounts().update({ no: 1 } as never, { owner: 'x' })).rejects.toThrow(/"no" was not found/)
      await expect(accounts().update({ id: '1' }, { no: 1 } as never)).rejects.toThrow(/"no" was not found/)
    })

    it('writes what is not sharded', async () => {
      const settings = target.dataSource.getRepository(Setting)
      await settings.save([{ name: 'x' }, { name: 'y', value: 1 }, { name: 'z' }])
      expect((await settings.update({ name: 'x' }, { value: 4 })).affected).toBe(1)
      expect((await settings.increment({ value: MoreThan(0) }, 'value', 2)).affected).toBe(2)
      expect((await settings.delete({ value: 3 })).affected).toBe(1)
      expect(await settings.sum('value')).toBe(6)
      await settings.clear()
      expect(await settings.count()).toBe(0)
    })
  })
})
