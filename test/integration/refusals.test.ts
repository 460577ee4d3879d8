import 'reflect-metadata'
import {
  BeforeInsert,
  BeforeUpdate,
  Column,
  Entity,
  In,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  type Relation,
} from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  type ErrorCode,
  hash,
  range,
  Sharded,
  ShardedDataSource,
  type ShardedDataSourceOptions,
  ShardedError,
  ShardKey,
} from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

/** Keys 0 to 9 on `low`, 10 to 19 on `high`; nobody owns the others. */
const twenty = range({ shards: { low: [0, 10], high: [10, 20] } })

@Entity()
@Sharded(twenty)
class Owner {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('int', { default: 0 })
  level!: number

  @OneToMany(
    () => Pet,
    (pet) => pet.keeper,
    { cascade: ['insert'] },
  )
  kept!: Relation<Pet>[]
}

@Entity()
@Sharded(twenty, { group: 'pet' })
class Pet {
  @PrimaryColumn('int')
  id!: number

  @ShardKey()
  @Column('int')
  ownerId!: number

  @Column('int', { default: 0 })
  age!: number

  @Column('int', { nullable: true })
  keeperId!: number | null

  /** Leads to another group, without a foreign key. */
  @ManyToOne(
    () => Owner,
    (owner) => owner.kept,
    { createForeignKeyConstraints: false, cascade: ['insert', 'update'] },
  )
  @JoinColumn({ name: 'keeperId' })
  keeper!: Relation<Owner> | null

  moveTo?: number

  @BeforeInsert()
  @BeforeUpdate()
  move(): void {
    if (this.moveTo !== undefined) this.ownerId = this.moveTo
  }
}

@Entity()
@Sharded(twenty, { group: 'free', primaryKeyCheck: false })
class Free {
  @PrimaryColumn('int')
  id!: number

  @ShardKey()
  @Column('int')
  place!: number
}

@Entity()
@Sharded(twenty, { group: 'strict', scatter: { reads: 'forbid', writes: 'forbid' } })
class Strict {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('int', { default: 0 })
  level!: number
}

@Entity()
@Sharded(hash({ shards: 6 }), { scatter: { maxShards: 3 } })
class Narrow {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number
}

@Entity()
class Plain {
  @PrimaryColumn('int')
  id!: number
}

