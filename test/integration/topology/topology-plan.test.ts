import { Column, Entity, PrimaryColumn } from 'typeorm'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  composite,
  GlobalUnique,
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
@Sharded(hash({ shards: 6 }))
class Tenant {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: '' }) text!: string
}

@Entity()
@Sharded(composite(list({ shards: { eu: ['de'], us: ['ny'], asia: ['cn'] } }), hash({ shards: 2 })))
class Sale {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('text') land!: string
  @ShardKey() @Column('int') shop!: number
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Login {
  @ShardKey() @PrimaryColumn('int') id!: number
  @GlobalUnique() @Column('text') name!: string
}

describe('a plan over nodes', () => {
  let databases: FreshDatabases
  const sources: ShardedDataSource[] = []

  const start = async (
    weights: Readonly<Record<string, number>>,
    given: Partial<ShardedDataSourceOptions> = {},
  ): Promise<ShardedDataSource> => {
    const url = (name: string): string => databases.nodes['abc'.indexOf(name)] ?? ''
    const dataSource = await new ShardedDataSource({
      type: 'postgres',
      entities: [Tenant, Sale, Login],
      nodes: Object.fromEntries(Object.entries(weights).map(([name, weight]) => [name, { url: url(name), weight }])),
      ...given,
    }).initialize()
    sources.push(dataSource)
    return dataSource
  }
  const placesOf = ({ shardMap }: ShardedDataSource) =>
    [...shardMap.shards.values()].map(({ name, node }) => `${name} ${node}`)

  beforeAll(async () => {
    databases = await createDatabases(3)
    const first = await start({ a: 1, b: 1 }, { synchronize: true })
    await first.getRepository(Tenant).insert(Array.from({ length: 60 }, (_, id) => ({ id })))
  })
  afterEach(async () => {
    for (const dataSource of sources.splice(0)) await dataSource.destroy()
  })
  afterAll(() => databases.drop())

  it('takes shards to a node that was added: units together, and none that cannot move', async () => {
    const dataSource = await start({ a: 1, b: 1, c: 1 })
    const before = placesOf(dataSource)
    const plan = await dataSource.topology.plan({ by: 'count', threshold: 0.2 })
    expect(plan.isBalanced).toBe(true)
    expect(plan.moves.length).toBeGreaterThanOrEqual(4)
    for (const { shard, from, to } of plan.moves) {
      expect(dataSource.shardMap.shards.get(shard)).toMatchObject({ node: from })
      expect(to).toBe('c')
      expect(shard).not.toMatch(/^login_\d/)
    }
    const moved = plan.moves.filter(({ shard }) => shard.startsWith('sale')).map(({ shard }) => shard.slice(0, -3))
    for (const unit of moved) expect(moved.filter((one) => one === unit)).toHaveLength(2)
    expect(await dataSource.topology.plan({ by: 'count', threshold: 0.2 })).toEqual(plan)
    expect(placesOf(dataSource)).toEqual(before)
  })

  it('empties a node, but for shards that are pinned or cannot move', async () => {
    const pins = await start({ a: 1, b: 1 })
    const pinned = [...pins.shardMap.shards.values()].find(({ group, node }) => group === 'tenant' && node === 'b')
    const dataSource = await start(
      { a: 1, b: 1, c: 1 },
      { groups: { tenant: { placement: { [pinned?.name ?? '']: 'b' } } } },
    )
    const plan = await dataSource.topology.plan({ drain: 'b' })
    const onNode = [...dataSource.shardMap.shards.values()].filter(({ node }) => node === 'b').map(({ name }) => name)
    const kept = plan.kept.map(({ shard }) => shard)
    expect(kept).toContain(pinned?.name)
    expect(kept.some((shard) => shard.startsWith('login'))).toBe(true)
    expect([...plan.moves.map(({ shard }) => shard), ...kept].sort()).toEqual(onNode.sort())
    expect(plan.kept.find(({ shard }) => shard === pinned?.name)?.reason).toBe('the options place it on node b')
    expect(plan.isBalanced).toBe(false)
  })

  it('moves nothing that is even, by rows, bytes and the load that is counted', async () => {
    const dataSource = await start({ a: 1, b: 1 }, { loadStatistics: true })
    for (const by of ['rows', 'bytes', 'load', 'count'] as const)
      expect((await dataSource.topology.plan({ by, threshold: 2 })).moves).toEqual([])
  })

  it('fills no node above its capacity', async () => {
    const [a = '', b = '', c = ''] = databases.nodes
    const dataSource = await start(
      {},
      { nodes: { a: { url: a }, b: { url: b }, c: { url: c, capacity: { bytes: 1 } } } },
    )
    expect((await dataSource.topology.plan()).moves.filter(({ to }) => to === 'c')).toEqual([])
  })

  it('refuses what it cannot plan', async () => {
    const { topology } = await start({ a: 1, b: 1 })
    await expect(topology.plan({ by: 'load' })).rejects.toMatchObject({
      code: 'OPTIONS_INVALID',
      message: expect.stringContaining('loadStatistics'),
    })
    await expect(topology.plan({ drain: 'x' })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' })
    await expect(topology.plan({ threshold: -1 })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' })
    await expect(topology.plan({ maxMoves: 0 })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' })
    await expect(topology.plan({ by: 'colour' as 'rows' })).rejects.toMatchObject({ code: 'OPTIONS_INVALID' })
  })
})
