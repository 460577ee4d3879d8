import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, ShardedDataSource } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'
import { shopEntities, shopGroups } from './seed'

describe('the description of a shop', () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource
  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    dataSource = await new ShardedDataSource({
      type: 'postgres',
      entities: [...shopEntities],
      nodes: { a: { url: a }, b: { url: b } },
      groups: Object.fromEntries(shopGroups.map((group) => [group, { shards: hash({ shards: 4 }) }])),
    }).initialize()
  })
  afterAll(async () => {
    await dataSource?.destroy()
    await databases?.drop()
  })

  it('is the kept one', async () => {
    await expect(String(dataSource.describeSharding())).toMatchFileSnapshot('kept/description.txt')
  })
})