describe('refusals', () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource
  const owners = () => dataSource.getRepository(Owner)
  const pets = () => dataSource.getRepository(Pet)
  const strict = () => dataSource.getRepository(Strict)

  const options = (more: Partial<ShardedDataSourceOptions> = {}): ShardedDataSourceOptions => {
    const [a = '', b = ''] = databases.nodes
    return {
      type: 'postgres',
      entities: [Owner, Pet, Free, Strict, Narrow, Plain],
      nodes: { a: { url: a }, b: { url: b } },
      ...more,
    }
  }
  /** Runs what must be refused; the message has the names, the fix and the code. */
  const refused = async (code: ErrorCode, work: () => unknown, ...names: string[]): Promise<ShardedError> => {
    const error: unknown = await Promise.resolve()
      .then(work)
      .then(
        (value) => new Error(`It was not refused: ${JSON.stringify(value)}`),
        (thrown: unknown) => thrown,
      )
    if (!(error instanceof ShardedError)) throw error
    expect(error.code).toBe(code)
    expect(error.message).toContain(error.fix)
    expect(error.message).toContain(`[${code}]`)
    for (const name of names) expect(error.message).toContain(name)
    return error
  }

  beforeAll(async () => {
    databases = await createDatabases(2)
    dataSource = await new ShardedDataSource(options()).initialize()
    await dataSource.synchronize()
  })
  beforeEach(async () => {
    for (const entity of [Owner, Pet, Free, Strict]) await dataSource.manager.acrossShards().deleteAll(entity)
  })
  afterAll(async () => {
    await dataSource.destroy()
    await databases.drop()
  })

  it('of rows without a shard key', async () => {
    await refused(
      'KEY_MISSING',
      () =>
        pets()
          .save({ id: 1 } as never)
          .then(() => pets().save({ age: 1 } as never)),
      'Pet',
      'ownerId',
    )
    await refused('KEY_MISSING', () => owners().save({ level: 1 } as never), 'Owner', 'id')
    await refused('KEY_MISSING', () => pets().insert([{ id: 1, ownerId: 1 }, { id: 2 }]), 'Pet', 'ownerId')
    await refused('KEY_MISSING', () => pets().upsert({ id: 1 }, ['id', 'ownerId']), 'Pet', 'ownerId')
    await refused('KEY_MISSING', () => pets().save({ id: 1, ownerId: null as never }), 'Pet', 'ownerId')
    await refused('KEY_MISSING', () => pets().insert({ id: 1, ownerId: null as never }), 'Pet', 'ownerId')
    expect(await pets().count()).toBe(0)
  })

  it('of keys that no shard owns, and of values that are no keys', async () => {
    await refused('KEY_NOT_OWNED', () => owners().save({ id: 20 }), 'Owner', 'id', '20')
    await refused('KEY_NOT_OWNED', () => owners().insert([{ id: 1 }, { id: -1 }]), 'Owner', '-1')
    await refused('KEY_NOT_OWNED', () => owners().findOneBy({ id: 99 }), 'Owner', 'id')
    await refused('KEY_NOT_OWNED', () => owners().delete({ id: In([1, 99]) }), 'Owner', 'id')
    await refused('KEY_NOT_OWNED', () => dataSource.locate(Owner, 99), 'Owner', 'id')
    await refused('KEY_INVALID', () => owners().save({ id: 'x' as never }), 'Owner', 'id')
    await refused('KEY_INVALID', () => owners().insert({ id: () => '1 + 1' }), 'Owner', 'id', 'an expression')
    expect(await owners().count()).toBe(0)
  })

  it('of a changed shard key', async () => {
    await pets().save({ id: 1, ownerId: 1 })
    const pet = await pets().findOneByOrFail({ id: 1 })
    pet.ownerId = 2
    const { details } = await refused('KEY_CHANGED', () => pets().save(pet), 'Pet', 'ownerId', '1', '2')
    expect(details).toEqual({ entity: 'Pet', column: 'ownerId', before: 1, now: 2 })
    await refused('KEY_CHANGED', () => pets().update({ id: 1 }, { ownerId: 2 }), 'Pet', 'ownerId')
    await refused('KEY_CHANGED', () => pets().update({ ownerId: 1 }, { ownerId: 2 }), 'Pet', 'ownerId')
    await refused(
      'KEY_CHANGED',
      () => pets().update({ ownerId: 1 }, { ownerId: () => 'id + 1' }),
      'Pet',
      'an expression',
    )
    await refused('KEY_CHANGED', () => pets().updateAll({ ownerId: 1 }), 'Pet', 'ownerId')
    const runner = dataSource.createQueryRunner()
    const changing = 'UPDATE pet SET "ownerId" = 2 WHERE "ownerId" = 1 RETURNING id'
    await refused('KEY_CHANGED', () => runner.query(changing), 'Pet', 'ownerId')
    await refused('KEY_CHANGED', async () => (await runner.stream(changing)).toArray(), 'Pet', 'ownerId')
    await runner.release()
    await refused('KEY_CHANGED', () => pets().increment({ id: 1 }, 'ownerId', 1), 'Pet', 'ownerId')
    await refused('KEY_CHANGED', () => pets().update({ ownerId: 1 }, { ownerId: null as never }), 'Pet', 'ownerId')
    expect((await pets().update({ ownerId: 1 }, { ownerId: 1, age: 5 })).affected).toBe(1)
    expect((await pets().update({ id: 1, ownerId: In([1]) }, { ownerId: '1' as never, age: 6 })).affected).toBe(1)
    expect(await pets().find()).toMatchObject([{ id: 1, ownerId: 1, age: 6 }])
  })

  it('of a primary key that lives under another shard key, unless that is not to be checked', async () => {
    await pets().save({ id: 1, ownerId: 1 })
    for (const ownerId of [2, 15]) {
      const { details } = await refused(
        'DUPLICATE_PRIMARY_KEY',
        () => pets().save({ id: 1, ownerId }),
        'Pet',
        'ownerId',
      )
      expect(details).toMatchObject({ shard: 'pet_low', key: ['1'] })
    }
    expect(await pets().count()).toBe(1)
    const free = dataSource.getRepository(Free)
    await free.save({ id: 1, place: 1 })
    await free.save({ id: 1, place: 15 })
    expect((await free.find({ order: { place: 'ASC' } })).map(({ place }) => place)).toEqual([1, 15])
  })

  it('of rows on a shard that does not own them', async () => {
    const moving = pets().create({ id: 1, ownerId: 1 })
    moving.moveTo = 15
    await refused('WRONG_SHARD', () => pets().save(moving), 'ownerId', 'pet_high', 'pet_low')
    await refused(
      'WRONG_SHARD',
      () => dataSource.shard('pet_low').manager.insert(Pet, { id: 2, ownerId: 15 }),
      'pet_high',
    )
    await refused(
      'WRONG_SHARD',
      () => dataSource.shard('pet_low').manager.save(Pet, { id: 2, ownerId: 15 }),
      'pet_high',
    )
    await refused('WRONG_SHARD', () => pets().onShard('pet_low').save({ id: 3, ownerId: 15 }), 'pet_high', 'pet_low')
    await refused('WRONG_SHARD', () => pets().withShardKey(15).insert({ id: 3, ownerId: 1 }), 'pet_high', 'pet_low')
    await refused('KEY_MISSING', () => dataSource.shard('pet_low').manager.insert(Pet, { id: 2 }), 'ownerId')
    expect(await pets().count()).toBe(0)
    const loaded = await pets().save(pets().create({ id: 4, ownerId: 1 }))
    loaded.moveTo = 2
    loaded.age = 3
    await refused('KEY_CHANGED', () => pets().save(loaded), 'ownerId')
  })

  it('of relations that leave the shard', async () => {
    await owners().save({ id: 1 })
    await pets().save({ id: 1, ownerId: 1, keeperId: 1 })
    await refused(
      'CROSS_SHARD_RELATION',
      () =>
        pets()
          .stream({ where: { keeper: { level: 0 } } })
          .toArray(),
      'Pet',
    )
    expect([await owners().count(), await pets().count()]).toEqual([1, 1])
  })

  it('of scatters, by policy', async () => {
    await strict().save([{ id: 1 }, { id: 11 }])
    for (const read of [
      () => strict().find(),
      () => strict().count(),
      () => strict().exists(),
      () => strict().sum('level'),
      () => strict().findOneBy({ level: 0 }),
    ])
      await refused('SCATTER_FORBIDDEN', read, 'Strict', 'id')
    for (const write of [
      () => strict().updateAll({ level: 1 }),
      () => strict().delete({ level: 0 }),
      () => strict().clear(),
      () => strict().deleteAll(),
    ])
      await refused('SCATTER_FORBIDDEN', write, 'Strict', 'id')
    expect(await strict().findOneBy({ id: 11 })).toMatchObject({ id: 11 })
    expect(await strict().acrossShards().count()).toBe(2)
    expect((await strict().acrossShards().updateAll({ level: 3 })).affected).toBe(2)
    expect(await strict().onShard('strict_high').count()).toBe(1)
    await refused('SCATTER_TOO_WIDE', () => dataSource.getRepository(Narrow).find(), 'Narrow', '6', '3')
    await refused('SCATTER_TOO_WIDE', () => dataSource.getRepository(Narrow).acrossShards().count(), 'Narrow')
  })

  it('of what has no exact answer over shards', async () => {
    await pets().save([
      { id: 1, ownerId: 1 },
      { id: 2, ownerId: 15 },
    ])
    await refused('SCATTER_UNSUPPORTED', () => pets().withShardKey(1).clear(), 'Pet')
    await refused('UPSERT_WITHOUT_SHARD_KEY', () => pets().upsert({ id: 1, ownerId: 1 }, ['age']), 'Pet', 'ownerId')
    await refused('STATEMENT_UNSUPPORTED', () =>
      dataSource.query('SELECT a.id FROM pet a JOIN pet b ON a.age = b.age FOR UPDATE'),
    )
    await refused('STATEMENT_UNSUPPORTED', () => dataSource.query('EXPLAIN SELECT * FROM pet'))
    await refused('STATEMENT_UNSUPPORTED', () => dataSource.query('SELECT 1; SELECT * FROM pet'))
  })

  it('of shards that there are not, and of unsharded entities', async () => {
    await refused('SHARD_UNKNOWN', () => dataSource.shard('pet_77'), 'pet_77')
    await refused('SHARD_UNKNOWN', () => pets().onShard('nowhere').find(), 'nowhere')
    await refused('SHARD_UNKNOWN', () => pets().onShard('owner_low').find(), 'owner_low', 'Pet')
    for (const work of [
      () => dataSource.shards(Plain),
      () => dataSource.locate(Plain, 1),
      () => dataSource.getRepository(Plain).explain(),
    ])
      await refused('NOT_SHARDED', work, 'Plain')
    await refused('MIGRATIONS_UNSUPPORTED', () => dataSource.runMigrations())
    await refused('MIGRATIONS_UNSUPPORTED', () => dataSource.undoLastMigration())
  })

  it('of options that contradict themselves', async () => {
    const [a = ''] = databases.nodes
    const make = (more: object) => () => new ShardedDataSource(options(more))
    await refused('OPTIONS_INVALID', make({ nodes: {} }), 'nodes')
    await refused('OPTIONS_INVALID', make({ home: 'c' }), 'home', '"c"')
    for (const option of ['url', 'host', 'replication']) await refused('OPTIONS_INVALID', make({ [option]: a }), option)
    for (const option of ['rowBudget', 'deadlineMs', 'concurrencyPerNode'])
      await refused('OPTIONS_INVALID', make({ scatter: { [option]: 0 } }), `scatter.${option}`, '0')
    const start = (more: object) => () => new ShardedDataSource(options(more)).initialize()
    await refused('OPTIONS_INVALID', start({ groups: { nobody: {} } }), 'nobody')
    await refused('OPTIONS_INVALID', start({ groups: { pet: { placement: { low: 'c' } } } }), "'c'", 'pet')
    await refused('OPTIONS_INVALID', start({ groups: { pet: { placement: { x: 'a' } } } }), "'x'", 'pet')
    await refused('OPTIONS_INVALID', start({ nodes: { a: { url: a, weight: -1 } } }), 'weight')
  })
})
