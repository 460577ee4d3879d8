import {
  Column,
  Entity,
  EntitySchema,
  JoinTable,
  ManyToMany,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  GlobalUnique,
  hash,
  LookupIndex,
  ReferenceTable,
  referenceSchema,
  Sharded,
  ShardedDataSource,
  type ShardedDataSourceOptions,
  ShardKey,
} from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

@Entity('role')
@ReferenceTable()
class Role {
  @PrimaryColumn('int') id!: number
  @Column('text') name!: string
}

/** A later version. */
@Entity('role')
@ReferenceTable()
class RicherRole {
  @Column('int', { default: 0 }) rank!: number
  @Column('timestamptz', { default: () => 'clock_timestamp()' }) made!: Date
  @PrimaryColumn('int') id!: number
  @Column('text') name!: string
}

/** That version, of the home node. */
@Entity('role')
class RicherHomeRole {
  @Column('int', { default: 0 }) rank!: number
  @Column('timestamptz', { default: () => 'clock_timestamp()' }) made!: Date
  @PrimaryColumn('int') id!: number
  @Column('text') name!: string
}

/** The same table, of the home node. */
@Entity('role')
class HomeRole {
  @PrimaryColumn('int') id!: number
  @Column('text') name!: string
}

@Entity()
@Sharded(hash({ shards: 4 }))
class Person {
  @ShardKey() @PrimaryColumn('int') id!: number
  @GlobalUnique() @Column('text') email!: string
  @LookupIndex() @Column('int', { nullable: true }) roleId!: number | null
  @ManyToOne(() => Role, { nullable: true, onDelete: 'SET NULL' }) role!: Relation<Role> | null
}

/** Refers to roles, wherever they are, by a column of no relation. */
@Entity('person')
@Sharded(hash({ shards: 4 }), { group: 'person' })
class BarePerson {
  @ShardKey() @PrimaryColumn('int') id!: number
  @GlobalUnique() @Column('text') email!: string
  @LookupIndex() @Column('int', { nullable: true }) roleId!: number | null
}

