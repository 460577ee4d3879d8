import { Client } from 'pg'
import { Column, Entity, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  composite,
  formatReport,
  hash,
  list,
  Sharded,
  ShardedDataSource,
  type ShardedDataSourceOptions,
  ShardKey,
} from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 4 }))
class Guest {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: '' }) name!: string
}

@Entity()
@Sharded({ colocatedWith: () => Guest })
class Visit {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') guestId!: number
}

@Entity()
@Sharded(composite(list({ shards: { eu: ['de'], asia: ['cn'] } }), hash({ shards: 2 })))
class Sale {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('text') land!: string
  @ShardKey() @Column('int') shop!: number
}

const ids = Array.from({ length: 40 }, (_, id) => id)

describe.each(['schema', 'table'] as const)('a report of the topology, in the layout %s', (layout) => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource

  const start = async (options: Partial<ShardedDataSourceOptions> = {}): Promise<ShardedDataSource> => {
    const [a = '', b = ''] = databases.nodes
    return new ShardedDataSource({
      type: 'postgres',
      entities: [Guest, Visit, Sale],
      nodes: { a: { url: a, weight: 2 }, b: { url: b, weight: 2 } },
      layout,
      ...options,
    }).initialize()
  }

  beforeAll(async () => {
    databases = await createDatabases(2)
    dataSource = await start({ synchronize: true, loadStatistics: { hotKeys: 4 } })
    await dataSource.getRepository(Guest).insert(ids.map((id) => ({ id })))
    await dataSource.getRepository(Visit).insert(ids.map((id) => ({ id, guestId: 0 })))
    await dataSource.getRepository(Sale).insert({ id: 1, land: 'de', shop: 1 })
  })
  afterAll(async () => {
    await dataSource.destroy()
    await databases.drop()
  })

  it('counts the rows of all shards', async () => {
    const report = await dataSource.topology.report({ exact: true })
    const hot = dataSource.locate(Guest, 0).shard
    for (const shard of report.shards.filter(({ group }) => group === 'guest')) {
      const guests = ids.filter((id) => dataSource.locate(Guest, id).shard === shard.name).length
      expect(shard.rows).toBe(guests + (shard.name === hot ? ids.length : 0))
      expect(shard.bytes).toBeGreaterThan(0)
      expect(shard.node).toBe(dataSource.shardMap.shards.get(shard.name)?.node)
    }
    expect(report.groups.map(({ name, rows, shards }) => [name, rows, shards])).toEqual([
      ['guest', 80, 4],
      ['sale', 1, 4],
    ])
    expect(report.nodes.map(({ name, share, isHome }) => [name, share, isHome])).toEqual([
      ['a', 0.5, true],
      ['b', 0.5, false],
    ])
    expect(report.nodes.reduce((sum, { rows }) => sum + rows, 0)).toBe(81)
    expect(report.epoch).toBe(dataSource.shardMap.epoch)
    expect(formatReport(report)).toContain('81 rows')
  })

  it('estimates them by what the servers have counted', async () => {
    for (const connectionString of databases.nodes) {
      const client = new Client({ connectionString })
      await client.connect()
      await client.query('ANALYZE')
      await client.end()
    }
    const report = await dataSource.topology.report()
    expect(report.isExact).toBe(false)
    expect(report.nodes.reduce((sum, { rows }) => sum + rows, 0)).toBe(81)
  })

  it('counts the statements of this process by shard and node', async () => {
    dataSource.topology.resetLoad()
    const { shard, node } = dataSource.locate(Guest, 7)
    for (let times = 0; times < 3; times++) await dataSource.getRepository(Guest).findOneBy({ id: 7 })
    await dataSource.getRepository(Guest).find()
    const { nodes, shards } = await dataSource.topology.report()
    expect(shards.find(({ name }) => name === shard)?.load?.statements).toBe(3)
    expect(shards.filter(({ load }) => load?.statements === 0)).toHaveLength(7)
    expect(nodes.map(({ name, load }) => [name, load?.statements])).toEqual(
      ['a', 'b'].map((name) => [name, name === node ? 4 : 1]),
    )
    expect(nodes.every(({ load }) => (load?.milliseconds ?? 0) > 0)).toBe(true)
  })

  it('names the shard keys that operations named most often', async () => {
    dataSource.topology.resetLoad()
    const visits = dataSource.getRepository(Visit)
    for (let times = 0; times < 5; times++) {
      await dataSource.getRepository(Guest).findOneBy({ id: 7 })
      await visits.findBy({ guestId: 7 })
      await dataSource.query('SELECT * FROM sale WHERE land = $1 AND shop = $2', ['de', 1])
    }
    await visits.find({ where: { guestId: 8 } })
    const { hotKeys } = await dataSource.topology.report()
    const { shard } = dataSource.locate(Guest, 7)
    expect(hotKeys.map(({ group, key }) => [group, ...key])).toEqual([
      ['guest', '7'],
      ['guest', '8'],
      ['sale', 'de', '1'],
    ])
    // A shape of operations that is met for the first time is routed twice.
    expect(hotKeys[0]).toMatchObject({
      shard,
      atLeast: expect.toSatisfy((times: number) => times >= 10 && times <= 12),
    })
    expect(hotKeys[2]?.shard).toBe(dataSource.locate(Sale, ['de', 1]).shard)
  })

  it('counts nothing where the options do not ask for it', async () => {
    const other = await start()
    await other.getRepository(Guest).findOneBy({ id: 7 })
    const report = await other.topology.report()
    expect([report.countedSince, report.hotKeys, report.skew.load, report.shards[0]?.load]).toEqual([
      undefined,
      [],
      undefined,
      undefined,
    ])
    await other.destroy()
  })
})

it('is refused a number of keys that is none', () => {
  const nodes = { a: { url: 'postgres://localhost' } }
  for (const hotKeys of [-1, 1.5, 10_001])
    expect(() => new ShardedDataSource({ type: 'postgres', nodes, loadStatistics: { hotKeys } })).toThrow('hotKeys')
})
