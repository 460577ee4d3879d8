import { Column, Entity, EntitySchema, PrimaryColumn } from 'typeorm'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  composite,
  decodeShardedId,
  hash,
  list,
  range,
  Sharded,
  ShardedDataSource,
  type ShardedDataSourceOptions,
  ShardedId,
  ShardKey,
  shardedSchema,
} from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

const asNumber = {
  from: (value: string | null) => (value === null ? null : Number(value)),
  to: (value: unknown) => value,
}

@Entity()
@Sharded(hash({ shards: 4 }))
class Transformed {
  @PrimaryColumn('bigint', { transformer: asNumber })
  @ShardedId('53-bit')
  id!: number

  @ShardKey()
  @Column('int')
  owner!: number
}

@Entity()
@Sharded(hash({ shards: 4 }))
class Parsed {
  @PrimaryColumn('bigint')
  @ShardedId('53-bit')
  id!: number

  @ShardKey()
  @Column('int')
  owner!: number
}

/** An id that is a part of a key of two columns. */
@Entity()
@Sharded(hash({ shards: 4 }))
class Part {
  @ShardKey()
  @PrimaryColumn('int')
  owner!: number

  @ShardKey()
  @PrimaryColumn('bigint')
  @ShardedId()
  id!: string
}

/** Counted, and the shard key itself. */
@Entity()
@Sharded(hash({ shards: 4 }))
class Counted {
  @ShardKey()
  @PrimaryColumn('int')
  @ShardedId('sequence')
  id!: number
}

@Entity()
@Sharded(range({ shards: { low: [null, 100], high: [100, null] } }))
class Ranged {
  @PrimaryColumn('bigint')
  @ShardedId()
  id!: string

  @ShardKey()
  @Column('int')
  owner!: number
}

@Entity()
@Sharded(composite(list({ shards: { eu: ['de', 'fr'], us: ['us'] } }), hash({ shards: 4 })))
class Crossed {
  @PrimaryColumn('bigint')
  @ShardedId()
  id!: string

  @ShardKey()
  @Column('text')
  country!: string

  @ShardKey()
  @Column('int')
  owner!: number
}

interface Schematic {
  id: string
  owner: number
}
const SchematicSchema = shardedSchema(
  new EntitySchema<Schematic>({
    name: 'schematic',
    columns: { id: { type: 'uuid', primary: true }, owner: { type: 'int' } },
  }),
  { by: hash({ shards: 4 }), shardKey: ['owner'], id: { property: 'id', kind: 'uuid' } },
)

