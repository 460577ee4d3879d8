import type { DataSource, EntityManager } from 'typeorm'
import { In } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Badge, openPeople, outcome, type People, Person, PlainBadge, PlainPerson } from './people'

/** The same in one database and over shards. */
interface Side {
  readonly dataSource: DataSource
  readonly manager: EntityManager
  readonly Person: typeof Person
  readonly Badge: typeof Badge
}

type Step = (side: Side) => Promise<unknown>

const people = [
  { id: '1', email: 'ann@x', name: 'ann' },
  { id: '2', email: 'ben@x', name: 'ben' },
  { id: '3', email: 'cid@x', name: 'cid', team: 'blue' },
  { id: '4', email: null, name: null },
  { id: '5', email: null, name: null },
]

const insertPeople: Step = ({ manager, Person }) => manager.insert(Person, structuredClone(people))

/** The first takes the value of the second, which gets another. */
const handedOn = (one: string, other: string) => [
  { id: one, email: `${other === '1' ? 'ann' : 'ben'}@x` },
  { id: other, email: 'b@x' },
]

/** Steps in order; each gives its error, if it has one. */
const cases: Readonly<Record<string, readonly Step[]>> = {
  'save of a taken value': [({ manager, Person }) => manager.save(Person, { id: '9', email: 'ann@x' })],
  'save of a new value': [({ manager, Person }) => manager.save(Person, { id: '9', email: 'new@x' })],
  'save of several': [
    ({ manager, Person }) =>
      manager.save(Person, [
        { id: '9', email: 'i@x' },
        { id: '10', email: 'j@x' },
        { id: '11', email: 'ben@x' },
      ]),
    ({ manager, Person }) =>
      manager.save(Person, [
        { id: '9', email: 'i@x' },
        { id: '10', email: 'j@x' },
      ]),
  ],
  'insert of a taken value': [({ manager, Person }) => manager.insert(Person, { id: '9', email: 'ann@x' })],
  'insert of many': [
    ({ manager, Person }) =>
      manager.insert(
        Person,
        Array.from({ length: 20 }, (_, index) => ({ id: String(20 + index), email: `${index}@x` })),
      ),
    ({ manager, Person }) =>
      manager.insert(
        Person,
        Array.from({ length: 20 }, (_, index) => ({ id: String(40 + index), email: `${index + 19}@x` })),
      ),
  ],
  'insert of two that are equal': [
    ({ manager, Person }) =>
      manager.insert(Person, [
        { id: '9', email: 'same@x' },
        { id: '10', email: 'same@x' },
      ]),
  ],
  'composite values': [
    ({ manager, Person }) => manager.insert(Person, { id: '9', name: 'ann', team: 'red' }),
    ({ manager, Person }) => manager.insert(Person, { id: '9', name: 'ann', team: 'blue' }),
    ({ manager, Person }) => manager.update(Person, { id: '3' }, { team: 'red', name: 'ben' }),
  ],
  'NULLs are distinct': [({ manager, Person }) => manager.insert(Person, { id: '9', email: null, name: null })],
  'upsert, new and there': [
    ({ manager, Person }) => manager.upsert(Person, { id: '2', email: 'ben2@x' }, ['id']),
    ({ manager, Person }) => manager.upsert(Person, { id: '9', email: 'ben@x' }, ['id']),
    ({ manager, Person }) => manager.upsert(Person, { id: '9', email: 'ann@x' }, ['id']),
    ({ manager, Person }) => manager.upsert(Person, { id: '10', email: 'ann@x' }, ['id']),
  ],
  'update by id': [
    ({ manager, Person }) => manager.update(Person, '2', { email: 'ann@x' }),
    ({ manager, Person }) => manager.update(Person, '2', { email: 'b@x' }),
    ({ manager, Person }) => manager.update(Person, '1', { email: 'ben@x' }),
  ],
  'update by criteria over shards': [
    ({ manager, Person }) => manager.update(Person, { team: 'red' }, { email: 'all@x' }),
    ({ manager, Person }) => manager.update(Person, { name: 'cid' }, { email: 'all@x' }),
    ({ manager, Person }) => manager.update(Person, { email: 'all@x' }, { email: 'ann@x' }),
  ],
  'query builders': [
    ({ manager, Person }) =>
      manager.createQueryBuilder().insert().into(Person).values({ id: '9', email: 'ann@x' }).execute(),
    ({ manager, Person }) =>
      manager.createQueryBuilder().insert().into(Person).values({ id: '9', email: 'n@x' }).execute(),
    ({ manager, Person }) =>
      manager.createQueryBuilder().update(Person).set({ email: 'n@x' }).where('name = :n', { n: 'ann' }).execute(),
    ({ manager, Person }) =>
      manager.createQueryBuilder().update(Person).set({ email: 'n@x' }).where('id = :n', { n: '1' }).execute(),
    ({ manager, Person }) =>
      manager.createQueryBuilder().delete().from(Person).where('email = :e', { e: 'n@x' }).execute(),
    ({ manager, Person }) =>
      manager.createQueryBuilder().update(Person).set({ email: 'n@x' }).where('name = :n', { n: 'ann' }).execute(),
  ],
  'raw SQL': [
    ({ manager }) => manager.query(`INSERT INTO person (id, email) VALUES (9, 'ann@x')`),
    ({ manager }) => manager.query(`INSERT INTO person (id, email) VALUES (9, 'n@x'), (10, 'm@x')`),
    ({ manager }) => manager.query(`UPDATE person SET email = 'ann@x' WHERE id = 9`),
    ({ manager }) => manager.query(`UPDATE person SET email = 'ann@x' WHERE email = 'n@x'`),
    ({ manager }) => manager.query(`DELETE FROM person WHERE id = $1`, ['1']),
    ({ manager }) => manager.query(`UPDATE person SET email = 'ann@x' WHERE id = 9`),
    ({ manager }) => manager.query(`UPDATE person SET email = email || '!' WHERE email IS NOT NULL`),
    ({ manager }) => manager.query(`INSERT INTO person (id, email) VALUES (12, 'ann@x')`),
    ({ manager }) => manager.query(`INSERT INTO person (id, email) VALUES (13, 'ann@x!')`),
  ],
  'delete, then insert': [
    ({ manager, Person }) => manager.delete(Person, { id: '1' }),
    ({ manager, Person }) => manager.insert(Person, { id: '9', email: 'ann@x' }),
    ({ manager, Person }) => manager.delete(Person, { id: In(['2', '9']) }),
    ({ manager, Person }) =>
      manager.insert(Person, [
        { id: '10', email: 'ann@x' },
        { id: '11', email: 'ben@x' },
      ]),
  ],
  'remove, then insert': [
    async ({ manager, Person }) => manager.remove(await manager.findBy(Person, { id: In(['1', '2']) })),
    ({ manager, Person }) => manager.insert(Person, { id: '9', email: 'ann@x' }),
    ({ manager, Person }) => manager.insert(Person, { id: '10', email: 'ann@x' }),
  ],
  'a soft-deleted row keeps its value': [
    ({ manager, Person }) => manager.softDelete(Person, { id: '1' }),
    ({ manager, Person }) => manager.insert(Person, { id: '9', email: 'ann@x' }),
    ({ manager, Person }) => manager.restore(Person, { id: '1' }),
    ({ manager, Person }) => manager.insert(Person, { id: '9', email: 'ann@x' }),
  ],
  cascades: [
    ({ manager, Person }) =>
      manager.save(Person, {
        id: '1',
        badges: [
          { id: 1, code: 'a' },
          { id: 2, code: 'b' },
        ],
      }),
    ({ manager, Person }) => manager.save(Person, { id: '2', badges: [{ id: 3, code: 'a' }] }),
    ({ manager, Person }) => manager.save(Person, { id: '2', badges: [{ id: 3, code: 'c' }] }),
    ({ manager, Person }) => manager.save(Person, { id: '1', badges: [{ id: 1, code: 'a' }] }),
    ({ manager, Person }) => manager.save(Person, { id: '3', badges: [{ id: 4, code: 'b' }] }),
    ({ manager, Person }) => manager.delete(Person, { id: '1' }),
    ({ manager, Badge }) => manager.insert(Badge, { id: 5, personId: '2', code: 'a' }),
    ({ manager, Badge }) => manager.insert(Badge, { id: 6, personId: '2', code: 'b' }),
  ],
  clear: [
    ({ dataSource }) => dataSource.query('DELETE FROM badge'),
    ({ manager, Person }) => manager.clear(Person, { cascade: true }),
    ({ manager, Person }) => manager.insert(Person, { id: '9', email: 'ann@x' }),
    ({ manager, Person }) => manager.insert(Person, { id: '10', email: 'ann@x' }),
  ],
  'a swap fails, in one save and in one statement': [
    ({ manager, Person }) =>
      manager.save(Person, [
        { id: '1', email: 'ben@x' },
        { id: '2', email: 'ann@x' },
      ]),
    ({ manager }) =>
      manager.query(`UPDATE person SET email = CASE id WHEN 1 THEN 'ben@x' ELSE 'ann@x' END WHERE id IN (1, 2)`),
    ({ manager, Person }) =>
      manager.save(Person, [
        { id: '1', email: 'free@x' },
        { id: '2', email: 'ann@x' },
      ]),
  ],
  'a value that goes from row to row, in the order of a save': [
    ({ manager, Person }) => manager.save(Person, handedOn('1', '2')),
    ({ manager, Person }) => manager.save(Person, handedOn('2', '1').toReversed()),
    ({ manager, Person }) =>
      manager.save(Person, [
        { id: '9', email: 'ben@x' },
        { id: '2', email: 'b@x' },
      ]),
    ({ manager, Person }) =>
      manager.save(Person, [
        { id: '2', email: 'b@x' },
        { id: '9', email: 'ben@x' },
      ]),
    ({ manager, Person }) =>
      manager.save(Person, [
        { id: '2', email: 'b@x' },
        { id: '1', email: 'ben@x' },
      ]),
    ({ manager, Person }) =>
      manager.save(Person, [
        { id: '1', badges: [{ id: 1, code: 'a' }] },
        { id: '2', badges: [{ id: 2, code: 'b' }] },
        { id: '3', badges: [{ id: 3, code: 'c' }] },
      ]),
    ({ manager, Person }) =>
      manager.save(Person, [
        { id: '1', badges: [{ id: 1, code: 'd' }] },
        { id: '2', badges: [{ id: 2, code: 'a' }] },
        { id: '3', badges: [{ id: 3, code: 'b' }] },
      ]),
    ({ manager, Person }) =>
      manager.save(Person, [
        { id: '3', badges: [{ id: 3, code: 'a' }] },
        { id: '2', badges: [{ id: 2, code: 'e' }] },
      ]),
  ],
  'a value that goes from row to row, in the order of an upsert': [
    ({ manager, Person }) => manager.upsert(Person, handedOn('1', '2'), ['id']),
    ({ manager, Person }) => manager.upsert(Person, handedOn('1', '2').toReversed(), ['id']),
    ({ manager, Person }) =>
      manager.upsert(
        Person,
        [
          { id: '9', email: 'b@x' },
          { id: '2', email: 'c@x' },
        ],
        ['id'],
      ),
    ({ manager, Person }) =>
      manager.upsert(
        Person,
        [
          { id: '2', email: 'c@x' },
          { id: '9', email: 'b@x' },
        ],
        ['id'],
      ),
    ({ manager, Person }) =>
      manager
        .createQueryBuilder()
        .insert()
        .into(Person)
        .values([
          { id: '1', email: 'b@x' },
          { id: '9', email: 'd@x' },
        ])
        .orUpdate(['email'], ['id'])
        .execute(),
    ({ manager }) =>
      manager.query(
        `INSERT INTO person (id, email) VALUES ($1, 'd@x'), (1, 'b@x') ON CONFLICT (id) DO UPDATE SET email = EXCLUDED.email`,
        ['9'],
      ),
    ({ manager }) =>
      manager.query(
        `INSERT INTO person (id, email) VALUES ($1, 'e@x'), (1, 'd@x') ON CONFLICT (id) DO UPDATE SET email = EXCLUDED.email`,
        ['9'],
      ),
  ],
  'a transaction that is rolled back': [
    ({ dataSource, Person }) =>
      dataSource.transaction(async (manager) => {
        await manager.insert(Person, { id: '9', email: 'n@x' })
        await manager.update(Person, { id: '1' }, { email: 'm@x' })
        throw new Error('back')
      }),
    ({ manager, Person }) => manager.insert(Person, { id: '10', email: 'n@x' }),
    ({ manager, Person }) => manager.insert(Person, { id: '11', email: 'ann@x' }),
    ({ manager, Person }) => manager.insert(Person, { id: '11', email: 'm@x' }),
  ],
  'a violation ends its transaction': [
    ({ dataSource, Person }) =>
      dataSource.transaction(async (manager) => {
        await manager.insert(Person, { id: '9', email: 'n@x' })
        await manager.insert(Person, { id: '10', email: 'ann@x' })
      }),
    ({ manager, Person }) => manager.insert(Person, { id: '11', email: 'n@x' }),
  ],
  savepoints: [
    ({ dataSource, Person }) =>
      dataSource.transaction(async (manager) => {
        await manager.insert(Person, { id: '9', email: 'n@x' })
        await manager
          .transaction(async (nested) => {
            await nested.insert(Person, { id: '10', email: 'm@x' })
            await nested.insert(Person, { id: '11', email: 'ann@x' })
          })
          .catch(() => undefined)
        await manager
          .transaction(async (nested) => {
            await nested.delete(Person, { id: '1' })
            throw new Error('back')
          })
          .catch(() => undefined)
        await manager.insert(Person, { id: '12', email: 'm@x' })
      }),
    ({ manager, Person }) => manager.insert(Person, { id: '13', email: 'ann@x' }),
    ({ manager, Person }) => manager.insert(Person, { id: '13', email: 'n@x' }),
    ({ manager, Person }) => manager.insert(Person, { id: '13', email: 'm@x' }),
  ],
  'without a transaction of save': [
    ({ manager, Person }) => manager.save(Person, { id: '9', email: 'n@x' }, { transaction: false }),
    ({ manager, Person }) => manager.save(Person, { id: '10', email: 'n@x' }, { transaction: false }),
  ],
}

