import { Client } from 'pg'
import { Column, Entity, PrimaryColumn } from 'typeorm'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  hash,
  list,
  ReferenceTable,
  Sharded,
  ShardedDataSource,
  type ShardedDataSourceOptions,
  ShardKey,
} from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

@Entity()
@ReferenceTable()
class Region {
  @PrimaryColumn('int') id!: number
}

@Entity()
@Sharded(hash({ shards: 3 }))
class Account {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: '' }) name!: string
}

@Entity()
class Note {
  @PrimaryColumn('int') id!: number
}

@Entity()
@Sharded(list({ shards: { de: ['de'], fr: ['fr'] } }))
class Shop {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('text') land!: string
}

const ids = Array.from({ length: 30 }, (_, id) => id)

describe('nodes', () => {
  let databases: FreshDatabases
  const sources: ShardedDataSource[] = []

  /** Nodes are named by the letters of their databases, and given in this order. */
  const nodesOf = (names: string, given: Readonly<Record<string, object>> = {}): ShardedDataSourceOptions['nodes'] =>
    Object.fromEntries(
      [...names].map((name) => [name, { url: databases.nodes['abc'.indexOf(name)] ?? '', ...given[name] }]),
    )
  const start = async (options: Partial<ShardedDataSourceOptions>): Promise<ShardedDataSource> => {
    const dataSource = await new ShardedDataSource({
      type: 'postgres',
      entities: [Region, Account, Note, Shop],
      nodes: {},
      ...options,
    }).initialize()
    sources.push(dataSource)
    return dataSource
  }
  const placesOf = ({ shardMap }: ShardedDataSource) =>
    Object.fromEntries([...shardMap.shards.values()].map(({ name, node }) => [name, node]))
  const holdsAll = async (dataSource: ShardedDataSource): Promise<void> => {
    const accounts = dataSource.getRepository(Account)
    expect((await accounts.find({ order: { id: 'ASC' } })).map(({ id }) => id)).toEqual(ids)
    expect(await accounts.findOneBy({ id: 7 })).toMatchObject({ id: 7 })
    expect(await dataSource.getRepository(Shop).count()).toBe(2)
    expect(await dataSource.getRepository(Note).count()).toBe(1)
    expect((await dataSource.verifyPlacement()).every(({ misplaced }) => misplaced === 0)).toBe(true)
  }

  beforeEach(async () => {
    databases = await createDatabases(3)
    const first = await start({ nodes: nodesOf('ab'), synchronize: true })
    await first.getRepository(Region).insert([{ id: 1 }, { id: 2 }])
    await first.getRepository(Account).insert(ids.map((id) => ({ id })))
    await first.getRepository(Shop).insert([
      { id: 1, land: 'de' },
      { id: 2, land: 'fr' },
    ])
    await first.getRepository(Note).insert({ id: 1 })
  })
  afterEach(async () => {
    for (const dataSource of sources.splice(0)) await dataSource.destroy()
    await databases.drop()
  })

  it('that are added join empty, in any order, with any weights and names', { timeout: 60_000 }, async () => {
    const [first] = sources
    const before = first ? placesOf(first) : {}
    for (const nodes of [
      nodesOf('abc'),
      nodesOf('cba'),
      nodesOf('bca', { a: { weight: 0 }, b: { weight: 5 }, c: { weight: 9 } }),
    ]) {
      const dataSource = await start({ nodes, synchronize: true })
      expect(placesOf(dataSource)).toEqual(before)
      expect(dataSource.shardMap.home).toBe('a')
      await holdsAll(dataSource)
      expect((await dataSource.topology.report({ exact: true })).nodes.find(({ name }) => name === 'c')).toMatchObject({
        shards: 0,
        rows: 0,
      })
    }
    const { a, b, c } = nodesOf('abc')
    const renamed = await start({ nodes: { first: a ?? {}, third: c ?? {}, second: b ?? {} } })
    expect(placesOf(renamed)).toEqual(
      Object.fromEntries(Object.entries(before).map(([shard, node]) => [shard, node === 'a' ? 'first' : 'second'])),
    )
    await holdsAll(renamed)
    await expect(start({ nodes: { a: b ?? {}, b: a ?? {} } })).rejects.toMatchObject({ code: 'TOPOLOGY_MISMATCH' })
    await expect(start({ nodes: { a: a ?? {}, b: c ?? {} } })).rejects.toMatchObject({ code: 'TOPOLOGY_MISMATCH' })
    await expect(start({ nodes: { a: a ?? {} } })).rejects.toMatchObject({ code: 'TOPOLOGY_MISMATCH' })
  })

  it('that are added take shards that are new', async () => {
    const shards = list({ shards: { de: ['de'], fr: ['fr'], it: ['it'], pl: ['pl'], es: ['es'] } })
    const dataSource = await start({
      nodes: nodesOf('abc', { c: { weight: 50 } }),
      groups: { shop: { shards } },
      synchronize: true,
    })
    await dataSource.getRepository(Shop).insert({ id: 3, land: 'it' })
    expect(dataSource.locate(Shop, 'it').node).toBe('c')
    expect(await dataSource.getRepository(Shop).countBy({ land: 'it' })).toBe(1)
  })

  it('follow what another process has stored: more lists, and where they are', { timeout: 60_000 }, async () => {
    const [running] = sources
    const shards = list({ shards: { de: ['de'], fr: ['fr'], it: ['it'], pl: ['pl'] } })
    const more = await start({ nodes: nodesOf('ab'), groups: { shop: { shards } } })
    // Their tables are not there yet: what runs is not to look for them.
    const { epoch } = more.shardMap
    await vi.waitFor(() => expect(running?.shardMap.epoch).toBe(epoch), 5_000)
    expect(await running?.getRepository(Shop).count()).toBe(2)
    await more.synchronize()
    await more.getRepository(Shop).insert({ id: 3, land: 'it' })
    await vi.waitFor(
      () => expect(running?.shards(Shop).map(({ label }) => label)).toEqual(['de', 'fr', 'it', 'pl']),
      5_000,
    )
    expect(await running?.getRepository(Shop).count()).toBe(3)
    await running?.getRepository(Shop).insert({ id: 4, land: 'pl' })
    expect(running?.locate(Shop, 'pl')).toEqual(more.locate(Shop, 'pl'))
    expect(await more.query('SELECT id FROM shop WHERE land = $1', ['pl'])).toEqual([{ id: 4 }])
    await running?.synchronize()
    expect(await running?.query('SELECT count(*)::int AS n FROM shop')).toEqual([{ n: 4 }])
    await expect(start({ nodes: nodesOf('ab') })).rejects.toMatchObject({ code: 'TOPOLOGY_MISMATCH' })
  })

  it('take shards by a plan, are emptied, and go', { timeout: 60_000 }, async () => {
    for (const source of sources.splice(0)) await source.destroy()
    const dataSource = await start({ nodes: nodesOf('abc', { c: { weight: 2 } }), synchronize: true })
    const { topology } = dataSource
    const plan = await topology.plan({ by: 'count', threshold: 0.25 })
    expect(new Set(plan.moves.map(({ to }) => to))).toEqual(new Set(['c']))
    const { moves } = await topology.execute(plan, { parallel: 2, finish: true })
    expect(moves.map(({ shard, to, state }) => [shard, to, state]).sort()).toEqual(
      plan.moves.map(({ shard, to }) => [shard, to, 'done']).sort(),
    )
    for (const { shard, to } of plan.moves) expect(dataSource.shardMap.shards.get(shard)?.node).toBe(to)
    await holdsAll(dataSource)
    expect((await topology.execute(plan)).skipped).toEqual(plan.moves.map(({ shard }) => shard))

    const [one] = plan.moves
    const left = `it has the shards ${Object.entries(placesOf(dataSource))
      .flatMap(([shard, node]) => (node === 'c' ? [shard] : []))
      .join(', ')}`
    await expect(topology.remove('c')).rejects.toMatchObject({
      code: 'NODE_IN_USE',
      details: { node: 'c', left: [left] },
    })
    await expect(topology.remove('a')).rejects.toMatchObject({
      code: 'NODE_IN_USE',
      message: expect.stringContaining('home node'),
    })
    await expect(topology.remove('x')).rejects.toMatchObject({ code: 'OPTIONS_INVALID' })

    const drained = await topology.drain('c')
    expect(drained.moves).toHaveLength(plan.moves.length)
    await expect(topology.execute(plan)).rejects.toSatisfy(
      ({ code }) => code === 'PLAN_OUTDATED' || code === 'PLAN_INCOMPLETE',
    )
    await expect(topology.remove('c')).rejects.toMatchObject({
      code: 'NODE_IN_USE',
      message: expect.stringContaining(`of ${one?.shard}`),
    })
    for (const { id } of drained.moves) await topology.finishMove(id)
    const open = new Client({ connectionString: databases.nodes[2] })
    await open.connect()
    const undecided = `typeorm_sharded:1:${'0'.repeat(16)}:${'0'.repeat(32)}:${'0'.repeat(16)}`
    await open.query(`BEGIN; CREATE TABLE held (); PREPARE TRANSACTION '${undecided}'`)
    await expect(topology.remove('c')).rejects.toMatchObject({
      code: 'NODE_IN_USE',
      details: { left: [`prepared transactions wait for their end: ${undecided} on node c`] },
    })
    await open.query(`ROLLBACK PREPARED '${undecided}'`)
    await topology.remove('c')
    expect((await open.query('SELECT name FROM sharding.groups')).rows).toEqual([])
    await open.end()
    await holdsAll(dataSource)

    const { a, b } = nodesOf('ab')
    const without = await start({ nodes: { b: b ?? {}, a: a ?? {} } })
    expect(new Set(Object.values(placesOf(without)))).toEqual(new Set(['a', 'b']))
    await holdsAll(without)
    await without.getRepository(Region).insert({ id: 3 })
    const again = await start({ nodes: nodesOf('abc') })
    await holdsAll(again)
    expect(Object.values(placesOf(again))).not.toContain('c')
  })
})
