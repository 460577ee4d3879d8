import {
  type DataSource,
  type EntitySubscriberInterface,
  EventSubscriber,
  type InsertEvent,
  QueryFailedError,
} from 'typeorm'
import { beforeEach, describe, expect, it } from 'vitest'
import { ShardedDataSource } from '../../src/index'
import { onTargets } from '../support/targets'
import { Country, Currency, Customer, Label, Office, referenceEntities, Sale, seedReferences } from './reference-world'

const heard: string[] = []
const answers: unknown[] = []

@EventSubscriber()
class Listener implements EntitySubscriberInterface {
  beforeInsert({ metadata }: InsertEvent<unknown>) {
    heard.push(`before ${metadata.name}`)
  }
  afterInsert({ metadata }: InsertEvent<unknown>) {
    heard.push(`after ${metadata.name}`)
  }
  beforeTransactionCommit() {
    heard.push('commit')
  }
}

const tables = ['currency', 'country', 'label'] as const

/** The rows of all copies: each test leaves them equal. @returns those of the home node, or of plain TypeORM */
async function copies(dataSource: DataSource) {
  const ask = async (query: (text: string) => Promise<unknown>) =>
    Promise.all(tables.map((table) => query(`SELECT t::text AS row FROM "${table}" t ORDER BY t::text`)))
  const own = await ask((text) => dataSource.query(text))
  if (!(dataSource instanceof ShardedDataSource)) return own
  const { runtime } = dataSource
  for (const node of runtime.nodes)
    expect(await ask(async (text) => (await runtime.pool(node).query(text)).rows), node).toEqual(own)
  const notes = await Promise.all(
    runtime.nodes.map(async (node) => (await runtime.pool(node).query('SELECT FROM sharding_reference_note')).rows),
  )
  expect(notes.flat()).toEqual([])
  expect((await dataSource.verifyReferenceTables()).filter(({ equal }) => !equal)).toEqual([])
  return own
}

const codeOf = (error: unknown) => (error instanceof QueryFailedError ? error.driverError.code : error)

