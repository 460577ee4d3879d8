import { Client } from 'pg'
import { Column, Entity, EntitySchema, PrimaryColumn } from 'typeorm'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  GlobalUnique,
  hash,
  LookupIndex,
  Sharded,
  ShardedDataSource,
  type ShardedDataSourceOptions,
  ShardKey,
  shardedSchema,
} from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

/** As the table was before anybody looked anything up in it. */
@Entity('guest')
@Sharded(hash({ shards: 3 }))
class OldGuest {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('varchar', { nullable: true })
  email!: string | null

  @Column('timestamptz', { nullable: true })
  since!: Date | null
}

@Entity('guest')
@Sharded(hash({ shards: 3 }), { group: 'old_guest' })
class Guest {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @GlobalUnique()
  @Column('varchar', { nullable: true })
  email!: string | null

  @LookupIndex()
  @Column('timestamptz', { nullable: true })
  since!: Date | null
}

const day = (index: number) => new Date(Date.UTC(2026, 0, 1 + (index % 300)))
const guests = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => ({
    id: from + index,
    email: index % 7 === 0 ? null : `${from + index}@x`,
    since: day(index),
  }))

describe('building and mending lookups', () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource
  const open = async (entity: typeof OldGuest | typeof Guest): Promise<ShardedDataSource> => {
    const [a = '', b = ''] = databases.nodes
    const options: ShardedDataSourceOptions = {
      type: 'postgres',
      entities: [entity],
      nodes: { a: { url: a }, b: { url: b } },
    }
    return new ShardedDataSource(options).initialize()
  }
  const reopen = async () => {
    await dataSource.destroy()
    dataSource = await open(Guest)
  }
  /** A program that knows nothing of us. */
  const outside = async (id: number, text: string): Promise<void> => {
    const { node, shard } = dataSource.locate(Guest, id)
    const client = new Client({ connectionString: databases.nodes[node === 'a' ? 0 : 1] ?? '' })
    await client.connect()
    await client.query(text.replaceAll('guest', `"${shard}".guest`))
    await client.end()
  }
  /** Whether reads look up, told by what is sent. */
  const isUsed = async (by = dataSource): Promise<boolean> => {
    const texts: string[] = []
    const end = by.onStatement(({ text }) => texts.push(text))
    await by.getRepository(Guest).findOneBy({ email: '1@x' })
    end()
    return texts.some((text) => text.includes('guest_email_lookup'))
  }
  const differences = async () =>
    (await dataSource.verifyLookups()).map(({ properties, entries, missing, dangling }) => ({
      properties,
      entries,
      missing,
      dangling,
    }))
  const clean = (emails: number, days: number) => [
    { properties: ['email'], entries: emails, missing: [], dangling: [] },
    { properties: ['since'], entries: days, missing: [], dangling: [] },
  ]

  beforeEach(async () => {
    databases = await createDatabases(2)
    dataSource = await open(OldGuest)
    await dataSource.synchronize()
  })
  afterEach(async () => {
    await dataSource.destroy()
    await databases.drop()
  })

  it('is used by other processes too, once it is complete', async () => {
    await dataSource.getRepository(OldGuest).insert(guests(100))
    await reopen()
    await dataSource.synchronize()
    const [old, young] = [await open(Guest), await open(Guest)]
    expect(await isUsed(old)).toBe(false)
    // A process that knows of no lookup that is complete writes to them all the same.
    await old.getRepository(Guest).update({ id: 1 }, { email: 'changed@x' })
    await dataSource.buildLookups()
    expect(await isUsed()).toBe(true)
    for (const other of [old, young]) {
      await vi.waitFor(async () => expect(await isUsed(other)).toBe(true), { timeout: 10_000, interval: 50 })
      expect(await other.getRepository(Guest).findOneBy({ email: 'changed@x' })).toMatchObject({ id: 1 })
    }
    expect(await differences()).toEqual(clean(85, 100))
    await Promise.all([old.destroy(), young.destroy()])
  })

  it('enters the rows that were there, beside writes, and is not used before', async () => {
    await dataSource.getRepository(OldGuest).insert(guests(4_000))
    await reopen()
    const people = dataSource.getRepository(Guest)
    await expect(people.insert({ id: 5_000, email: 'x' })).rejects.toMatchObject({ code: 'LOOKUP_NOT_INSTALLED' })
    expect(await people.countBy({ id: 5_000 })).toBe(0)
    await dataSource.synchronize()
    expect(await isUsed()).toBe(false)
    expect(await people.findOneBy({ email: '1@x' })).toMatchObject({ id: 1 })
    let isBuilt = false
    let writes = 0
    const writing = (async () => {
      for (; !isBuilt; writes++) {
        const id = (writes * 37) % 4_000
        if (writes % 3 === 0) await people.delete({ id })
        else if (writes % 3 === 1) await people.upsert({ id, email: `u${writes}@x`, since: day(writes) }, ['id'])
        else await people.update({ id }, { email: `w${writes}@x` })
      }
    })()
    const progress: string[] = []
    await dataSource.buildLookups({ onProgress: ({ lookup, shardsDone }) => progress.push(`${lookup} ${shardsDone}`) })
    isBuilt = true
    await writing
    expect(writes).toBeGreaterThan(0)
    expect(progress.at(-1)).toBe('guest_since_lookup 3')
    expect(await isUsed()).toBe(true)
    const [{ emails = 0, days = 0 } = {}] = await dataSource.query(
      'SELECT count(email)::int AS emails, count(since)::int AS days FROM guest',
    )
    expect(await differences()).toEqual(clean(emails, days))
    await reopen()
    expect(await isUsed()).toBe(true)
  })

  it('goes on where it was ended', async () => {
    await dataSource.getRepository(OldGuest).insert(guests(9_000))
    await reopen()
    const pages: number[] = []
    const end = new AbortController()
    const building = dataSource.buildLookups({
      signal: end.signal,
      onProgress: ({ rows }) => {
        if (pages.push(rows) === 4) end.abort(new Error('enough'))
      },
    })
    await expect(building).rejects.toThrow('enough')
    expect(await isUsed()).toBe(false)
    await reopen()
    const later: number[] = []
    await dataSource.buildLookups({ onProgress: ({ lookup, rows }) => lookup.includes('email') && later.push(rows) })
    expect(pages.length + later.length).toBeLessThanOrEqual(11)
    expect(later.length).toBeLessThan(9)
    expect(await isUsed()).toBe(true)
    expect(await differences()).toEqual(clean(guests(9_000).filter(({ email }) => email).length, 9_000))
  })

  it('reports rows that have one value, and is ready when they have not', async () => {
    await dataSource.getRepository(OldGuest).insert(guests(50))
    await dataSource.getRepository(OldGuest).insert({ id: 100, email: '3@x', since: null })
    await reopen()
    const error = await dataSource.buildLookups().catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'LOOKUP_DUPLICATES' })
    expect((error as { details: { duplicates: unknown } }).details.duplicates).toEqual([
      {
        lookup: 'guest_email_lookup',
        entity: 'Guest',
        rows: [expect.objectContaining({ values: ['3@x'] })],
      },
    ])
    expect(await isUsed()).toBe(false)
    await dataSource.getRepository(Guest).update({ id: 100 }, { email: 'other@x' })
    await dataSource.buildLookups()
    expect(await isUsed()).toBe(true)
    expect(await dataSource.getRepository(Guest).findOneBy({ email: 'other@x' })).toMatchObject({ id: 100 })
  })

  it('hears of other programs, when it is asked to', async () => {
    await reopen()
    await dataSource.synchronize()
    const people = dataSource.getRepository(Guest)
    await people.insert(guests(20))
    await outside(60, `INSERT INTO guest (id, email) VALUES (60, 'a@x')`)
    await outside(1, `UPDATE guest SET email = 'b@x' WHERE id = 1`)
    await outside(2, 'DELETE FROM guest WHERE id = 2')
    await outside(61, `INSERT INTO guest (id, email) VALUES (61, 'c@x')`)
    await people.update({ id: 61 }, { email: 'd@x' })
    expect(await dataSource.drainLookups()).toBe(6)
    expect(await people.findOneBy({ email: 'a@x' })).toMatchObject({ id: 60 })
    expect(await people.findOneBy({ email: 'b@x' })).toMatchObject({ id: 1 })
    expect(await people.findOneBy({ email: 'd@x' })).toMatchObject({ id: 61 })
    await people.insert({ id: 70, email: '2@x' })
    expect(await differences()).toEqual(clean(19, 19))
    expect(await dataSource.drainLookups()).toBe(0)
  })

  it('writes a row again of which it has not heard that it was otherwise in between', async () => {
    await reopen()
    await dataSource.synchronize()
    const people = dataSource.getRepository(Guest)
    await people.insert(guests(4))
    await outside(1, `UPDATE guest SET email = 'b@x', since = NULL WHERE id = 1`)
    await outside(2, 'DELETE FROM guest WHERE id = 2')
    await people.update({ id: 1 }, { email: '1@x', since: day(1) })
    await people.insert({ id: 2, email: '2@x', since: day(2) })
    await expect(people.insert({ id: 3_000, email: '1@x' })).rejects.toMatchObject({ code: '23505' })
    expect(await differences()).toEqual(clean(3, 4))
    await dataSource.drainLookups()
    expect(await differences()).toEqual(clean(3, 4))
  })

  it('leaves the notes of lookups that only another version of the application knows', async () => {
    await reopen()
    await dataSource.synchronize()
    const [a = '', b = ''] = databases.nodes
    const older = shardedSchema(
      new EntitySchema<OldGuest>({
        name: 'Guest',
        tableName: 'guest',
        columns: {
          id: { type: 'int', primary: true },
          email: { type: 'varchar', nullable: true },
          since: { type: 'timestamptz', nullable: true },
        },
      }),
      {
        by: hash({ shards: 3 }),
        shardKey: ['id'],
        options: { group: 'old_guest' },
        lookups: [{ properties: ['email'], unique: true }],
      },
    )
    const other = new ShardedDataSource({
      type: 'postgres',
      entities: [older],
      nodes: { a: { url: a }, b: { url: b } },
    })
    await other.initialize()
    await other.getRepository<OldGuest>('Guest').insert(guests(4))
    expect(await other.drainLookups()).toBe(0)
    await other.destroy()
    expect(await dataSource.drainLookups()).toBe(4)
    expect(await differences()).toEqual(clean(3, 4))
  })

  it('finds what is missing and what dangles, and mends it', async () => {
    await reopen()
    await dataSource.synchronize()
    const people = dataSource.getRepository(Guest)
    await people.insert(guests(30))
    for (const { name } of dataSource.shards()) {
      if (!name.startsWith('guest_email')) continue
      const shard = dataSource.shard(name)
      await shard.query(`DELETE FROM "${name}"."guest_email_lookup" WHERE email IN ('1@x', '2@x')`)
      await shard.query(`UPDATE "${name}"."guest_email_lookup" SET id = 999 WHERE email = '3@x'`)
    }
    await outside(
      4,
      'ALTER TABLE guest DISABLE TRIGGER USER; DELETE FROM guest WHERE id = 4; ALTER TABLE guest ENABLE TRIGGER USER',
    )
    const [email, since] = await dataSource.verifyLookups()
    expect(email?.missing.map(({ values }) => values[0]).sort()).toEqual(['1@x', '2@x', '3@x'])
    expect(email?.dangling.map(({ values, primaryKey }) => [...values, ...primaryKey]).sort()).toEqual([
      ['3@x', '999'],
      ['4@x', '4'],
    ])
    expect(since?.missing).toEqual([])
    expect(since?.dangling.map(({ primaryKey }) => primaryKey)).toEqual([['4']])
    await dataSource.repairLookups()
    expect(await differences()).toEqual(clean(24, 29))
    await people.insert({ id: 80, email: '4@x' })
    expect(await people.findOneBy({ email: '3@x' })).toMatchObject({ id: 3 })
  })

  it('removes an entry that is still to be committed where its row is already', async () => {
    await reopen()
    await dataSource.synchronize()
    const people = dataSource.getRepository(Guest)
    await people.insert({ id: 1, email: 'r@x', since: null })
    const places = dataSource.shards().filter(({ name }) => name.startsWith('guest_email'))
    const removed = await Promise.all(
      places.map(async ({ name, node }) => {
        const text = `WITH d AS (DELETE FROM "${name}".guest_email_lookup RETURNING 1) SELECT * FROM d`
        return (await dataSource.shard(name).query(text)).length === 0 ? [] : [{ name, node }]
      }),
    )
    const [place] = removed.flat()
    // The second of two commits of another process, which is late.
    const late = new Client({ connectionString: databases.nodes[place?.node === 'a' ? 0 : 1] ?? '' })
    await late.connect()
    await late.query(`BEGIN; INSERT INTO "${place?.name}".guest_email_lookup (email, id) VALUES ('r@x', 1)`)
    const deleting = people.delete({ id: 1 })
    await new Promise((resolve) => setTimeout(resolve, 300))
    await late.query('COMMIT')
    await late.end()
    expect((await deleting).affected).toBe(1)
    expect(await differences()).toEqual(clean(0, 0))
  })

  it('is as it should be after any mixture of writes', async () => {
    await reopen()
    await dataSource.synchronize()
    const people = dataSource.getRepository(Guest)
    let seed = 7
    const random = (below: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      return seed % below
    }
    const one = () => ({ id: random(60), email: random(4) === 0 ? null : `${random(40)}@x`, since: day(random(9)) })
    const works = [
      () => people.insert(one()),
      () => people.save(one()),
      () => people.save([one(), one(), one()]),
      () => people.upsert([one()], ['id']),
      () => people.update({ email: `${random(40)}@x` }, { email: `${random(40)}@x` }),
      () => people.update({ since: day(random(9)) }, { since: day(random(9)) }),
      () => people.delete({ email: `${random(40)}@x` }),
      () => dataSource.query('UPDATE guest SET email = email || $1 WHERE id < 5 AND email IS NOT NULL', ['!']),
      () => dataSource.query('DELETE FROM guest WHERE id = $1', [random(60)]),
      () =>
        dataSource.transaction(async (manager) => {
          await manager.save(Guest, one())
          await manager.update(Guest, { id: random(60) }, { email: `${random(40)}@x` })
          if (random(2) === 0) throw Object.assign(new Error('back'), { code: 'back' })
        }),
    ]
    const codes = new Set<unknown>()
    for (let round = 0; round < 60; round++) {
      const settled = await Promise.allSettled(Array.from({ length: 5 }, () => works[random(works.length)]?.()))
      for (const result of settled) if (result.status === 'rejected') codes.add(result.reason.code)
    }
    for (const code of codes) expect(['23505', 'back', '40P01', undefined]).toContain(code)
    const rows: { email: string | null; since: Date | null }[] = await people.find()
    const emails = rows.flatMap(({ email }) => email ?? [])
    expect(new Set(emails).size).toBe(emails.length)
    expect(await differences()).toEqual(clean(emails.length, rows.filter(({ since }) => since).length))
    for (const email of emails) expect(await people.findOneBy({ email })).toMatchObject({ email })
  })
})
