import {
  BeforeInsert,
  BeforeUpdate,
  Column,
  Entity,
  type EntitySubscriberInterface,
  EventSubscriber,
  type InsertEvent,
  PrimaryColumn,
} from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

/** Its listeners change the shard key when the shard is already chosen. */
@Entity()
@Sharded(hash({ shards: 4 }), { group: 'guarded' })
class Guarded {
  @PrimaryColumn('bigint') id!: string
  @ShardKey() @Column('bigint') owner!: string
  @Column('varchar', { default: '' }) name!: string

  moveTo?: string

  @BeforeInsert()
  @BeforeUpdate()
  move(): void {
    if (this.moveTo !== undefined) this.owner = this.moveTo
  }
}

/** Its tenant would be that of the context, as is usual on one database. */
@Entity()
@Sharded(hash({ shards: 4 }))
class Filled {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') tenant!: number

  @BeforeInsert()
  fill(): void {
    this.tenant ??= 7
  }
}

/** The way out: its tenant is there from the first moment. */
@Entity()
@Sharded(hash({ shards: 4 }))
class Born {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') tenant: number = 7
}

@Entity()
@Sharded(hash({ shards: 4 }))
class Heard {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') tenant!: number
}

@EventSubscriber()
class FillsHeard implements EntitySubscriberInterface<Heard> {
  listenTo() {
    return Heard
  }
  beforeInsert({ entity }: InsertEvent<Heard>): void {
    entity.tenant ??= 7
  }
}

@Entity()
@Sharded(hash({ shards: 4 }), { onKeyChange: 'move' })
class Moving {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') place!: number
  @Column('text', { default: '' }) note!: string

  @BeforeUpdate()
  go(): void {
    if (this.note === 'go') this.place += 1
  }
}

@Entity()
@Sharded(hash({ shards: 4 }), { onKeyChange: 'move' })
class KeyIsId {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: '' }) note!: string
}

let databases: FreshDatabases
let dataSource: ShardedDataSource
let other: string

beforeAll(async () => {
  databases = await createDatabases(2)
  const [a = '', b = ''] = databases.nodes
  dataSource = await new ShardedDataSource({
    type: 'postgres',
    entities: [Guarded, Filled, Born, Heard, Moving, KeyIsId],
    subscribers: [FillsHeard],
    nodes: { a: { url: a }, b: { url: b } },
    synchronize: true,
  }).initialize()
  const home = dataSource.locate(Guarded, '0').shard
  other =
    ['1', '2', '3', '4', '5', '6', '7', '8', '9'].find((key) => dataSource.locate(Guarded, key).shard !== home) ?? ''
})

afterAll(async () => {
  await dataSource.destroy()
  await databases.drop()
})

const make = (id: string, moveTo?: string): Guarded =>
  Object.assign(new Guarded(), { id, owner: '0', name: 'a' }, moveTo === undefined ? {} : { moveTo })

