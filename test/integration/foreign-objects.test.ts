import 'reflect-metadata'
import { Client } from 'pg'
import { Column, Entity, ManyToOne, PrimaryColumn, type Relation } from 'typeorm'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  GlobalUnique,
  hash,
  list,
  Sharded,
  ShardedDataSource,
  type ShardedDataSourceOptions,
  ShardKey,
} from '../../src'
import { createDatabases } from '../support/databases'

@Entity({ name: 'ord', comment: 'Orders of customers' })
@Sharded(list({ shards: { a: [1], b: [2] } }), { group: 'ord' })
class Ord {
  @PrimaryColumn('int') id!: number
  @ShardKey() @PrimaryColumn('int') k!: number
  @Column({ type: 'enum', enum: ['new', 'done'], default: 'new' }) state!: string
}

@Entity()
@Sharded({ colocatedWith: () => Ord })
class Item {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') k!: number
  @Column('int') ordId!: number
  @ManyToOne(() => Ord) ord!: Relation<Ord>
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Member {
  @ShardKey() @PrimaryColumn('int') id!: number
  @GlobalUnique() @Column('text') email!: string
}

describe.each(['schema', 'table'] as const)('schema work in the layout %s', (layout) => {
  let databases: Awaited<ReturnType<typeof createDatabases>>
  let client: Client
  const opened: ShardedDataSource[] = []

  beforeEach(async () => {
    databases = await createDatabases(1)
    client = new Client({ connectionString: databases.nodes[0] })
    await client.connect()
  })
  afterEach(async () => {
    for (const one of opened.splice(0)) await one.destroy()
    await client.end()
    await databases.drop()
  })

  const open = async (more: Partial<ShardedDataSourceOptions> = {}) => {
    const made = new ShardedDataSource({
      type: 'postgres',
      entities: [Ord, Item],
      nodes: { a: { url: databases.nodes[0] ?? '' } },
      layout,
      ...more,
    })
    await made.initialize()
    opened.push(made)
    return made
  }
  const place = (table: string, label: string) =>
    layout === 'schema' ? `ord_${label}.${table}` : `public.${table}_${label}`
  const text = async (sql: string): Promise<unknown> => (await client.query(sql)).rows
  const commentOf = async (object: string) =>
    layout === 'schema'
      ? text(`SELECT obj_description('${object.split('.')[0]}'::regnamespace, 'pg_namespace') AS c`)
      : text(`SELECT obj_description('${object}'::regclass, 'pg_class') AS c`)
  const mark = (label: string, table: string) =>
    `[typeorm-sharded:1 shard=ord_${label}${layout === 'schema' ? '' : ` table=${table}`}]`

  it('marks what it makes, keeps the mark, and drops it all', async () => {
    const one = await open()
    for (let time = 0; time < 2; time += 1) {
      await one.synchronize()
      expect(await commentOf(place('item', 'a'))).toEqual([{ c: mark('a', 'item') }])
      if (layout === 'table')
        expect(await commentOf(place('ord', 'b'))).toEqual([{ c: `Orders of customers\n${mark('b', 'ord')}` }])
    }
    expect((await one.driver.createSchemaBuilder().log()).upQueries).toEqual([])
    await one.dropDatabase()
    expect(
      await text(`SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE (nspname = 'public' OR nspname LIKE 'ord%') AND NOT starts_with(relname, 'sharding_')`),
    ).toEqual([])
    expect(await text(`SELECT nspname FROM pg_namespace WHERE nspname LIKE 'ord%'`)).toEqual([])
    expect(await text(`SELECT typname FROM pg_type WHERE typtype = 'e'`)).toEqual([])
  })

  it('refuses a table of a user under the name of a shard’s, and leaves it as it is', async () => {
    if (layout === 'schema') await client.query('CREATE SCHEMA ord_a')
    const own = place('ord', 'a')
    await client.query(`CREATE TABLE ${own} (name text, worth int); INSERT INTO ${own} VALUES ('mine', 7)`)
    const before = await text(`SELECT * FROM ${own}`)
    const one = await open()
    for (const work of [
      () => one.synchronize(),
      () => one.synchronize(true),
      () => one.dropDatabase(),
      () => one.shard('ord_a').synchronize(),
      () => one.shard('ord_a').dropDatabase(),
    ])
      await expect(work()).rejects.toMatchObject({
        code: 'OBJECT_NOT_OURS',
        details: { node: 'a', count: 1, objects: [expect.stringContaining('ord_a')] },
      })
    await expect(open({ synchronize: true })).rejects.toMatchObject({ code: 'OBJECT_NOT_OURS' })
    expect(await text(`SELECT * FROM ${own}`)).toEqual(before)
    // Nothing else was made either, on that node: it looks before its first change.
    expect(await text(`SELECT to_regclass('${place('ord', 'b')}') AS t`)).toEqual([{ t: null }])
    // Not even with the option that takes what is like a shard's: this is not.
    const adopting = await open({ adoptShards: true })
    for (const work of [() => adopting.synchronize(), () => adopting.dropDatabase()])
      await expect(work()).rejects.toMatchObject({ code: 'OBJECT_NOT_OURS' })
    expect(await text(`SELECT * FROM ${own}`)).toEqual(before)
    // The way out: the name is made free.
    await client.query(layout === 'schema' ? 'ALTER SCHEMA ord_a RENAME TO mine' : 'ALTER TABLE ord_a RENAME TO mine')
    await one.synchronize()
    await one.dropDatabase()
    expect(await text(`SELECT name FROM ${layout === 'schema' ? 'mine.ord' : 'mine'}`)).toEqual([{ name: 'mine' }])
  })

  it('takes a view for no table of ours', async () => {
    if (layout === 'schema') await client.query('CREATE SCHEMA ord_a')
    await client.query(`CREATE VIEW ${place('ord', 'a')} AS SELECT 1 AS id, 1 AS k`)
    for (const adoptShards of [false, true])
      await expect((await open({ adoptShards })).dropDatabase()).rejects.toMatchObject({ code: 'OBJECT_NOT_OURS' })
  })

  it('adopts shards without a mark where it is told to, with their rows', async () => {
    const one = await open()
    await one.synchronize()
    await one.getRepository(Ord).insert([
      { id: 1, k: 1 },
      { id: 2, k: 2 },
    ])
    // As a version without marks made them, or a restore without comments.
    for (const label of ['a', 'b'])
      if (layout === 'schema') await client.query(`COMMENT ON SCHEMA ord_${label} IS NULL`)
      else for (const table of ['ord', 'item']) await client.query(`COMMENT ON TABLE ${place(table, label)} IS NULL`)
    await expect(one.synchronize()).rejects.toMatchObject({ code: 'OBJECT_NOT_OURS' })
    await expect(one.dropDatabase()).rejects.toMatchObject({ code: 'OBJECT_NOT_OURS' })
    expect(await one.getRepository(Ord).count()).toBe(2)
    const adopting = await open({ adoptShards: true })
    await adopting.synchronize()
    expect(await one.getRepository(Ord).count()).toBe(2)
    await one.synchronize()
    expect(await one.getRepository(Ord).count()).toBe(2)
    await one.dropDatabase()
  })

  it('takes a mark that was written by hand, beside other words', async () => {
    const one = await open()
    await one.synchronize()
    const written = (label: string, table: string) => `'Ask Ann. ${mark(label, table)} Since 2020.'`
    for (const label of ['a', 'b'])
      if (layout === 'schema') await client.query(`COMMENT ON SCHEMA ord_${label} IS ${written(label, '')}`)
      else
        for (const table of ['ord', 'item'])
          await client.query(`COMMENT ON TABLE ${place(table, label)} IS ${written(label, table)}`)
    await one.synchronize()
    if (layout === 'schema')
      expect(await commentOf('ord_a.ord')).toEqual([{ c: `Ask Ann. ${mark('a', '')} Since 2020.` }])
  })

  it('drops nothing of a user beside its own tables', async () => {
    const one = await open()
    await one.synchronize()
    const beside = layout === 'schema' ? 'ord_a.notes' : 'public.notes_a'
    const type = layout === 'schema' ? 'ord_b' : 'public'
    await client.query(`CREATE TABLE ${beside} (note text); INSERT INTO ${beside} VALUES ('kept')`)
    await client.query(
      `CREATE TYPE ${type}.item_state_enum AS ENUM ('x'); CREATE FUNCTION ${type}.f() RETURNS int RETURN 1`,
    )
    await one.dropDatabase()
    expect(await text(`SELECT note FROM ${beside}`)).toEqual([{ note: 'kept' }])
    expect(await text(`SELECT 'x'::${type}.item_state_enum AS x, ${type}.f() AS f`)).toEqual([{ x: 'x', f: 1 }])
    expect(await text(`SELECT to_regclass('${place('ord', 'a')}') AS t`)).toEqual([{ t: null }])
    // What is left is not in the way of a new start.
    await one.synchronize()
    await one.getRepository(Ord).insert({ id: 1, k: 1 })
  })

  it('takes an empty schema that is there, and says how to mark one that another role owns', async () => {
    if (layout === 'table') return
    await client.query('CREATE SCHEMA ord_a')
    const one = await open()
    await one.synchronize()
    expect(await commentOf('ord_a.ord')).toEqual([{ c: mark('a', '') }])
    await one.dropDatabase()
    const role = `app_${process.pid}`
    await client.query(
      `CREATE ROLE ${role} LOGIN PASSWORD 'app'; CREATE SCHEMA ord_a; GRANT ALL ON SCHEMA ord_a TO ${role};
      GRANT ALL ON ALL TABLES IN SCHEMA public, sharding TO ${role}`,
    )
    try {
      await client.query(
        `GRANT CREATE ON DATABASE ${(await client.query('SELECT current_database() AS d')).rows[0].d} TO ${role}`,
      )
      const url = new URL(databases.nodes[0] ?? '')
      url.username = role
      url.password = 'app'
      const app = await open({ nodes: { a: { url: url.href } } })
      const error: unknown = await app.synchronize().catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'OBJECT_NOT_OURS' })
      const { statement } = (error as { details: { statement: string } }).details
      expect(statement).toBe(`COMMENT ON SCHEMA "ord_a" IS '${mark('a', '')}'`)
      await client.query(statement)
      await app.synchronize()
      await app.getRepository(Ord).insert({ id: 1, k: 1 })
    } finally {
      for (const made of opened.splice(0)) await made.destroy()
      await client.query(`DROP SCHEMA IF EXISTS ord_a CASCADE; DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`)
    }
  })