describe('kinds of ids', () => {
  let databases: FreshDatabases
  const opened: ShardedDataSource[] = []

  beforeAll(async () => {
    databases = await createDatabases(2)
  })
  afterEach(async () => {
    for (const dataSource of opened.splice(0)) {
      await dataSource.dropDatabase()
      await dataSource.destroy()
    }
  })
  afterAll(() => databases.drop())

  const open = async (
    entities: NonNullable<ShardedDataSourceOptions['entities']>,
    options: Partial<ShardedDataSourceOptions> = {},
  ): Promise<ShardedDataSource> => {
    const [a = '', b = ''] = databases.nodes
    const dataSource = new ShardedDataSource({
      type: 'postgres',
      entities,
      nodes: { a: { url: a }, b: { url: b } },
      ...options,
    })
    await dataSource.initialize()
    opened.push(dataSource)
    await dataSource.synchronize()
    return dataSource
  }
  const owners = Array.from({ length: 20 }, (_, owner) => owner * 11)

  it('have the value of a transformer after every write, as after a load', async () => {
    const repository = (await open([Transformed])).getRepository(Transformed)
    const saved = await repository.save(owners.map((owner) => ({ owner })))
    const inserted = owners.map((owner) => ({ owner })) as Transformed[]
    await repository.insert(inserted)
    for (const { id, owner } of [...saved, ...inserted]) {
      expect(typeof id).toBe('number')
      expect(await repository.findOneBy({ id })).toEqual({ id, owner })
      const { shards } = await repository.explain({ where: { id } })
      expect(shards.length).toBe(1)
    }
  })

  it('are numbers with parseInt8', async () => {
    const repository = (await open([Parsed], { parseInt8: true })).getRepository(Parsed)
    const saved = await repository.save(owners.map((owner) => ({ owner })))
    for (const { id, owner } of saved) {
      expect(Number.isSafeInteger(id)).toBe(true)
      expect(await repository.findOneBy({ id })).toEqual({ id, owner })
    }
  })

  it('that are a part of the shard key are there before the shard is chosen', async () => {
    const dataSource = await open([Part, Counted])
    const parts = await dataSource.getRepository(Part).save(owners.map((owner) => ({ owner })))
    const more = owners.map((owner) => ({ owner })) as Part[]
    await dataSource.getRepository(Part).insert(more)
    await dataSource.createQueryBuilder().insert().into(Part).values({ owner: 5 }).execute()
    expect(await dataSource.getRepository(Part).count()).toBe(41)
    for (const { id, owner } of [...parts, ...more]) {
      expect(await dataSource.getRepository(Part).findOneBy({ id, owner })).toEqual({ id, owner })
      expect((await dataSource.getRepository(Part).explain({ where: { id } })).shards.length).toBe(4)
    }
    const counted = await dataSource.getRepository(Counted).save(Array.from({ length: 3_000 }, () => ({})))
    await dataSource.getRepository(Counted).insert([{}, {}])
    expect(new Set(counted.map(({ id }) => id)).size).toBe(3_000)
    expect(await dataSource.getRepository(Counted).count()).toBe(3_002)
  })

  it('of keys without slots are unique, and found on all shards', async () => {
    const repository = (await open([Ranged])).getRepository(Ranged)
    const saved = await repository.save(owners.map((owner) => ({ owner })))
    for (const { id, owner } of saved) {
      expect(decodeShardedId(id).kind).toBe('64-bit')
      expect(await repository.findOneBy({ id })).toEqual({ id, owner })
    }
    expect((await repository.explain({ where: { id: saved[0]?.id ?? '' } })).shards).toEqual([
      'ranged_low',
      'ranged_high',
    ])
    // They say nothing of the key: any will do.
    await repository.insert({ id: String(BigInt(saved[0]?.id ?? '') + 2n ** 40n + 1n), owner: 5 })
  })

  it('of a composite function route to the shards of the slot', async () => {
    const repository = (await open([Crossed])).getRepository(Crossed)
    const saved = await repository.save(owners.map((owner, index) => ({ owner, country: index % 2 ? 'us' : 'fr' })))
    for (const { id, owner, country } of saved) {
      expect(await repository.findOneBy({ id })).toEqual({ id, owner, country })
      expect((await repository.explain({ where: { id } })).shards.length).toBe(2)
      expect((await repository.explain({ where: { id, country } })).shards.length).toBe(1)
    }
    const [first] = saved
    await repository.save({ id: first?.id ?? '', country: first?.country ?? '' } as Crossed)
    expect((await repository.delete(saved.map(({ id }) => id))).affected).toBe(20)
  })

  it('are declared for an EntitySchema too', async () => {
    const repository = (await open([SchematicSchema])).getRepository<Schematic>('schematic')
    const saved = await repository.save(owners.map((owner) => ({ owner }) as Schematic))
    for (const { id, owner } of saved) {
      expect(await repository.findOneBy({ id })).toEqual({ id, owner })
      expect((await repository.explain({ where: { id } })).shards.length).toBe(1)
    }
  })

  it('never let two data sources hold one worker number, nor keep it after destroy', async () => {
    const dataSources: ShardedDataSource[] = []
    for (let index = 0; index < 6; index++) dataSources.push(await open([Ranged]))
    const workerOf = async (dataSource: ShardedDataSource): Promise<number | undefined> =>
      decodeShardedId((await dataSource.getRepository(Ranged).save({ owner: 1 })).id).worker
    expect(new Set(await Promise.all(dataSources.map(workerOf))).size).toBe(6)
    const held = `SELECT count(*)::int AS held FROM sharding.workers WHERE holder IS NOT NULL AND expires_at > now()`
    const [first] = dataSources
    expect(await first?.query(held)).toEqual([{ held: 6 }])
    for (const dataSource of opened.splice(1)) await dataSource.destroy()
    expect(await first?.query(held)).toEqual([{ held: 1 }])
  })
})
