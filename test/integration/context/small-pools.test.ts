import {
  Column,
  Entity,
  type EntityManager,
  type EntitySubscriberInterface,
  EventSubscriber,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  PrimaryGeneratedColumn,
} from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 6 }), { group: 'crowd' })
class Crowd {
  @ShardKey() @PrimaryColumn('int') id!: number
  @OneToMany(
    () => Head,
    (head) => head.crowd,
  )
  heads!: Head[]
}

@Entity()
@Sharded({ colocatedWith: () => Crowd })
class Head {
  @PrimaryGeneratedColumn('uuid') id!: string
  @ShardKey() @Column('int') crowdId!: number
  @ManyToOne(
    () => Crowd,
    (crowd) => crowd.heads,
  )
  crowd!: Crowd
}

let act: (manager: EntityManager) => Promise<unknown> = async () => undefined

@EventSubscriber()
class Asking implements EntitySubscriberInterface<Crowd> {
  listenTo() {
    return Crowd
  }
  async beforeInsert({ manager }: { manager: EntityManager }): Promise<void> {
    await act(manager)
  }
  async afterLoad(_crowd: Crowd, event?: { manager: EntityManager }): Promise<void> {
    if (event) await act(event.manager)
  }
}

const poolSize = 3
const times = 12

describe('pools of three connections, and subscribers that query', () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource
  let counts: number[]

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    dataSource = await new ShardedDataSource({
      type: 'postgres',
      entities: [Crowd, Head],
      subscribers: [Asking],
      nodes: { a: { url: a, poolSize }, b: { url: b, poolSize } },
      connectTimeoutMS: 10_000,
      synchronize: true,
    }).initialize()
    const ids = [1, 2, 3, 4, 5, 6, 7, 8]
    await dataSource.manager.insert(
      Crowd,
      ids.map((id) => ({ id })),
    )
    await dataSource.manager.insert(
      Head,
      ids.map((crowdId) => ({ crowdId })),
    )
  })
  afterAll(async () => {
    await dataSource.destroy()
    await databases.drop()
  })
  beforeEach(() => {
    counts = []
    act = async (manager) => counts.push(await manager.count(Head))
  })

  const atOnce = async (work: (index: number) => Promise<unknown>): Promise<void> => {
    await Promise.all(Array.from({ length: times }, (_, index) => work(index)))
    expect(counts.length).toBeGreaterThanOrEqual(times)
    expect(new Set(counts)).toEqual(new Set([8]))
    for (const node of dataSource.runtime.nodes) {
      const pool = dataSource.runtime.pool(node)
      const { total, idle, waiting } = pool.counts
      expect({ held: total - idle, waiting, scatters: pool.scatters.counts, streams: pool.streams.counts }).toEqual({
        held: 0,
        waiting: 0,
        scatters: { taken: 0, waiting: 0 },
        streams: { taken: 0, waiting: 0 },
      })
    }
  }

  it('find over several shards', () => atOnce(() => dataSource.manager.find(Crowd)))
  it('find with relations, reloaded shard by shard', () =>
    atOnce(() => dataSource.manager.find(Crowd, { relations: { heads: true }, take: 5, order: { id: 'ASC' } })))
  it('find with relations, by queries', () =>
    atOnce(() => dataSource.manager.find(Crowd, { relations: { heads: true }, relationLoadStrategy: 'query' })))
  it('find on one shard', () => atOnce((index) => dataSource.manager.findBy(Crowd, { id: 1 + (index % 8) })))
  it('find on one shard with relations', () =>
    atOnce((index) => dataSource.manager.find(Crowd, { where: { id: 1 + (index % 8) }, relations: { heads: true } })))
  it('stream', () =>
    atOnce(async () => {
      for await (const one of dataSource.getRepository(Crowd).stream()) expect(one.id).toBeGreaterThan(0)
    }))
  it('insert on one shard, and on several', async () => {
    await atOnce((index) => dataSource.manager.insert(Crowd, { id: 100 + index }))
    await atOnce((index) =>
      dataSource.manager.insert(
        Crowd,
        [0, 1, 2].map((part) => ({ id: 200 + 3 * index + part })),
      ),
    )
  })
  it('save on one shard, and on several, one after the other', async () => {
    for (let index = 0; index < 5; index++) {
      await dataSource.manager.save(Object.assign(new Crowd(), { id: 300 + index }))
      await dataSource.manager.save([0, 1, 2].map((part) => Object.assign(new Crowd(), { id: 400 + 3 * index + part })))
    }
    expect(new Set(counts)).toEqual(new Set([8]))
  })
})
