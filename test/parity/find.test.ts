import {
  And,
  Any,
  Between,
  EntityNotFoundError,
  EntityPropertyNotFoundError,
  Equal,
  ILike,
  In,
  IsNull,
  LessThan,
  LessThanOrEqual,
  Like,
  MoreThan,
  MoreThanOrEqual,
  Not,
  Or,
  QueryFailedError,
  Raw,
  TypeORMError,
} from 'typeorm'
import type { FindOptionsWhere } from 'typeorm/find-options/FindOptionsWhere'
import { beforeEach, describe, expect, it } from 'vitest'
import { onTargets } from '../support/targets'
import { Account, bank, Entry, ids, Setting, twelveAccounts } from './bank'

type Where = FindOptionsWhere<Account> | FindOptionsWhere<Account>[]

/** Conditions, and the ids of the accounts that they hold for, in order. */
const conditions: readonly (readonly [name: string, where: () => Where, expected: readonly number[]])[] = [
  ['a key', () => ({ id: '4' }), [4]],
  ['a key that is a number', () => ({ id: 4 as never }), [4]],
  ['Equal', () => ({ id: Equal('4') }), [4]],
  ['In', () => ({ id: In(['1', '2', '11', '99']) }), [1, 2, 11]],
  ['an empty In', () => ({ id: In([]) }), []],
  ['In of one', () => ({ id: In(['8']) }), [8]],
  ['Any', () => ({ id: Any(['3', '7']) }), [3, 7]],
  ['Between of the key', () => ({ id: Between('4', '6') }), [4, 5, 6]],
  ['an open range of the key', () => ({ id: MoreThanOrEqual('11') }), [11, 12]],
  ['And of the key', () => ({ id: And(MoreThan('2'), LessThan('5')) }), [3, 4]],
  ['Or of the key', () => ({ id: Or(Equal('2'), LessThanOrEqual('1')) }), [1, 2]],
  ['Not of a key', () => ({ id: Not('4'), balance: LessThan(60) }), [1, 2, 3, 5]],
  ['Not In', () => ({ id: Not(In(ids.slice(0, 10))) }), [11, 12]],
  ['another column', () => ({ owner: 'a' }), [1, 4, 7, 10]],
  ['key and another column', () => ({ id: '4', owner: 'b' }), []],
  ['OR of keys', () => [{ id: '1' }, { id: '2' }, { id: '12' }], [1, 2, 12]],
  ['OR of a key and another column', () => [{ id: '2' }, { owner: 'a' }], [1, 2, 4, 7, 10]],
  ['OR with an empty branch', () => [{ id: '2' }, {}], [2]],
  ['a contradiction', () => ({ id: And(Equal('1'), Equal('2')) }), []],
  ['In and another column', () => ({ id: In(['1', '2', '3', '4']), owner: 'a' }), [1, 4]],
  ['OR of Ins', () => [{ id: In(['1', '2']), owner: 'a' }, { id: In(['5', '6']) }], [1, 5, 6]],
  ['Like', () => ({ owner: Like('%b%') }), [2, 5, 8, 11]],
  ['ILike', () => ({ owner: ILike('B') }), [2, 5, 8, 11]],
  ['IsNull', () => ({ rate: IsNull(), balance: LessThan(30) }), [1, 2]],
  ['Raw', () => ({ balance: Raw((column) => `${column} % :by = 0`, { by: 40 }) }), [4, 8, 12]],
  ['Raw on the key', () => ({ id: Raw((column) => `${column} IN (3, 9)`) }), [3, 9]],
  ['no condition', () => ({}), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]],
  ['an empty list', () => [], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]],
]

