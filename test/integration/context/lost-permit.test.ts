import { Column, Entity, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GlobalUnique, hash, Sharded, ShardedDataSource, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 2 }), { group: 'permitted' })
class Permitted {
  @ShardKey() @PrimaryColumn('int') id!: number
  @GlobalUnique() @Column() email!: string
}

const poolSize = 3

describe('a write whose query runner cannot be opened', () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    dataSource = await new ShardedDataSource({
      type: 'postgres',
      entities: [Permitted],
      nodes: { a: { url: a, poolSize }, b: { url: b, poolSize } },
      synchronize: true,
    }).initialize()
  })
  afterAll(async () => {
    await dataSource.destroy()
    await databases.drop()
  })

  it('gives its permit back', async () => {
    const { createQueryRunner } = dataSource
    const refuse = (): never => {
      throw new RangeError('no runner')
    }
    for (let time = 0; time < 2 * poolSize; time++) {
      Object.assign(dataSource, { createQueryRunner: refuse })
      await expect(
        dataSource.manager.save(Object.assign(new Permitted(), { id: time, email: `${time}` })),
      ).rejects.toThrow('no runner')
      Object.assign(dataSource, { createQueryRunner })
    }
    await dataSource.manager.save(Object.assign(new Permitted(), { id: 50, email: 'one' }))
    expect(await dataSource.manager.count(Permitted)).toBe(1)
  })
})
