import {
  Column,
  type DataSource,
  Entity,
  type EntitySubscriberInterface,
  type LoadEvent,
  PrimaryColumn,
  type QueryRunner,
} from 'typeorm'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardedId, ShardKey } from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 4 }))
class Customer {
  @ShardKey() @ShardedId() @PrimaryColumn('bigint') id!: string
  @Column({ default: '' }) name!: string
}

@Entity()
class Setting {
  @PrimaryColumn() name!: string
}

/** What a subscriber asks of its event's query runner when a customer was loaded. */
let asked: ((runner: QueryRunner) => Promise<unknown>) | undefined
const answers: unknown[] = []
const subscriber: EntitySubscriberInterface<Customer> = {
  listenTo: () => Customer,
  afterLoad: async (_customer: Customer, event?: LoadEvent<Customer>) => {
    if (asked && event) answers.push(await asked(event.queryRunner))
  },
}

const poolSize = 5

describe('query runners', () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource
  const customers = () => dataSource.getRepository(Customer)
  const pools = () => ['a', 'b'].map((node) => dataSource.runtime.pool(node))
  const atRest = () =>
    pools().every(({ counts, transactions }) => counts.total === counts.idle && transactions.counts.taken === 0)
  /** A shard of the node `b`, which is not the home node. */
  const farShard = () => {
    const found = dataSource.shards().find(({ node }) => node === 'b')
    if (!found) throw new Error('No shard lies on b.')
    return found.name
  }
  const withRunner = async <T>(
    work: (runner: QueryRunner) => Promise<T>,
    source: DataSource = dataSource,
  ): Promise<T> => {
    const runner = source.createQueryRunner()
    try {
      return await work(runner)
    } finally {
      await runner.release()
    }
  }

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    dataSource = await new ShardedDataSource({
      type: 'postgres',
      entities: [Customer, Setting],
      nodes: { a: { url: a }, b: { url: b } },
      poolSize,
    }).initialize()
    await dataSource.synchronize()
    dataSource.subscribers.push(subscriber as never)
  })
  afterEach(async () => {
    asked = undefined
    answers.length = 0
    await customers().acrossShards().deleteAll()
  })
  afterAll(async () => {
    await dataSource.destroy()
    await databases.drop()
  })

  it('find in a transaction what was saved in it, with its id', async () => {
    const [one, two] = await dataSource.transaction(async (manager) => {
      const saved = await manager.save(manager.create(Customer, { name: 'x' }))
      const found = await manager.findOneByOrFail(Customer, { id: saved.id })
      expect(found).toEqual(saved)
      // At once, on whatever shards.
      const more = await Promise.all(
        Array.from({ length: 8 }, (_, index) => manager.save(manager.create(Customer, { name: `${index}` }))),
      )
      for (const each of more) expect(await manager.findOneBy(Customer, { id: each.id })).toEqual(each)
      found.name = 'y'
      return [saved, await manager.save(found)]
    })
    expect(two.id).toBe(one.id)
    expect(await customers().count()).toBe(9)
  })
})

const rowsOf = (length: number): { name: string }[] => Array.from({ length }, (_, index) => ({ name: `${index}` }))
