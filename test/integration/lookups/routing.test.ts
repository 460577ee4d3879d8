import { In, IsNull, Like, MoreThan } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openPeople, type People, Person, PlainPerson } from './people'

const cities = ['ulm', 'rom', 'ayr', 'pau']
const rows = Array.from({ length: 60 }, (_, index) => ({
  id: String(index),
  email: `${index}@x`,
  team: index % 2 === 0 ? 'red' : 'blue',
  name: `n${index >> 1}`,
  city: index % 9 === 0 ? null : (cities[index % 5] ?? 'one of its own'),
}))

describe.each(['schema', 'table'] as const)('reads by lookup in the layout %s', (layout) => {
  let both: People
  const people = () => both.sharded.getRepository(Person)

  beforeAll(async () => {
    both = await openPeople({ layout })
    await both.plain.manager.insert(PlainPerson, structuredClone(rows))
    await both.sharded.manager.insert(Person, structuredClone(rows))
  })
  afterAll(() => both.close())

  /** What is sent, as the tables that it names first. */
  const sent = async (work: () => Promise<unknown>): Promise<readonly string[]> => {
    // Asked once a data source.
    await both.sharded.query('SELECT 1 FROM person WHERE id = 0')
    const tables: string[] = []
    const end = both.sharded.onStatement(({ text }) => {
      tables.push(/"(\w*person\w*)"[ .]/.exec(text.replace(/"person_?\w*"\."/g, '"'))?.[1] ?? text)
    })
    await work()
    end()
    return tables.map((table) => table.replace(/_\d+$/, ''))
  }

  it('sends one statement to the lookup and one to the shard of the row', async () => {
    const found = { find: () => people().findOneBy({ email: '7@x' }) }
    expect(await sent(found.find)).toEqual(['person_email_lookup', 'person'])
    expect(await found.find()).toMatchObject({ id: '7', email: '7@x' })
    expect(await sent(() => people().findOneBy({ email: 'nobody' }))).toEqual(['person_email_lookup', 'person'])
    expect(await sent(() => people().findOneBy({ id: '7', email: '7@x' }))).toEqual(['person'])
    expect(
      await sent(() => people().createQueryBuilder('p').where('p.email = :email', { email: '7@x' }).getOne()),
    ).toEqual(['person_email_lookup', 'person'])
    expect(await sent(() => both.sharded.query(`SELECT * FROM person WHERE email = '7@x'`))).toEqual([
      'person_email_lookup',
      'person',
    ])
    expect(await sent(() => people().findOneBy({ team: 'red', name: 'n4' }))).toEqual([
      'person_team_name_lookup',
      'person',
    ])
  })

  it('asks all shards where the condition does not name all columns', async () => {
    const scattered = ['person', 'person', 'person']
    expect(await sent(() => people().findBy({ team: 'red' }))).toEqual(scattered)
    expect(await sent(() => people().findBy({ email: Like('7%') }))).toEqual(scattered)
    expect(await sent(() => people().findBy([{ email: '7@x' }, { name: 'n1' }]))).toEqual(scattered)
  })

  it('gives the rows of one database', async () => {
    const wheres = [
      { email: '7@x' },
      { email: In(['7@x', '8@x', 'nobody', '30@x']) },
      [{ email: '7@x' }, { email: '9@x' }],
      [{ email: '7@x' }, { id: '9' }],
      { email: '7@x', city: 'rom' },
      { email: '7@x', name: 'n9' },
      { city: 'ulm' },
      { city: In(['ulm', 'pau']), id: MoreThan('20') },
      { city: IsNull() },
      { city: In([]) },
      { team: In(['red', 'blue']), name: 'n3' },
      { team: 'red', name: In(['n3', 'n4']) },
      { email: '7@x', city: IsNull() },
    ]
    for (const where of wheres) {
      const options = { where, order: { id: 'ASC' }, take: 10 } as const
      expect(await people().find(options as never)).toEqual(
        (await both.plain.manager.find(PlainPerson, options as never)).map((one) => people().create(one as never)),
      )
      expect(await people().countBy(where as never)).toBe(await both.plain.manager.countBy(PlainPerson, where as never))
      expect(await people().existsBy(where as never)).toBe(
        await both.plain.manager.existsBy(PlainPerson, where as never),
      )
    }
    const texts: readonly (readonly [string, readonly unknown[]])[] = [
      ['SELECT id FROM person WHERE email = $1', ['7@x']],
      ['SELECT id FROM person WHERE email = ANY($1) ORDER BY id', [['7@x', '30@x']]],
      ['SELECT id FROM person p WHERE (p.email = $1 OR p.email = $2) ORDER BY id', ['7@x', '9@x']],
      ['SELECT id FROM person p WHERE p.email = $1 OR p.id = $2 ORDER BY id', ['7@x', '9']],
      [`SELECT id FROM person WHERE (team, name) = ('red', 'n4')`, []],
      ['SELECT count(*)::int AS n FROM person WHERE city = $1', ['ulm']],
      ['SELECT count(*)::int AS n FROM person WHERE email = $1', ['nobody']],
      [
        'SELECT id FROM person WHERE email = $1 UNION SELECT id FROM person WHERE city = $2 ORDER BY id',
        ['7@x', 'ulm'],
      ],
      ['SELECT a.id FROM person a JOIN person b ON a.id = b.id WHERE a.email = $1 AND b.email = $1', ['7@x']],
      ['SELECT a.id FROM person a LEFT JOIN badge b ON b."personId" = a.id WHERE a.email = $1', ['7@x']],
      ['SELECT a.id FROM person a LEFT JOIN person b ON a.id = b.id AND b.email = $1 ORDER BY a.id LIMIT 3', ['7@x']],
      ['SELECT id FROM person WHERE NOT email = $1 ORDER BY id LIMIT 3', ['7@x']],
    ]
    for (const [text, values] of texts)
      expect(await both.sharded.query(text, [...values])).toEqual(await both.plain.query(text, [...values]))
  })

  it('says so in explain', async () => {
    const plan = await people().explain({ where: { email: '7@x' } })
    expect(plan.shards).toEqual([both.sharded.locate(Person, '7').shard])
    expect(plan.reason).toBe('the lookup of Person by email finds 1 value(s) of Person.id: 1 of 5 shards')
    const built = await people().createQueryBuilder('p').where('p.email = :email', { email: '7@x' }).explain()
    expect([built.shards, built.reason]).toEqual([plan.shards, plan.reason])
  })

  it('sees in a transaction what it has written', async () => {
    await both.sharded.transaction(async (manager) => {
      await manager.insert(Person, { id: '100', email: 'new@x' })
      expect(await manager.findOneBy(Person, { email: 'new@x' })).toMatchObject({ id: '100' })
      expect(await people().findOneBy({ email: 'new@x' })).toBeNull()
      await manager.update(Person, { email: 'new@x' }, { email: 'newer@x' })
      expect(await manager.findOneBy(Person, { email: 'new@x' })).toBeNull()
      expect(await manager.findOneBy(Person, { email: 'newer@x' })).toMatchObject({ id: '100' })
      expect((await manager.delete(Person, { email: 'newer@x' })).affected).toBe(1)
      expect(await manager.findOneBy(Person, { email: 'newer@x' })).toBeNull()
    })
  })

  it('writes a lookup by one statement, and only where a value of it has changed', async () => {
    const words = async (work: () => Promise<unknown>): Promise<readonly string[]> => {
      const texts: string[] = []
      const end = both.sharded.onStatement(({ text }) => texts.push(text))
      await work()
      end()
      return texts
        .filter((text) => !/^(START|COMMIT|SET CONSTRAINTS)|sharding_|^SELECT/.test(text))
        .map((text) => text.replace(/ [^A-Z].*/s, ''))
    }
    const [write, notes] = ['INSERT INTO', 'WITH']
    expect(await words(() => people().insert({ id: '102', email: 'a@x' }))).toEqual([write, notes, 'WITH'])
    expect(await words(() => people().update({ id: '102' }, { deletedAt: null }))).toEqual(['UPDATE', notes])
    expect(await words(() => people().update({ id: '102' }, { email: 'b@x' }))).toEqual(
      expect.arrayContaining(['UPDATE', notes, 'WITH', 'WITH']),
    )
    expect(await words(() => people().delete({ id: '102' }))).toEqual(['DELETE FROM', notes, 'WITH'])
  })

  it('writes by the values of a lookup on its shards alone', async () => {
    await people().insert({ id: '101', email: 'w@x' })
    const texts: string[] = []
    const end = both.sharded.onStatement(({ text, shard }) => texts.push(`${shard}: ${text}`))
    expect((await people().update({ email: 'w@x' }, { city: 'ulm' })).affected).toBe(1)
    end()
    const updates = texts.filter((text) => text.includes('UPDATE'))
    expect(updates).toEqual([expect.stringContaining(`${both.sharded.locate(Person, '101').shard}: UPDATE`)])
    expect((await people().delete({ email: 'w@x' })).affected).toBe(1)
    expect((await people().delete({ email: 'w@x' })).affected).toBe(0)
  })
})