describe('find', () => {
  onTargets(bank, (target) => {
    const accounts = () => target.dataSource.getRepository(Account)
    const idsOf = (list: readonly { id: string }[]) => list.map(({ id }) => Number(id))
    const sorted = (list: readonly { id: string }[]) => idsOf(list).sort((a, b) => a - b)

    beforeEach(async () => {
      await accounts().save(twelveAccounts())
    })

    it.each(conditions)('finds by %s', async (_, where, expected) => {
      expect(idsOf(await accounts().find({ where: where(), order: { id: 'ASC' } }))).toEqual(expected)
      expect(sorted(await accounts().findBy(where()))).toEqual(expected)
      expect(await accounts().countBy(where())).toBe(expected.length)
      expect(await accounts().existsBy(where())).toBe(expected.length > 0)
      const [page, count] = await accounts().findAndCount({ where: where(), order: { id: 'DESC' }, take: 2 })
      expect([idsOf(page), count]).toEqual([[...expected].reverse().slice(0, 2), expected.length])
      const [all, allCount] = await accounts().findAndCountBy(where())
      expect([sorted(all), allCount]).toEqual([expected, expected.length])
      const one = await accounts().findOne({ where: where(), order: { id: 'ASC' } })
      expect(one ? Number(one.id) : undefined).toBe(expected[0])
      const by = await accounts().findOneBy(where())
      expect(by === null ? expected.length === 0 : expected.includes(Number(by.id))).toBe(true)
    })

    it('does not change the condition that it is given', async () => {
      const where = { id: In(['1', '2', '3', '4', '5']), owner: Not(In(['b'])) }
      for (let round = 0; round < 3; round++) {
        expect(sorted(await accounts().findBy(where))).toEqual([1, 3, 4])
        expect(await accounts().countBy(where)).toBe(3)
      }
      expect(where.id.value).toEqual(['1', '2', '3', '4', '5'])
    })

    it('gives entities of the class, with all that was stored', async () => {
      const all = await accounts().find()
      expect(all).toHaveLength(12)
      for (const account of all) {
        expect(account).toBeInstanceOf(Account)
        expect(account).toEqual({
          id: account.id,
          owner: expect.stringMatching(/^[abc]$/),
          balance: 10 * Number(account.id),
          rate: null,
          state: 'open',
          version: 1,
          createdAt: expect.any(Date),
          updatedAt: expect.any(Date),
          deletedAt: null,
        })
      }
    })

    it('pages through an order', async () => {
      for (const [skip, take] of [
        [0, 5],
        [5, 5],
        [10, 5],
        [12, 5],
        [3, undefined],
      ]) {
        const page = { order: { balance: 'DESC' as const }, ...(skip && { skip }), ...(take && { take }) }
        const expected = [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1].slice(skip, take && (skip ?? 0) + take)
        expect(idsOf(await accounts().find(page))).toEqual(expected)
        expect(await accounts().findAndCount(page)).toEqual([expect.any(Array), 12])
      }
    })

    it('takes nothing where it is asked to take 0', async () => {
      expect(await accounts().find({ order: { id: 'ASC' }, take: 0 })).toEqual([])
    })

    it('orders by several columns, in both directions', async () => {
      const found = await accounts().find({ order: { owner: 'DESC', balance: 'ASC' } })
      expect(idsOf(found)).toEqual([3, 6, 9, 12, 2, 5, 8, 11, 1, 4, 7, 10])
      const mixed = await accounts().find({ order: { owner: 1, balance: -1 }, take: 5, skip: 2 })
      expect(idsOf(mixed)).toEqual([4, 1, 11, 8, 5])
    })

    it('puts NULLs where they are asked to be', async () => {
      await accounts().update(['2', '9'], { rate: '1.5' })
      await accounts().update(['5'], { rate: '0.25' })
      const order = async (rate: object) => idsOf(await accounts().find({ order: { rate, id: 'ASC' }, take: 4 }))
      expect(await order({ direction: 'ASC', nulls: 'LAST' })).toEqual([5, 2, 9, 1])
      expect(await order({ direction: 'ASC', nulls: 'FIRST' })).toEqual([1, 3, 4, 6])
      expect(await order({ direction: 'DESC', nulls: 'last' })).toEqual([2, 9, 5, 1])
      expect(idsOf(await accounts().find({ order: { rate: 'DESC', id: 'ASC' }, take: 2 }))).toEqual([1, 3])
    })

    it('selects some columns', async () => {
      expect(
        await accounts().find({ select: { id: true, balance: true }, where: { owner: 'a' }, order: { id: 'ASC' } }),
      ).toEqual([1, 4, 7, 10].map((id) => ({ id: String(id), balance: id * 10 })))
      expect(await accounts().find({ select: { owner: true }, order: { balance: 'DESC' }, take: 3 })).toEqual([
        { owner: 'c' },
        { owner: 'b' },
        { owner: 'a' },
      ])
    })

    it('finds soft-deleted rows only when asked', async () => {
      await accounts().softDelete({ owner: 'a' })
      expect(await accounts().count()).toBe(8)
      expect(sorted(await accounts().find({ withDeleted: true, where: { owner: 'a' } }))).toEqual([1, 4, 7, 10])
      expect(await accounts().exists({ where: { owner: 'a' } })).toBe(false)
      expect(await accounts().exists({ where: { owner: 'a' }, withDeleted: true })).toBe(true)
    })

    it('takes a comment', async () => {
      expect(await accounts().find({ comment: 'audit', where: { owner: 'a' } })).toHaveLength(4)
    })

    it('finds one or fails', async () => {
      expect(await accounts().findOneOrFail({ where: { id: '3' } })).toMatchObject({ id: '3', owner: 'c' })
      expect(await accounts().findOneByOrFail({ balance: 120 })).toMatchObject({ id: '12' })
      expect(await accounts().findOne({ where: { id: '99' } })).toBeNull()
      for (const where of [{ id: '99' }, { owner: 'nobody' }]) {
        await expect(accounts().findOneByOrFail(where)).rejects.toBeInstanceOf(EntityNotFoundError)
        const error: unknown = await accounts()
          .findOneOrFail({ where })
          .catch((thrown: unknown) => thrown)
        expect(error).toBeInstanceOf(EntityNotFoundError)
        expect(error).toMatchObject({ entityClass: Account, criteria: { where } })
      }
    })

    it('refuses findOne without a condition, and takes the first row of findOneBy({})', async () => {
      await expect(accounts().findOne({})).rejects.toThrow('You must provide selection conditions')
      await expect(accounts().findOneOrFail({})).rejects.toThrow('You must provide selection conditions')
      expect(await accounts().findOneBy({})).toBeInstanceOf(Account)
      expect(await accounts().findOneBy(undefined as never)).toBeInstanceOf(Account)
    })

    it('refuses what the entity does not have', async () => {
      for (const options of [
        { where: { no: 1 } },
        { order: { no: 'ASC' } },
        { select: { no: true } },
        { relations: { no: true } },
      ]) {
        await expect(accounts().find(options as never)).rejects.toBeInstanceOf(EntityPropertyNotFoundError)
      }
      await expect(accounts().count({ where: { no: 1 } } as never)).rejects.toBeInstanceOf(EntityPropertyNotFoundError)
    })

    it('refuses null and undefined as values, negative pages, and lists of names', async () => {
      for (const where of [{ owner: null }, { owner: undefined }, { id: null }, { id: undefined }]) {
        await expect(accounts().find({ where } as never)).rejects.toBeInstanceOf(TypeORMError)
        await expect(accounts().countBy(where as never)).rejects.toBeInstanceOf(TypeORMError)
        await expect(accounts().findOneBy(where as never)).rejects.toBeInstanceOf(TypeORMError)
      }
      await expect(accounts().find({ take: -1 })).rejects.toThrow()
      await expect(accounts().find({ skip: -1 })).rejects.toThrow()
      await expect(accounts().find({ take: 'x' as never })).rejects.toThrow(/is not a number/)
      await expect(accounts().find({ select: ['id'] as never })).rejects.toThrow(TypeORMError)
      await expect(accounts().find({ relations: ['entries'] as never })).rejects.toThrow(TypeORMError)
    })

    it('lets PostgreSQL say what is wrong with a value', async () => {
      const error: unknown = await accounts()
        .findBy({ balance: 'much' as never })
        .catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(QueryFailedError)
      expect(error).toMatchObject({ driverError: { code: '22P02' } })
      await expect(accounts().findBy({ id: 'no number' })).rejects.toMatchObject({ driverError: { code: '22P02' } })
    })

    it('counts distinct values of a select that holds the key', async () => {
      expect(await accounts().count({ select: { id: true } })).toBe(12)
      expect(await accounts().count({ select: { id: true, owner: true }, where: { owner: 'a' } })).toBe(4)
    })

    it('counts in spite of pages', async () => {
      expect(await accounts().count({ take: 3 })).toBe(12)
      expect(await accounts().count({ skip: 3, take: 3, where: { owner: 'a' } })).toBe(4)
    })

    it('sums, averages, and finds extremes', async () => {
      expect(await accounts().sum('balance')).toBe(780)
      expect(await accounts().average('balance')).toBe(65)
      expect(await accounts().average('balance', { id: In(['1', '2', '4']) })).toBeCloseTo(23.333333333333332, 12)
      expect(await accounts().minimum('balance', { owner: 'c' })).toBe(30)
      expect(await accounts().maximum('balance', [{ owner: 'a' }, { owner: 'b' }])).toBe(110)
      expect(await accounts().sum('balance', { id: '3' })).toBe(30)
      for (const method of ['sum', 'average', 'minimum', 'maximum'] as const) {
        expect(await accounts()[method]('balance', { owner: 'nobody' })).toBeNull()
        await expect(accounts()[method]('no' as never)).rejects.toThrow('Column "no" was not found in table "Account"')
      }
    })

    it('finds what is not sharded', async () => {
      const settings = target.dataSource.getRepository(Setting)
      await settings.save([
        { name: 'x', value: 1 },
        { name: 'y', value: 2 },
      ])
      expect((await settings.find({ order: { name: 'DESC' } })).map(({ name }) => name)).toEqual(['y', 'x'])
      expect(await settings.maximum('value')).toBe(2)
      await expect(settings.findOneByOrFail({ name: 'z' })).rejects.toBeInstanceOf(EntityNotFoundError)
    })

    it('finds children by their key and by the parent', async () => {
      const entries = target.dataSource.getRepository(Entry)
      await entries.save(ids.flatMap((accountId) => [1, 2].map((amount) => ({ accountId, amount }))))
      expect(await entries.countBy({ accountId: '3' })).toBe(2)
      expect(await entries.countBy({ account: { id: '3' } })).toBe(2)
      expect(await entries.countBy({ account: { owner: 'a' }, amount: 2 })).toBe(4)
      expect(await entries.sum('amount', { account: { id: In(['1', '2']) } })).toBe(6)
    })
  })
})