describe('the guard of shard keys', () => {
  it('is no subscriber', () => {
    expect(dataSource.subscribers).toEqual([expect.any(FillsHeard)])
  })

  it('refuses a row that a listener moves, alone, in a transaction and among others', async () => {
    const { manager } = dataSource
    const wrongShard = { code: 'WRONG_SHARD' }
    await expect(manager.save(make('1', other))).rejects.toMatchObject(wrongShard)
    await expect(manager.transaction((inner) => inner.save(make('2', other)))).rejects.toMatchObject(wrongShard)
    const mixed = [make('3', other), Object.assign(make('4'), { owner: other })]
    await expect(manager.save(mixed)).rejects.toMatchObject(wrongShard)
    expect(await manager.count(Guarded)).toBe(0)
  })

  it("refuses a row that a shard's own data source would write", async () => {
    const shard = dataSource.shard(dataSource.locate(Guarded, other).shard)
    for (const write of [
      () => shard.manager.save(make('5')),
      () => shard.manager.insert(Guarded, make('5')),
      () => shard.createQueryBuilder().insert().into(Guarded).values(make('5')).execute(),
    ])
      await expect(write()).rejects.toMatchObject({ code: 'WRONG_SHARD' })
    expect(await dataSource.manager.count(Guarded)).toBe(0)
  })

  it('refuses an update whose listener changes the key', async () => {
    const { manager } = dataSource
    await manager.save(make('6'))
    const loaded = await manager.findOneByOrFail(Guarded, { id: '6' })
    await expect(manager.save(Object.assign(loaded, { name: 'b', moveTo: other }))).rejects.toMatchObject({
      code: 'KEY_CHANGED',
    })
    expect(await manager.findOneBy(Guarded, { id: '6' })).toMatchObject({ owner: '0', name: 'a' })
  })

  it('says of a key that a listener or subscriber would set when it has to be set, and that is early enough', async () => {
    const { manager } = dataSource
    const tooLate = { code: 'KEY_MISSING', fix: expect.stringContaining('before the write') }
    for (const Late of [Filled, Heard]) {
      await expect(manager.save(manager.create(Late, { id: 1 }))).rejects.toMatchObject(tooLate)
      await expect(manager.insert(Late, [manager.create(Late, { id: 1 })])).rejects.toMatchObject(tooLate)
      expect(await manager.count(Late)).toBe(0)
      await manager.save(manager.create(Late, { id: 1, tenant: 7 }))
      expect(await manager.findBy(Late, { tenant: 7 })).toHaveLength(1)
    }
    await manager.save(manager.create(Born, { id: 1 }))
    await manager.insert(Born, manager.create(Born, { id: 2 }))
    expect(await manager.findBy(Born, { tenant: 7 })).toHaveLength(2)
    await expect(manager.insert(Born, { id: 3 })).rejects.toMatchObject({
      code: 'KEY_MISSING',
      fix: expect.stringContaining('before the write'),
    })
    await expect(manager.save(make('7', other))).rejects.toMatchObject({
      code: 'WRONG_SHARD',
      fix: expect.stringContaining('before the write'),
    })
  })

  it('names no option that is declared already where a key changes', async () => {
    const { manager } = dataSource
    const changed = { code: 'KEY_CHANGED', fix: expect.not.stringContaining('onKeyChange') }
    const moving = await manager.save(manager.create(Moving, { id: 1, place: 1 }))
    await expect(manager.save(Object.assign(moving, { note: 'go' }))).rejects.toMatchObject(changed)
    const loaded = await manager.findOneByOrFail(Moving, { id: 1 })
    await manager.move(Moving, loaded, 2)
    expect(await manager.findBy(Moving, { place: 2 })).toMatchObject([{ id: 1, note: '' }])
    const row = { id: 1, place: 5, note: 'again' }
    await expect(manager.upsert(Moving, row, ['id'])).rejects.toMatchObject(changed)
    await expect(
      manager.query('INSERT INTO moving (id, place) VALUES (1, 5) ON CONFLICT (id) DO UPDATE SET place = 6'),
    ).rejects.toMatchObject(changed)
    await expect(
      manager.query('WITH u AS (UPDATE moving SET place = 5 WHERE place = 2 RETURNING id) SELECT count(*) FROM u'),
    ).rejects.toMatchObject(changed)
    await manager.query('UPDATE moving SET place = 5 WHERE id = 1')
    await manager.upsert(Moving, row, ['id'])
    expect(await manager.findBy(Moving, { place: 5 })).toEqual([row])

    const keyed = await manager.save(manager.create(KeyIsId, { id: 1, note: 'a' }))
    keyed.id = 2
    await expect(manager.save(keyed)).rejects.toMatchObject(changed)
    await manager.move(KeyIsId, keyed, 2)
    expect(await manager.find(KeyIsId)).toEqual([{ id: 2, note: 'a' }])
  })
})