  it('looks after the tables of lookups too', async () => {
    const one = await open({ entities: [Member] })
    await one.synchronize()
    await one.getRepository(Member).insert({ id: 1, email: 'a@x' })
    await one.synchronize()
    expect(await one.getRepository(Member).findOneBy({ email: 'a@x' })).toMatchObject({ id: 1 })
    await one.dropDatabase()
    expect(await text(`SELECT nspname FROM pg_namespace WHERE nspname LIKE 'member%'`)).toEqual([])
    expect(await text(`SELECT relname FROM pg_class WHERE relname LIKE 'member%'`)).toEqual([])
    expect(await text(`SELECT proname FROM pg_proc WHERE proname LIKE 'member%'`)).toEqual([])
    const foreign = layout === 'schema' ? 'member_email_lookup_00.mine' : 'public.member_email_lookup_00'
    if (layout === 'schema') await client.query('CREATE SCHEMA member_email_lookup_00')
    await client.query(`CREATE TABLE ${foreign} (a int); INSERT INTO ${foreign} VALUES (1)`)
    for (const work of [() => one.synchronize(), () => one.dropDatabase(), () => one.buildLookups()])
      await expect(work()).rejects.toMatchObject({ code: 'OBJECT_NOT_OURS' })
    expect(await text(`SELECT a FROM ${foreign}`)).toEqual([{ a: 1 }])
  })
})