describe('reference tables', () => {
  let databases: FreshDatabases
  const opened: ShardedDataSource[] = []
  const roles = [1, 2, 3].map((id) => ({ id, name: `role ${id}` }))

  const open = async (options: Partial<ShardedDataSourceOptions> = {}, nodes = ['a', 'b']) => {
    const urls = Object.fromEntries(nodes.map((node) => [node, { url: databases.nodes['abc'.indexOf(node)] ?? '' }]))
    const dataSource = new ShardedDataSource({ type: 'postgres', entities: [Role, Person], nodes: urls, ...options })
    opened.push(dataSource)
    return dataSource.initialize()
  }
  const reopen = async (options: Partial<ShardedDataSourceOptions> = {}, nodes?: string[]) => {
    await opened.pop()?.destroy()
    return open(options, nodes)
  }
  /** Past the data source: triggers do not fire. */
  const on = async (dataSource: ShardedDataSource, node: string, text: string) => {
    const { rows } = await dataSource.runtime.pool(node).query(text)
    return rows
  }
  const names = async (dataSource: ShardedDataSource, node: string) =>
    (await on(dataSource, node, 'SELECT name FROM role ORDER BY id')).map((row) => row['name'])
  const quietly = (text: string) => `SET session_replication_role = replica; ${text}; RESET session_replication_role`

  beforeEach(async () => {
    databases = await createDatabases(3)
  })
  afterEach(async () => {
    for (const dataSource of opened.splice(0)) if (dataSource.isInitialized) await dataSource.destroy()
    await databases.drop()
  })

  it('are written by many at once, which wait for each other on every node', async () => {
    const dataSource = await open({ synchronize: true })
    await dataSource.getRepository(Role).insert(roles)
    for (let round = 0; round < 6; round += 1)
      await Promise.all(
        Array.from({ length: 10 }, () => dataSource.query("UPDATE role SET name = name || '.' WHERE id = 1")),
      )
    for (const node of ['a', 'b']) expect((await names(dataSource, node))[0]).toBe(`role 1${'.'.repeat(60)}`)
  })

  it('are compared, repaired, and made equal when a process starts', async () => {
    const dataSource = await open({ synchronize: true })
    await dataSource.getRepository(Role).insert(roles)
    await dataSource
      .getRepository(Person)
      .insert([1, 2, 3, 4, 5, 6].map((id) => ({ id, email: `e${id}`, role: { id: 1 } })))
    // What neither versions nor triggers tell of, checksums do.
    await on(
      dataSource,
      'b',
      quietly(
        `UPDATE role SET name = 'other' WHERE id = 1; DELETE FROM role WHERE id = 2; INSERT INTO role VALUES (9, 'more')`,
      ),
    )
    const wrong = [
      { table: 'role', node: 'a', rows: 3, equal: true },
      { table: 'role', node: 'b', rows: 3, equal: false },
    ]
    expect(await dataSource.verifyReferenceTables()).toEqual(wrong)
    expect(await dataSource.verifyReferenceTables({ repair: true })).toEqual(wrong)
    expect((await dataSource.verifyReferenceTables()).every(({ equal }) => equal)).toBe(true)
    expect(await names(dataSource, 'b')).toEqual(roles.map(({ name }) => name))
    // A copy that was restored from a backup has an older version, and takes no change.
    await on(
      dataSource,
      'b',
      quietly(`UPDATE sharding_reference SET version = version - 1; UPDATE role SET name = 'old'`),
    )
    await expect(dataSource.getRepository(Role).update(1, { name: 'first' })).rejects.toMatchObject({
      code: 'REFERENCE_OUTDATED',
    })
    expect(await names(dataSource, 'a')).toEqual(roles.map(({ name }) => name))
    // So are functions of another version of this package.
    await on(
      dataSource,
      'b',
      `COMMENT ON TABLE sharding_reference IS 'another'; DROP FUNCTION sharding_reference_apply(json, json)`,
    )
    const again = await reopen()
    expect(await names(again, 'b')).toEqual(roles.map(({ name }) => name))
    await again.getRepository(Role).update(1, { name: 'first' })
    expect(await names(again, 'b')).toEqual(['first', 'role 2', 'role 3'])
  })

  it('come to a new node, and to a node whose table was made anew', async () => {
    const dataSource = await open({ synchronize: true })
    await dataSource.getRepository(Role).insert(roles)
    const more = await reopen({ synchronize: true }, ['a', 'b', 'c'])
    expect(await names(more, 'c')).toEqual(roles.map(({ name }) => name))
    await more.getRepository(Role).delete(2)
    expect(await names(more, 'c')).toEqual(['role 1', 'role 3'])
    await on(more, 'c', 'DROP TABLE role')
    await more.synchronize()
    expect(await names(more, 'c')).toEqual(['role 1', 'role 3'])
    const again = await reopen({ synchronize: true, dropSchema: true }, ['a', 'b', 'c'])
    await again.getRepository(Role).insert(roles)
    expect((await again.verifyReferenceTables()).every(({ rows, equal }) => rows === 3 && equal)).toBe(true)
  })

  it('are made of unsharded tables, and the reverse', async () => {
    const home = await open({ synchronize: true, entities: [HomeRole, BarePerson] })
    await home.getRepository(HomeRole).insert(roles)
    const copied = await reopen({ synchronize: true })
    expect(await names(copied, 'b')).toEqual(roles.map(({ name }) => name))
    await copied.getRepository(Role).update(1, { name: 'first' })
    const back = await reopen({ synchronize: true, entities: [HomeRole, BarePerson] })
    await back.getRepository(HomeRole).update(1, { name: 'at home' })
    expect(await on(back, 'b', `SELECT to_regclass('role') AS name`)).toEqual([{ name: null }])
    const again = await reopen({ synchronize: true })
    expect(await names(again, 'b')).toEqual(['at home', 'role 2', 'role 3'])
  })

  it('follow altered entities', async () => {
    const dataSource = await open({ synchronize: true })
    await dataSource.getRepository(Role).insert(roles)
    const again = await reopen({ synchronize: true, entities: [RicherRole, BarePerson] })
    await again.synchronize()
    expect((await again.driver.createSchemaBuilder().log()).upQueries).toEqual([])
    // Each node has computed the default of the new column.
    const rows = 'SELECT id, name, rank, made FROM role ORDER BY id'
    expect(await on(again, 'b', rows)).toEqual(await on(again, 'a', rows))
  })

  it('have the columns by name on nodes that have them in another order', async () => {
    const home = await open({ synchronize: true, entities: [HomeRole, BarePerson] })
    await home.getRepository(HomeRole).insert(roles)
    await reopen({ synchronize: true, entities: [RicherHomeRole, BarePerson] })
    const again = await reopen({ synchronize: true, entities: [RicherRole, BarePerson] })
    const order = async (node: string) => Object.keys((await on(again, node, 'TABLE role'))[0] ?? {})
    expect(await order('a')).toEqual(['id', 'name', 'rank', 'made'])
    expect(await order('b')).toEqual(['rank', 'made', 'id', 'name'])
    await again.getRepository(RicherRole).update(2, { rank: 7 })
    await again.getRepository(BarePerson).insert([1, 2, 3, 4, 5, 6].map((id) => ({ id, email: `e${id}`, roleId: 2 })))
    const expected = [1, 2, 3, 4, 5, 6].map((id) => ({ id, rank: 7 }))
    const join = (columns: string) =>
      `SELECT p.id, ${columns} AS rank FROM person p JOIN role r${columns === 'r.c' ? ' (a, b, c, d) ON r.a' : ' ON r.id'} = p."roleId"`
    expect(await again.query(`${join('r.rank')} ORDER BY p.id`)).toEqual(expected)
    // By their places, columns are those of the home node on every node.
    expect(await again.query(`${join('r.c')} ORDER BY p.id`)).toEqual(expected)
    for (const one of expected) expect(await again.query(`${join('r.c')} WHERE p.id = ${one.id}`)).toEqual([one])
    expect((await again.verifyReferenceTables()).every(({ equal }) => equal)).toBe(true)
  })

  it('are written by nobody else', async () => {
    const dataSource = await open({ synchronize: true })
    await dataSource.getRepository(Role).insert(roles)
    for (const node of ['a', 'b'])
      for (const text of [`UPDATE role SET name = 'x'`, 'TRUNCATE role CASCADE', 'DELETE FROM role'])
        await expect(on(dataSource, node, text)).rejects.toMatchObject({ code: 'SHR01' })
    for (const shard of dataSource.shards())
      await expect(
        dataSource.shard(shard.name).getRepository(Role).save({ id: 7, name: 'seven' }),
      ).rejects.toMatchObject({ code: 'SHR01' })
    await dataSource.query(`CREATE FUNCTION rename() RETURNS void LANGUAGE sql AS $$ UPDATE role SET name = 'y' $$`)
    await expect(dataSource.query('SELECT rename()')).rejects.toMatchObject({ code: 'SHR01' })
    await dataSource
      .transaction(async (manager) => {
        await manager.update(Role, 1, { name: 'first' })
        await expect(manager.query('SELECT rename()')).rejects.toMatchObject({ code: 'SHR01' })
        throw new Error('over')
      })
      .catch((error: unknown) => expect(error).toMatchObject({ message: 'over' }))
    for (const text of [
      'TRUNCATE role CASCADE',
      'ALTER TABLE role ADD note text',
      'DROP TABLE public.role',
      'CREATE INDEX i ON role (name)',
      `COPY role FROM PROGRAM 'true'`,
    ])
      await expect(dataSource.query(text), text).rejects.toMatchObject({ code: 'STATEMENT_UNSUPPORTED' })
    expect(await names(dataSource, 'a')).toEqual(roles.map(({ name }) => name))
    await dataSource.query('LOCK TABLE role').catch(() => undefined)
    await dataSource.query('ANALYZE role')
    expect((await dataSource.verifyReferenceTables()).every(({ equal }) => equal)).toBe(true)
  })

  it('need to be installed, and follow the mode of transactions', async () => {
    const dataSource = await open()
    await expect(dataSource.getRepository(Role).insert(roles)).rejects.toMatchObject({
      code: 'REFERENCE_NOT_INSTALLED',
    })
    await expect(dataSource.buildReferenceTables()).rejects.toMatchObject({ code: 'REFERENCE_NOT_INSTALLED' })
    await dataSource.synchronize()
    await dataSource.getRepository(Role).insert(roles)
    const single = await reopen({ transactions: 'single-shard' })
    await expect(single.getRepository(Role).delete(1)).rejects.toMatchObject({ code: 'SINGLE_SHARD_TRANSACTION' })
    expect(await names(single, 'a')).toHaveLength(3)
    const effort = await reopen({ transactions: 'best-effort' })
    await effort.getRepository(Role).delete(1)
    expect([await names(effort, 'a'), await names(effort, 'b')]).toEqual(Array(2).fill(['role 2', 'role 3']))
  })

  it('keep lookups of rows that their foreign keys change', async () => {
    const dataSource = await open({ synchronize: true })
    await dataSource.getRepository(Role).insert(roles)
    const people = dataSource.getRepository(Person)
    await people.insert([1, 2, 3, 4, 5, 6].map((id) => ({ id, email: `e${id}`, role: { id: (id % 2) + 1 } })))
    expect(await people.countBy({ roleId: 2 })).toBe(3)
    await dataSource.getRepository(Role).delete(2)
    expect(await people.countBy({ roleId: 2 })).toBe(0)
    for (const { missing, dangling } of await dataSource.verifyLookups()) expect([missing, dangling]).toEqual([[], []])
  })

  it('have the rows of their seed once, and never again', async () => {
    let asked = 0
    @Entity()
    @ReferenceTable({ seed: [1, 2, 3].map((id) => ({ id, name: `plan ${id}` })) })
    class Plan {
      @PrimaryGeneratedColumn() id!: number
      @Column('text') name!: string
    }
    @Entity()
    @ReferenceTable({ seed: new URL(`file://${__dirname}/reference-tables.seed.json`) })
    class Fee {
      @PrimaryColumn('text') name!: string
      @ManyToOne(() => Plan) plan!: Relation<Plan>
    }
    @Entity('role')
    @ReferenceTable({
      seed: async () => {
        asked += 1
        return roles
      },
    })
    class SeededRole {
      @PrimaryColumn('int') id!: number
      @Column('text') name!: string
    }
    const before = await open({ entities: [HomeRole, BarePerson], synchronize: true })
    await before.getRepository(HomeRole).insert({ id: 2, name: 'of before' })
    await before.destroy()
    opened.pop()
    const options = { entities: [Fee, SeededRole, Plan, BarePerson] }
    const [one, other] = [await open(options), await open(options)]
    await one.synchronize()
    expect(asked).toBe(1)
    // As if nobody had written them yet, and two processes were to do it at once.
    await on(one, 'a', 'UPDATE sharding_reference SET seeded = NULL')
    for (const entity of [Fee, Plan]) await one.getRepository(entity).deleteAll()
    await on(one, 'a', 'ALTER SEQUENCE plan_id_seq RESTART')
    await Promise.all([one.buildReferenceTables(), other.buildReferenceTables(), one.buildReferenceTables()])
    expect(asked).toBe(2)
    const rows = (node: string, table: string) => on(one, node, `SELECT * FROM ${table} ORDER BY 1`)
    for (const node of ['a', 'b']) {
      expect(await names(one, node)).toEqual(['role 1', 'of before', 'role 3'])
      expect(await rows(node, 'fee')).toEqual([
        { name: 'monthly', planId: 1 },
        { name: 'yearly', planId: 3 },
      ])
    }
    expect(await one.getRepository(Plan).save({ name: 'next' })).toEqual({ id: 4, name: 'next' })
    await one.getRepository(Fee).delete('yearly')
    await other.synchronize()
    expect(await rows('b', 'fee')).toEqual([{ name: 'monthly', planId: 1 }])
  })

  it('keep nothing of a seed that is none', async () => {
    @Entity()
    @ReferenceTable({
      seed: [
        { id: 1, name: 'a' },
        { id: 2, nmae: 'b' },
      ],
    })
    class Misspelt {
      @PrimaryColumn('int') id!: number
      @Column('text', { nullable: true }) name!: string | null
    }
    @Entity('misspelt')
    @ReferenceTable({ seed: () => JSON.parse('{"id": 1}') })
    class NoList {
      @PrimaryColumn('int') id!: number
      @Column('text', { nullable: true }) name!: string | null
    }
    const dataSource = await open({ entities: [Misspelt] })
    await expect(dataSource.synchronize()).rejects.toThrow('Property "nmae" was not found in "Misspelt".')
    expect(await dataSource.getRepository(Misspelt).find()).toEqual([])
    const other = await reopen({ entities: [NoList] })
    await expect(other.synchronize()).rejects.toMatchObject({ code: 'OPTIONS_INVALID', details: { entity: 'NoList' } })
  })

  it('are declared by a decorator or a schema, and refused where they cannot be', async () => {
    @Entity()
    @ReferenceTable()
    @Sharded(hash({ shards: 2 }))
    class Both {
      @ShardKey() @PrimaryColumn('int') id!: number
    }
    @Entity()
    @ReferenceTable()
    class Pointing {
      @PrimaryColumn('int') id!: number
      @ManyToMany(() => Person) @JoinTable() people!: Relation<Person>[]
    }
    @Entity()
    @Sharded(hash({ shards: 2 }))
    class Keyed {
      @ShardKey() @PrimaryColumn('int') roleId!: number
      @ManyToOne(() => Role, { onUpdate: 'CASCADE' }) role!: Relation<Role>
    }
    const error: unknown = await open({ entities: [Role, Person, Both, Pointing, Keyed] }).catch((one) => one)
    expect(error).toMatchObject({ code: 'DECLARATIONS_INVALID' })
    const message = error instanceof Error ? error.message : ''
    for (const part of [
      'Both cannot be a reference table: it is @Sharded too',
      'Pointing.people needs a junction table to Person',
      'Keyed.roleId cannot be a shard key: by Keyed.role the database writes it',
    ])
      expect(message).toContain(part)
    const Unit = referenceSchema(
      new EntitySchema<{ id: number }>({ name: 'Unit', columns: { id: { type: 'int', primary: true } } }),
    )
    const dataSource = await open({ entities: [Unit, Person, Role], synchronize: true })
    await dataSource.getRepository(Unit).insert({ id: 1 })
    expect(await on(dataSource, 'b', 'SELECT id FROM unit')).toEqual([{ id: 1 }])
  })
})
