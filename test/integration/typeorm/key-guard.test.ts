import { BeforeInsert, BeforeUpdate, Column, Entity, PrimaryColumn } from 'typeorm'
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

let databases: FreshDatabases
let dataSource: ShardedDataSource
let other: string

beforeAll(async () => {
  databases = await createDatabases(2)
  const [a = '', b = ''] = databases.nodes
  dataSource = await new ShardedDataSource({
    type: 'postgres',
    entities: [Guarded],
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
    expect(dataSource.subscribers).toEqual([])
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
})