describe.each(['schema', 'table'] as const)('@GlobalUnique in the layout %s', (layout) => {
  let both: People
  let sides: { readonly plain: Side; readonly sharded: Side }

  beforeAll(async () => {
    both = await openPeople({ layout })
    sides = {
      plain: {
        dataSource: both.plain,
        manager: both.plain.manager,
        Person: PlainPerson as unknown as typeof Person,
        Badge: PlainBadge as unknown as typeof Badge,
      },
      sharded: { dataSource: both.sharded, manager: both.sharded.manager, Person, Badge },
    }
  })
  beforeEach(() => both.clear())
  afterAll(() => both.close())

  it.each(Object.entries(cases))('is a unique constraint of one database: %s', async (_, steps) => {
    const run = async (side: Side): Promise<unknown> => {
      await insertPeople(side)
      const outcomes: unknown[] = []
      for (const step of steps) outcomes.push(await outcome(() => step(side)))
      return {
        outcomes,
        people: await side.manager.find(side.Person, {
          order: { id: 'ASC' },
          withDeleted: true,
          select: { id: true, email: true, team: true, name: true },
        }),
        badges: await side.manager.find(side.Badge, { order: { id: 'ASC' } }),
      }
    }
    const [expected, found] = [await run(sides.plain), await run(sides.sharded)]
    expect(JSON.parse(JSON.stringify(found))).toEqual(JSON.parse(JSON.stringify(expected)))
  })

  it('refuses that rows of unknown places hand values on, and undoes it', async () => {
    const { sharded } = both
    await insertPeople(sides.sharded)
    const badges = () => sharded.manager.find(Badge, { order: { id: 'ASC' } })
    await sharded.manager.insert(Badge, [
      { id: 1, personId: '1', code: 'a' },
      { id: 2, personId: '2', code: 'b' },
    ])
    const before = await badges()
    const text = `INSERT INTO badge (id, "personId", code) VALUES (1 + 0, 1, 'b'), (2 + 0, 2, 'c') ON CONFLICT (id) DO UPDATE SET code = EXCLUDED.code`
    await expect(sharded.query(text)).rejects.toMatchObject({ code: 'STATEMENT_UNSUPPORTED' })
    await sharded.transaction(async (manager) => {
      await manager.insert(Badge, { id: 3, personId: '3', code: 'c' })
      await expect(manager.query(text.replace(`'c'`, `'d'`))).rejects.toMatchObject({ code: 'STATEMENT_UNSUPPORTED' })
    })
    expect(await badges()).toEqual([...before, expect.objectContaining({ id: 3, code: 'c' })])
    expect((await sharded.verifyLookups()).flatMap(({ missing, dangling }) => [...missing, ...dangling])).toEqual([])
  })

  it('refuses ON CONFLICT about rows of other shards', async () => {
    const { sharded } = both
    const refused = { code: 'STATEMENT_UNSUPPORTED' }
    const insert = (conflict: string) =>
      sharded.query(`INSERT INTO person (id, email) VALUES (9, 'x') ON CONFLICT ${conflict}`)
    await expect(insert('DO NOTHING')).rejects.toMatchObject(refused)
    await expect(insert('(email) DO NOTHING')).rejects.toMatchObject(refused)
    await expect(insert('(email) DO UPDATE SET city = 1')).rejects.toMatchObject(refused)
    await expect(insert('ON CONSTRAINT one_name_a_team DO NOTHING')).rejects.toMatchObject(refused)
    await expect(
      sharded.createQueryBuilder().insert().into(Person).values({ id: '9', email: 'x' }).orIgnore().execute(),
    ).rejects.toMatchObject(refused)
    await insert('(id) DO NOTHING')
    await insert(`(id) DO UPDATE SET city = 'ulm'`)
    expect(await sharded.manager.findBy(Person, { email: 'x' })).toMatchObject([{ id: '9', city: 'ulm' }])
  })
})
