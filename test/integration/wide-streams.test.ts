import { Column, Entity, JoinColumn, ManyToOne, OneToMany, PrimaryColumn, type Relation } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, type ShardedRepository, ShardKey } from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 300 }), { group: 'lamp', layout: 'table' })
class Lamp {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('int') watts!: number
  @OneToMany(
    () => Bulb,
    (bulb) => bulb.lamp,
  )
  bulbs!: Relation<Bulb>[]
}

@Entity()
@Sharded({ colocatedWith: () => Lamp })
class Bulb {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') lampId!: number
  @ManyToOne(
    () => Lamp,
    (lamp) => lamp.bulbs,
  )
  @JoinColumn({ name: 'lampId' })
  lamp!: Relation<Lamp>
}

/** More shards on a node than one statement unites: several cursors stand on its one connection. */
describe('streams over many shards of a node', () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource
  const ids = Array.from({ length: 40 }, (_, index) => index + 1)

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    dataSource = new ShardedDataSource({
      type: 'postgres',
      entities: [Lamp, Bulb],
      nodes: { a: { url: a }, b: { url: b } },
    })
    await dataSource.initialize()
    await dataSource.synchronize()
    await dataSource.getRepository(Lamp).insert(ids.map((id) => ({ id, watts: id % 7 })))
    await dataSource.getRepository(Bulb).insert(ids.map((id) => ({ id, lampId: id })))
  }, 300_000)
  afterAll(async () => {
    await dataSource?.destroy()
    await databases?.drop()
  })

  const idsOf = async (rows: AsyncIterable<object>): Promise<unknown[]> => {
    const found: unknown[] = []
    for await (const row of rows) found.push(Reflect.get(row, 'id'))
    return found
  }

  it('give rows in order, of a page, with relations, and of SQL', async () => {
    const lamps = dataSource.getRepository(Lamp)
    expect(await idsOf(lamps.stream({ order: { id: 'ASC' } }))).toEqual(ids)
    expect(await idsOf(lamps.stream({ order: { id: 'DESC' }, take: 5 }))).toEqual([40, 39, 38, 37, 36])
    expect(await idsOf(lamps.stream({ order: { id: 'ASC' }, relations: { bulbs: true } }))).toEqual(ids)
    const runner = dataSource.createQueryRunner()
    expect(await idsOf(await runner.stream('SELECT id FROM lamp ORDER BY id'))).toEqual(ids)
    await runner.release()
  })

  it('leave a transaction of the caller as it is', async () => {
    await dataSource.transaction(async (manager) => {
      const lamps = manager.getRepository(Lamp) as ShardedRepository<Lamp>
      expect(await idsOf(lamps.stream({ order: { id: 'ASC' } }))).toEqual(ids)
      expect(await manager.count(Lamp)).toBe(40)
    })
  })
})
