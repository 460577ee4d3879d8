import { In, InsertResult, type ObjectLiteral } from 'typeorm'
import { beforeEach, describe, expect, it } from 'vitest'
import { onTargets } from '../../support/targets'
import { builders } from './builders'
import { Customer, Item, Order, Setting, shop, Visit, Warehouse } from './shop'
import { openShop, orderId, customers as rows } from './shop-rows'

describe('inserts by a query builder', () => {
  onTargets(shop, (target) => {
    const { warehouses, visits, settings, customers } = builders(target)
    const make = () => target.dataSource.createQueryBuilder()
    const stored = () => warehouses().orderBy('w.code').getMany()

    it('inserts one row', async () => {
      const result = await make().insert().into(Warehouse).values({ code: 'A', city: 'Bern', capacity: 1 }).execute()
      expect(result).toBeInstanceOf(InsertResult)
      expect(result.identifiers).toEqual([{ code: 'A' }])
      expect(await stored()).toEqual([{ code: 'A', city: 'Bern', capacity: 1 }])
    })

    it('inserts rows of many shards, and says their identifiers in order', async () => {
      const values = 'HGFEDCBA'.split('').map((code, index) => ({ code, city: 'Bern', capacity: index }))
      const result = await make().insert().into(Warehouse).values(values).execute()
      expect(result.identifiers).toEqual(values.map(({ code }) => ({ code })))
      expect((await stored()).map(({ code, capacity }) => [code, capacity])).toEqual([
        ['A', 7],
        ['B', 6],
        ['C', 5],
        ['D', 4],
        ['E', 3],
        ['F', 2],
        ['G', 1],
        ['H', 0],
      ])
    })

    it('inserts through a repository and through a manager', async () => {
      await target.dataSource
        .getRepository(Warehouse)
        .createQueryBuilder()
        .insert()
        .values({ code: 'R', city: 'x', capacity: 1 })
        .execute()
      await target.dataSource.manager
        .createQueryBuilder()
        .insert()
        .into('Warehouse')
        .values({ code: 'M', city: 'x', capacity: 2 })
        .execute()
      expect((await stored()).map(({ code }) => code)).toEqual(['M', 'R'])
    })

    it('gives what the database made: uuid, default, date', async () => {
      const values = ['1', '2', '3', '4'].map((customerId) => ({ customerId }))
      await target.dataSource.manager.insert(
        Customer,
        rows.slice(0, 4).map((row) => ({ ...row, seenAt: new Date(0) })),
      )
      const result = await make().insert().into(Visit).values(values).execute()
      expect(result.identifiers).toHaveLength(4)
      for (const [index, made] of result.generatedMaps.entries()) {
        expect(made).toMatchObject({
          id: expect.stringMatching(/^[0-9a-f-]{36}$/),
          channel: 'web',
          pages: 1,
          at: expect.any(Date),
        })
        expect(result.identifiers[index]).toEqual({ id: made['id'] })
        const one = await visits().where('v.id = :id', { id: made['id'] }).getOneOrFail()
        expect(one.customerId).toBe(String(index + 1))
      }
    })

    it('fills the objects that it is given, unless told not to', async () => {
      await target.dataSource.manager.insert(
        Customer,
        rows.slice(0, 2).map((row) => ({ ...row, seenAt: new Date(0) })),
      )
      const entity = target.dataSource.getRepository(Visit).create({ customerId: '1' })
      await make().insert().into(Visit).values(entity).execute()
      expect(entity).toMatchObject({
        customerId: '1',
        channel: 'web',
        pages: 1,
        id: expect.any(String),
        at: expect.any(Date),
      })
      const bare: Partial<Visit> = { customerId: '2' }
      await make().insert().into(Visit).values(bare).updateEntity(false).execute()
      expect(Object.keys(bare)).toEqual(['customerId'])
      expect(await visits().getCount()).toBe(2)
    })

    it('writes nulls, embeddeds, json, arrays, enums, transformed values', async () => {
      await make()
        .insert()
        .into(Customer)
        .values({
          id: '77',
          name: "O'Brien",
          email: null,
          tier: 'gold',
          balance: '0.0001',
          score: 1e-7,
          points: -1,
          active: false,
          profile: { lang: 'ø', level: 0, nested: { vip: true } },
          tags: ['a"b', "c'd", '{}'],
          seenAt: new Date('2024-05-05T05:05:05.005Z'),
          nickname: 'nick',
          secret: 's',
          address: { city: 'Ç', postcode: null },
        })
        .execute()
      expect(await customers().addSelect('c.secret').getMany()).toEqual([
        {
          id: '77',
          name: "O'Brien",
          email: null,
          tier: 'gold',
          balance: '0.0001',
          score: 1e-7,
          points: -1,
          active: false,
          profile: { lang: 'ø', level: 0, nested: { vip: true } },
          tags: ['a"b', "c'd", '{}'],
          seenAt: new Date('2024-05-05T05:05:05.005Z'),
          nickname: 'nick',
          secret: 's',
          address: { city: 'Ç', postcode: null },
          version: 1,
          deletedAt: null,
        },
      ])
      expect(await customers().select('c.nickname', 'n').getRawOne()).toEqual({ n: '~nick' })
    })

    it('computes values by functions', async () => {
      await make()
        .insert()
        .into(Warehouse)
        .values([
          { code: 'A', city: () => "upper('bern')", capacity: () => '20 + 1' },
          { code: 'B', city: 'Rome', capacity: 2 },
        ])
        .execute()
      expect(await stored()).toEqual([
        { code: 'A', city: 'BERN', capacity: 21 },
        { code: 'B', city: 'Rome', capacity: 2 },
      ])
    })

    it('names the columns', async () => {
      await make().insert().into(Setting, ['name']).values({ name: 'a', value: 9 }).execute()
      expect((await settings().getMany()).map(({ name, value }) => [name, value])).toEqual([['a', 0]])
    })

    it('returns columns', async () => {
      const result = await make()
        .insert()
        .into(Warehouse)
        .values([
          { code: 'A', city: 'x', capacity: 1 },
          { code: 'B', city: 'y', capacity: 2 },
          { code: 'C', city: 'z', capacity: 3 },
        ])
        .returning(['code', 'capacity'])
        .execute()
      expect(result.raw).toEqual([
        { code: 'A', capacity: 1 },
        { code: 'B', capacity: 2 },
        { code: 'C', capacity: 3 },
      ])
    })

    it('returns everything', async () => {
      const result = await make()
        .insert()
        .into(Warehouse)
        .values({ code: 'A', city: 'x', capacity: 1 })
        .returning('*')
        .execute()
      expect(result.raw).toEqual([{ code: 'A', city: 'x', capacity: 1 }])
    })

    it('inserts nothing for an empty list', async () => {
      const result = await make().insert().into(Warehouse).values([]).execute()
      expect(result.identifiers).toEqual([])
      expect(await warehouses().getCount()).toBe(0)
    })

    it('refuses a key that is there', async () => {
      await make().insert().into(Warehouse).values({ code: 'A', city: 'x', capacity: 1 }).execute()
      const again = make().insert().into(Warehouse).values({ code: 'A', city: 'y', capacity: 2 }).execute()
      await expect(again).rejects.toThrow('duplicate key value')
      expect(await stored()).toEqual([{ code: 'A', city: 'x', capacity: 1 }])
    })

    it('refuses a row without its shard key', async () => {
      const nothing = make().insert().into(Warehouse).values({ city: 'x', capacity: 1 }).execute()
      if (target.shards === 0) await expect(nothing).rejects.toThrow('null value in column "code"')
      else await expect(nothing).rejects.toMatchObject({ code: 'KEY_MISSING' })
      expect(await warehouses().getCount()).toBe(0)
    })

    it('refuses all rows where one is refused', async () => {
      const values = ['A', 'B', 'C', 'D'].map((code) => ({ code, city: 'x', capacity: 1 }))
      await make().insert().into(Warehouse).values({ code: 'C', city: 'first', capacity: 0 }).execute()
      await expect(make().insert().into(Warehouse).values(values).execute()).rejects.toThrow('duplicate key value')
      expect(await stored()).toEqual([{ code: 'C', city: 'first', capacity: 0 }])
    })

    describe('over a conflict', () => {
      beforeEach(() =>
        make()
          .insert()
          .into(Warehouse)
          .values([
            { code: 'A', city: 'old', capacity: 1 },
            { code: 'B', city: 'old', capacity: 2 },
          ])
          .execute(),
      )
      const values = [
        { code: 'B', city: 'new', capacity: 20 },
        { code: 'C', city: 'new', capacity: 30 },
        { code: 'D', city: 'new', capacity: 40 },
      ]

      it('leaves the old row', async () => {
        await make().insert().into(Warehouse).values(values).orIgnore().execute()
        expect((await stored()).map(({ code, city }) => [code, city])).toEqual([
          ['A', 'old'],
          ['B', 'old'],
          ['C', 'new'],
          ['D', 'new'],
        ])
      })
      it('overwrites columns', async () => {
        await make().insert().into(Warehouse).values(values).orUpdate(['city'], ['code']).execute()
        expect(await stored()).toEqual([
          { code: 'A', city: 'old', capacity: 1 },
          { code: 'B', city: 'new', capacity: 2 },
          { code: 'C', city: 'new', capacity: 30 },
          { code: 'D', city: 'new', capacity: 40 },
        ])
      })
      it.each([
        ['a value', { capacity: 1 }, ['B', 'old']],
        ['an operator', { capacity: In([1, 2]), city: 'old' }, ['B', 'new']],
        ['several', [{ capacity: 2 }, { city: 'nowhere' }], ['B', 'new']],
      ])('overwrites where %s says so', async (_, where, second) => {
        await make()
          .insert()
          .into(Warehouse)
          .values(values)
          .orUpdate(['city'], ['code'], { overwriteCondition: { where: where as ObjectLiteral } })
          .execute()
        expect((await stored()).map(({ code, city }) => [code, city])).toContainEqual(second)
      })
      it('overwrites what is not alike', async () => {
        await make()
          .insert()
          .into(Warehouse)
          .values([...values, { code: 'A', city: 'old', capacity: 1 }])
          .orUpdate(['city', 'capacity'], ['code'], { skipUpdateIfNoValuesChanged: true })
          .execute()
        expect((await stored()).map(({ code, city, capacity }) => [code, city, capacity])).toEqual([
          ['A', 'old', 1],
          ['B', 'new', 20],
          ['C', 'new', 30],
          ['D', 'new', 40],
        ])
      })
    })

    it('inserts what a query selects', async () => {
      await openShop(target.dataSource)
      await make()
        .insert()
        .into(Visit, ['customerId', 'channel', 'pages'])
        .valuesFromSelect((qb) =>
          qb
            .select('o.customerId')
            .addSelect('o.status::text', 'channel')
            .addSelect('o.number + 0', 'pages')
            .from(Order, 'o')
            .where('o.customerId = 4'),
        )
        .execute()
      const found = await visits().orderBy('v.pages').getMany()
      expect(found.map(({ customerId, channel, pages }) => [customerId, channel, pages])).toEqual([
        ['4', 'cancelled', 7],
        ['4', 'pending', 8],
        ['4', 'paid', 9],
        ['4', 'shipped', 10],
      ])
    })

    it('inserts into a transaction, which can be undone', async () => {
      const values = ['A', 'B', 'C', 'D'].map((code) => ({ code, city: 'x', capacity: 1 }))
      await target.dataSource
        .transaction(async (manager) => {
          await manager.createQueryBuilder().insert().into(Warehouse).values(values).execute()
          expect(await manager.createQueryBuilder(Warehouse, 'w').getCount()).toBe(4)
          throw new Error('undo')
        })
        .catch((error: Error) => expect(error.message).toBe('undo'))
      expect(await warehouses().getCount()).toBe(0)
    })

    it('inserts children by their parent', async () => {
      await openShop(target.dataSource)
      await make()
        .insert()
        .into(Item)
        .values({
          id: '9001',
          customerId: '4',
          order: { id: orderId(7) },
          sku: 'x',
          quantity: 1,
          price: '1.00',
          attributes: { colour: 'x', weight: 1 },
        })
        .execute()
      const found = await target.dataSource
        .createQueryBuilder(Order, 'o')
        .innerJoinAndSelect('o.items', 'i')
        .where('o.number = 7')
        .orderBy('i.id')
        .getOneOrFail()
      expect(found.items.map(({ id }) => id)).toEqual(['71', '72', '9001'])
    })
  })
})