describe('writes of reference tables', () => {
  onTargets({ entities: referenceEntities, groups: ['customer'], subscribers: [Listener] }, (target) => {
    const of = <Entity extends object>(entity: new () => Entity) => target.dataSource.getRepository(entity)
    const eur = () => ({ code: 'EUR', kind: 'hard' }) as const
    const currencyOf = (code: string) => of(Currency).findOneByOrFail({ code })
    beforeEach(() => {
      heard.length = 0
    })

    it('are made once, and equal on all nodes: sequences, clocks, enums, generated columns, odd values', async () => {
      const saved = await of(Currency).save({
        ...eur(),
        rate: '1.5',
        facts: { a: ['"', null, 1.25] },
        names: ['x,y', '{"}', ''],
      })
      expect(heard).toEqual(['before Currency', 'after Currency', 'commit'])
      expect(saved.madeAt).toBeInstanceOf(Date)
      const { identifiers, raw } = await of(Currency).insert([{ code: 'USD' }, { code: 'Ünïcode €' }])
      expect(identifiers).toEqual([{ id: saved.id + 1 }, { id: saved.id + 2 }])
      expect(raw).toHaveLength(2)
      expect(await of(Currency).find({ order: { id: 'ASC' } })).toMatchObject([
        { code: 'EUR', kind: 'hard', rate: '1.5000', lowered: 'eur', names: ['x,y', '{"}', ''], madeAt: saved.madeAt },
        { code: 'USD', kind: 'soft', rate: '1.0000', lowered: 'usd' },
        { code: 'Ünïcode €', lowered: 'ünïcode €' },
      ])
      await copies(target.dataSource)
    })

    it('take their values from rows of shards that are not joined on the shard key', async () => {
      await of(Country).insert([
        { code: 'de', name: 'Germany' },
        { code: 'fr', name: 'France' },
        { code: 'li', name: 'Liechtenstein' },
      ])
      await of(Customer).insert(
        [1, 2, 3, 4].map((id) => ({ id, name: `c${id}`, country: { code: id < 3 ? 'de' : 'fr' } })),
      )
      const { dataSource } = target
      const pairs = `FROM customer a JOIN customer b ON a."countryCode" = b."countryCode" AND a.id < b.id`
      await dataSource.query(`UPDATE country SET people = a.id + b.id ${pairs} WHERE a."countryCode" = country.code`)
      await dataSource.query(`DELETE FROM country USING (SELECT count(*) AS n ${pairs}) x WHERE x.n = 2 AND people = 0`)
      expect(await of(Country).find({ order: { code: 'ASC' } })).toMatchObject([
        { code: 'de', people: 3 },
        { code: 'fr', people: 7 },
      ])
      await copies(dataSource)
      const nexts = 'customer a LEFT JOIN customer b ON b.id = a.id + 1'
      await dataSource.query(`INSERT INTO label SELECT a.id, coalesce(b.name, 'last') FROM ${nexts}`)
      await dataSource.query(
        `UPDATE label SET text = k.name FROM ${nexts} LEFT JOIN country k ON k.code = b."countryCode" WHERE a.id = label.id AND b.id > 2`,
      )
      await dataSource.query(`DELETE FROM label USING ${nexts} WHERE b.id IS NULL AND a.id = label.id`)
      await dataSource.query(
        `INSERT INTO label VALUES (1, 'new') ON CONFLICT (id) DO UPDATE SET text = (SELECT excluded.text || max(b.name) FROM ${nexts} WHERE a.id > label.id)`,
      )
      expect(await of(Label).find({ order: { id: 'ASC' } })).toEqual([
        { id: 1, text: 'newc4' },
        { id: 2, text: 'France' },
        { id: 3, text: 'France' },
      ])
      await copies(dataSource)
      await dataSource.query(
        `UPDATE customer c SET name = k.name || o.id FROM country k, customer o WHERE k.code = o."countryCode" AND o.id = c.id + 1`,
      )
      expect((await of(Customer).find({ order: { id: 'ASC' } })).map(({ name }) => name)).toEqual([
        'Germany2',
        'France3',
        'France4',
        'c4',
      ])
    })

    it('go by every path: save, update, upsert, delete, builders, SQL, clear', async () => {
      await of(Label).save([1, 2, 3, 4, 5].map((id) => ({ id, text: `label ${id}` })))
      await of(Label).update({ id: 1 }, { text: 'first' })
      expect(
        (
          await of(Label).upsert(
            [
              { id: 2, text: 'second' },
              { id: 6, text: 'sixth' },
            ],
            ['id'],
          )
        ).identifiers,
      ).toHaveLength(2)
      expect((await of(Label).delete({ id: 3 })).affected).toBe(1)
      const third = await of(Label).save({ id: 3, text: 'again' })
      third.text = 'third'
      await of(Label).save(third)
      await of(Label).remove(await of(Label).findOneByOrFail({ id: 4 }))
      await of(Label)
        .createQueryBuilder()
        .update()
        .set({ text: () => `"text" || '!'` })
        .where('id < 3')
        .execute()
      await of(Label).createQueryBuilder().insert().values({ id: 7, text: 'seventh' }).execute()
      expect(await target.dataSource.query(`UPDATE label SET id = id + 10 WHERE id > 5 RETURNING id`)).toEqual([
        [{ id: 16 }, { id: 17 }],
        2,
      ])
      await target.dataSource.query(`INSERT INTO label SELECT 100 + n, 'made' FROM generate_series(1, 3) n`)
      await target.dataSource.query(`WITH gone AS (DELETE FROM label WHERE id = 101 RETURNING id) SELECT id FROM gone`)
      await of(Label).increment({ id: 103 }, 'id', 5)
      expect((await of(Label).find({ order: { id: 'ASC' } })).map(({ id, text }) => `${id} ${text}`)).toEqual([
        '1 first!',
        '2 second!',
        '3 third',
        '5 label 5',
        '16 sixth',
        '17 seventh',
        '102 made',
        '108 made',
      ])
      await copies(target.dataSource)
    })

    it('belong to the transaction of their caller, and are seen in it on every node', async () => {
      await of(Country).insert([{ code: 'DE', name: 'Deutschland' }])
      const run = (isKept: boolean) =>
        target.dataSource.transaction(async (manager) => {
          await manager.insert(Country, { code: 'FR', name: 'France' })
          await manager.save(
            Customer,
            [1, 2, 3, 4, 5].map((id) => ({ id, name: `c${id}`, country: { code: 'FR' } })),
          )
          expect(await manager.count(Customer, { where: { country: { name: 'France' } } })).toBe(5)
          await manager.update(Country, 'DE', { people: 83 })
          await manager
            .transaction(async (nested) => {
              await nested.delete(Country, 'DE')
              throw new Error('nested')
            })
            .catch(() => undefined)
          if (!isKept) throw new Error('not kept')
        })
      await expect(run(false)).rejects.toThrow('not kept')
      expect(await of(Country).find()).toMatchObject([{ code: 'DE', people: 0 }])
      await copies(target.dataSource)
      await run(true)
      expect(await of(Country).find({ order: { code: 'ASC' } })).toMatchObject([
        { code: 'DE', people: 83 },
        { code: 'FR' },
      ])
      expect(await of(Customer).countBy({ country: { code: 'FR' } })).toBe(5)
      await copies(target.dataSource)
    })

    it('are bound by foreign keys on every node, and follow them', async () => {
      await seedReferences(target.dataSource)
      const [usd, btc] = [await currencyOf('USD'), await currencyOf('BTC')]
      // Rows of shards and of the home node refer to them.
      expect(
        codeOf(
          await of(Country)
            .delete('FR')
            .catch((error: unknown) => error),
        ),
      ).toBe('23503')
      expect(
        codeOf(
          await of(Country)
            .delete('DE')
            .catch((error: unknown) => error),
        ),
      ).toBe('23503')
      expect(
        codeOf(
          await of(Customer)
            .insert({ id: 99, name: 'x', country: { code: 'XX' } })
            .catch((error: unknown) => error),
        ),
      ).toBe('23503')
      await of(Country)
        .delete('AQ')
        .catch((error: unknown) => expect(codeOf(error)).toBe('23503'))
      await copies(target.dataSource)
      const before = await of(Sale).count()
      // Of the shards' rows it takes those that cascade, and of countries the currency.
      await of(Currency).delete({ id: btc.id })
      expect(await of(Sale).count()).toBeLessThan(before)
      await of(Customer)
        .delete({ country: { code: 'US' } })
        .catch(() => undefined)
      await of(Currency).delete({ id: usd.id })
      expect(await of(Country).findOne({ where: { code: 'US' }, relations: { currency: true } })).toMatchObject({
        currency: null,
      })
      await of(Office).clear()
      await of(Country).insert({ code: 'SN', name: 'Sachsen', part: { code: 'BY' } })
      await of(Customer).update({ country: { code: 'DE' } }, { country: null })
      expect((await of(Country).delete('DE')).affected).toBe(1)
      expect((await of(Country).find({ order: { code: 'ASC' } })).map(({ code }) => code)).toEqual(['AQ', 'FR', 'US'])
      await copies(target.dataSource)
    })

    it('are refused as one database refuses them', async () => {
      await of(Currency).insert(eur())
      expect(
        codeOf(
          await of(Currency)
            .insert(eur())
            .catch((error: unknown) => error),
        ),
      ).toBe('23505')
      expect(
        codeOf(
          await of(Currency)
            .insert({ code: 'B', rate: 'x' })
            .catch((error: unknown) => error),
        ),
      ).toBe('22P02')
      await target.dataSource
        .transaction(async (manager) => {
          await manager.insert(Currency, { code: 'A' })
          await manager.insert(Currency, eur())
        })
        .catch((error: unknown) => expect(codeOf(error)).toBe('23505'))
      expect((await of(Currency).find()).map(({ code }) => code)).toEqual(['EUR'])
      await copies(target.dataSource)
    })

    it('come by cascades from sharded entities, once', async () => {
      const currency = of(Currency).create({ code: 'EUR', rate: '1.5' })
      const country = of(Country).create({ code: 'DE', name: 'Deutschland', people: 83, currency })
      const saved = await of(Customer).save(Array.from({ length: 6 }, (_, id) => ({ id, name: `c${id}`, country })))
      // Those of a reference table come first.
      const told = heard.filter((one) => one.startsWith('before C') || one === 'commit')
      expect(told.at(-1)).toBe('commit')
      expect(told.slice(0, -1).toSorted()).toEqual([
        'before Country',
        'before Currency',
        ...Array(6).fill('before Customer'),
      ])
      expect(saved[5]?.country?.currency?.id).toBe((await currencyOf('EUR')).id)
      const loaded = await of(Customer).findOneOrFail({ where: { id: 3 }, relations: { country: true } })
      if (loaded.country) loaded.country.people = 84
      await of(Customer).save(loaded)
      expect(await of(Country).find({ relations: { currency: true } })).toMatchObject([
        { code: 'DE', people: 84, currency: { code: 'EUR' } },
      ])
      const bad = { id: 9, name: 'bad', country: of(Country).create({ code: 'XXX', name: 'too long' }) }
      expect(
        codeOf(
          await of(Customer)
            .save(bad)
            .catch((error: unknown) => error),
        ),
      ).toBe('22001')
      expect(await of(Customer).count()).toBe(6)
      await copies(target.dataSource)
    })

    it('take rows from shards, and clear', async () => {
      await of(Customer).insert(Array.from({ length: 6 }, (_, id) => ({ id, name: `c${id}` })))
      await target.dataSource.query(`INSERT INTO label SELECT id, name FROM customer WHERE id > 1`)
      await target.dataSource.query(`UPDATE label SET text = (SELECT max(name) FROM customer) WHERE id = 2`)
      await target.dataSource.query(`DELETE FROM label USING customer c WHERE c.id = label.id AND c.name = 'c5'`)
      expect((await of(Label).find({ order: { id: 'ASC' } })).map(({ text }) => text)).toEqual(['c5', 'c3', 'c4'])
      await copies(target.dataSource)
      await of(Label).delete({ id: 2 })
      expect(
        codeOf(
          await of(Label)
            .clear()
            .catch((error: unknown) => error),
        ),
      ).toBe('0A000')
      await copies(target.dataSource)
    })

    it('are asked by writes of sharded tables', async () => {
      let asked = 0
      /** Plain TypeORM is first, and says what is expected. */
      const alike = (found: unknown) => {
        const known = answers[asked]
        if (known === undefined) answers.push(found)
        else expect(found).toEqual(known)
        asked += 1
      }
      await seedReferences(target.dataSource)
      const rows = async (text: string) => target.dataSource.query(text)
      await rows(
        `UPDATE customer SET name = l.name FROM country l WHERE l.code = customer."countryCode" AND l.people > 70`,
      )
      await rows(`UPDATE customer SET name = name || (SELECT count(*) FROM country) WHERE id < 4`)
      await rows(
        `UPDATE customer SET name = (SELECT coalesce(max(u.code), '-') FROM currency u JOIN country l ON l."currencyId" = u.id WHERE l.code = customer."countryCode") WHERE id > 20`,
      )
      await rows(`DELETE FROM sale USING currency u WHERE u.id = sale."currencyId" AND u.code = 'USD'`)
      await rows(`DELETE FROM sale WHERE "currencyId" IN (SELECT id FROM currency WHERE kind = 'soft') AND total > 50`)
      await rows(
        `INSERT INTO customer (id, name, "countryCode") VALUES (70, (SELECT name FROM country WHERE code = 'AQ'), 'AQ')`,
      )
      await rows(
        `INSERT INTO sale (id, "customerId", total, "currencyId") SELECT c.id + 1000, c.id, l.people, l."currencyId" FROM customer c JOIN country l ON l.code = c."countryCode"`,
      )
      const moved = await of(Customer).update({ country: { code: 'US' } }, { country: { code: 'FR' } })
      expect(moved.affected).toBe(4)
      alike(await rows(`SELECT id, name, "countryCode" AS code FROM customer ORDER BY id`))
      alike(await rows(`SELECT id, total, "currencyId" AS currency FROM sale ORDER BY id, "customerId"`))
      await copies(target.dataSource)
    })

    it('come before what refers to them in a list of several kinds, and go after it', async () => {
      const country = of(Country).create({ code: 'IT', name: 'Italia' })
      const customers = [1, 2, 3].map((id) => of(Customer).create({ id, name: 'c', country: { code: 'IT' } }))
      const label = of(Label).create({ id: 5, text: 'five' })
      await target.dataSource.manager.save([...customers, country, of(Office).create({ id: 1, country }), label])
      expect(await of(Customer).countBy({ country: { name: 'Italia' } })).toBe(3)
      await target.dataSource.manager.remove([label, ...customers])
      expect([await of(Customer).count(), await of(Label).count()]).toEqual([0, 0])
      await copies(target.dataSource)
    })

    it('keep their order where they come at once', async () => {
      await of(Label).insert({ id: 1, text: '' })
      const add = (letter: string) =>
        target.dataSource.query(`UPDATE label SET text = text || $1 WHERE id = 1`, [letter])
      await Promise.all([...'abcdefgh'].map(add))
      expect((await of(Label).findOneByOrFail({ id: 1 })).text).toHaveLength(8)
      await copies(target.dataSource)
    })
  })
})
