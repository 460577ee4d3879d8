import { setTimeout as sleep } from 'node:timers/promises'
import {
  Column,
  Entity,
  Index,
  JoinTable,
  ManyToMany,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  type Relation,
  Unique,
  VersionColumn,
} from 'typeorm'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  hash,
  ReferenceTable,
  Sharded,
  ShardedDataSource,
  type ShardedDataSourceOptions,
  ShardedId,
  ShardKey,
} from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'
import { repeat } from '../../support/repeat'

@Entity()
@ReferenceTable()
class Depot {
  @PrimaryColumn('int') id!: number
}

@Entity()
@Sharded(hash({ shards: 3 }))
class Driver {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('enum', { enum: ['new', 'busy'], default: 'new' }) state!: string
  @Index() @Column('text', { nullable: true }) plate!: string | null
  @Column('int', { default: 0 }) trips!: number
  @Column('timestamptz', { default: () => 'now()' }) since!: Date
  @VersionColumn() version!: number
  @ManyToOne(() => Depot, { nullable: true }) depot!: Relation<Depot> | null
  @OneToMany(
    () => Trip,
    (trip) => trip.driver,
    { cascade: true },
  )
  driven!: Relation<Trip>[]
}

@Entity()
@Sharded({ colocatedWith: () => Driver })
@Unique(['driverId', 'n'])
class Trip {
  @PrimaryColumn('bigint') @ShardedId() id!: string
  @ShardKey() @Column('int') driverId!: number
  @Column('int') n!: number
  @ManyToOne(
    () => Driver,
    (driver) => driver.driven,
  )
  driver!: Relation<Driver>
  @ManyToMany(() => Stop, { cascade: true })
  @JoinTable()
  stops!: Relation<Stop>[]
}

@Entity()
@Sharded({ colocatedWith: () => Driver })
class Stop {
  @PrimaryColumn('bigint') @ShardedId() id!: string
  @ShardKey() @Column('int') driverId!: number
  @Column('text') name!: string
  // As short as the name of a row in a query may be.
  @Column('int', { default: 1 }) t!: number
}

const drivers = Array.from({ length: 60 }, (_, id) => id)
const shard = 'driver_01'

describe.each(['schema', 'table'] as const)('shards that are split, in the layout %s', (layout) => {
  // How names are made is all that the layouts do not share.
  const once = it.skipIf(layout === 'table')
  let databases: FreshDatabases
  const sources: ShardedDataSource[] = []

  const start = async (options: Partial<ShardedDataSourceOptions> = {}): Promise<ShardedDataSource> => {
    const [a = '', b = ''] = databases.nodes
    const dataSource = await new ShardedDataSource({
      type: 'postgres',
      entities: [Depot, Driver, Trip, Stop],
      nodes: { a: { url: a }, b: { url: b } },
      layout,
      ...options,
    }).initialize()
    sources.push(dataSource)
    return dataSource
  }
  let one: ShardedDataSource
  let other: ShardedDataSource

  beforeEach(async () => {
    databases = await createDatabases(2)
    one = await start({ synchronize: true })
    await one.getRepository(Depot).insert([{ id: 1 }, { id: 2 }])
    await one.getRepository(Driver).insert(drivers.map((id) => ({ id, plate: `p${id}`, depot: { id: 1 + (id % 2) } })))
    for (const id of drivers.slice(0, 20)) {
      const stops = ['home', 'work'].map((name) => ({ driverId: id, name: `${name} of ${id}` }))
      await one.getRepository(Trip).save({ driverId: id, n: 1, stops })
    }
    other = await start()
  })
  afterEach(async () => {
    for (const dataSource of sources.splice(0)) await dataSource.destroy()
    await databases.drop()
  })

  const ownedBy = (name: string): readonly number[] => drivers.filter((id) => one.locate(Driver, id).shard === name)
  const shardsOf = (dataSource: ShardedDataSource) => dataSource.shards(Driver).map(({ name }) => name)
  /** Each row is where its key says, and all are there. */
  const check = async (dataSource: ShardedDataSource) => {
    expect((await dataSource.verifyPlacement()).filter(({ misplaced }) => misplaced > 0)).toEqual([])
    expect(await dataSource.getRepository(Driver).count()).toBe(drivers.length)
    const trips = await dataSource.getRepository(Trip).find({ relations: { stops: true }, where: { n: 1 } })
    expect(trips.map(({ driverId, stops }) => [driverId, stops.length]).sort(([x = 0], [y = 0]) => x - y)).toEqual(
      drivers.slice(0, 20).map((id) => [id, 2]),
    )
  }

  it('are read and written all the time by two processes, and lose nothing', { timeout: 60_000 }, async () => {
    const own = ownedBy(shard)
    const pick = (n: number): number => own[n % own.length] ?? -1
    const writers = [
      repeat((n) => one.manager.increment(Driver, { id: pick(n) }, 'trips', 1)),
      repeat((n) => other.getRepository(Trip).insert({ driverId: pick(n), n: n + 2 })),
      repeat((n) => other.query('UPDATE driver SET trips = trips + 1 WHERE id = $1', [pick(n)])),
      repeat(async (n) => {
        await one.getRepository(Driver).save({ id: 1_000 + n, plate: null })
        await other.getRepository(Driver).delete({ id: 1_000 + n })
      }),
    ]
    const readers = [
      repeat(async (n) => expect(await other.getRepository(Driver).findOneBy({ id: pick(n) })).not.toBeNull()),
      repeat(async (n) => expect(await other.getRepository(Driver).findOneBy({ plate: `p${pick(n)}` })).not.toBeNull()),
      repeat(async () =>
        expect(await one.query(`SELECT count(*)::int AS n FROM driver JOIN depot ON depot.id = "depotId"`)).toEqual([
          { n: drivers.length },
        ]),
      ),
    ]
    await sleep(200)
    const split = await one.topology.splitShard(shard, { to: ['a', 'b'] })
    expect(split).toMatchObject({ kind: 'split', shard, into: ['driver_03', 'driver_04'], state: 'switched' })
    const merged = await other.topology.mergeShards(['driver_00', 'driver_03'], { to: 'b' })
    expect(merged).toMatchObject({ kind: 'merge', into: ['driver_05'], state: 'switched' })
    await sleep(300)
    const [increments = 0, inserts = 0, updates = 0] = await Promise.all(writers.map((writer) => writer.end()))
    await Promise.all(readers.map((reader) => reader.end()))
    for (const dataSource of [one, other]) expect(shardsOf(dataSource)).toEqual(['driver_05', 'driver_04', 'driver_02'])
    const [{ trips }] = await other.query('SELECT sum(trips)::int AS trips FROM driver')
    expect(trips).toBe(increments + updates)
    expect(await one.getRepository(Trip).count()).toBe(20 + inserts)
    await check(one)
    for (const { id } of [split, merged]) expect(await one.topology.finishMove(id)).toMatchObject({ state: 'done' })
    // What is there is what schema work would make.
    const later = await start({ synchronize: true })
    await check(later)
    expect(
      await later.driver
        .createSchemaBuilder()
        .log()
        .then(({ upQueries }) => upQueries),
    ).toEqual([])
  })

  once('give a key a shard of its own, and take it back', { timeout: 60_000 }, async () => {
    const [id = -1, neighbour = -1] = ownedBy(shard)
    const driver = await other.getRepository(Driver).findOneByOrFail({ id })
    const beside = await other.getRepository(Driver).findOneByOrFail({ id: neighbour })
    const { into, id: move } = await one.topology.isolateKey(Driver, id, { to: 'b' })
    expect(into).toEqual(['driver_03', 'driver_04'])
    for (const loaded of [driver, beside]) {
      loaded.state = 'busy'
      await other.manager.save(loaded)
      await other.getRepository(Trip).save({ driver: loaded, n: 7 })
    }
    expect(one.locate(Driver, id)).toMatchObject({ shard: 'driver_04', node: 'b' })
    expect(one.locate(Driver, neighbour)).toMatchObject({ shard: 'driver_03' })
    expect(await one.getRepository(Driver).countBy({ state: 'busy' })).toBe(2)
    const [trip] = await one.getRepository(Trip).findBy({ driverId: id, n: 7 })
    expect(await other.getRepository(Trip).findOneBy({ id: trip?.id ?? '' })).toEqual(trip)
    expect(await one.query('SELECT count(*)::int AS n FROM driver_04.driver').catch(() => [{ n: 1 }])).toEqual([
      { n: 1 },
    ])
    await one.topology.finishMove(move)
    await check(await start())
    await expect(one.topology.isolateKey(Driver, id)).rejects.toMatchObject({ code: 'OPTIONS_INVALID' })
    const merged = await other.topology.mergeShards(into)
    expect(merged.into).toEqual(['driver_05'])
    await other.topology.finishMove(merged.id)
    expect(other.shardMap.assigned.get('driver')?.keys).toEqual([])
    await check(await start())
  })

  once('are declared as they began, or as they are', { timeout: 60_000 }, async () => {
    await one.topology.splitShard(shard, { parts: 2 })
    const groups = (shards: number) => ({ groups: { driver: { shards: hash({ shards }) } } })
    await check(await start(groups(3)))
    await check(await start(groups(4)))
    await expect(start(groups(6))).rejects.toMatchObject({ code: 'TOPOLOGY_MISMATCH' })
  })

  once('refuse what cannot be, and take back what is cancelled', { timeout: 60_000 }, async () => {
    const refused = { code: 'OPTIONS_INVALID' }
    await expect(one.topology.splitShard('driver_09')).rejects.toMatchObject({ code: 'SHARD_UNKNOWN' })
    await expect(one.topology.splitShard(shard, { to: ['a', 'c'] })).rejects.toMatchObject(refused)
    await expect(one.topology.splitShard(shard, { parts: 1 })).rejects.toMatchObject(refused)
    await expect(one.topology.mergeShards([shard])).rejects.toMatchObject(refused)
    await expect(one.topology.mergeShards([shard, shard])).rejects.toMatchObject(refused)
    const abort = new AbortController()
    one.onControlPoint((point) => {
      if (point === 'resharding:after-copy') abort.abort(new Error('enough'))
    })
    await expect(one.topology.splitShard(shard, { signal: abort.signal })).rejects.toThrow('enough')
    await expect(other.topology.splitShard('driver_00')).rejects.toMatchObject({ code: 'SHARD_MOVE_REFUSED' })
    await expect(other.topology.moveShard(shard, 'b')).rejects.toMatchObject({ code: 'SHARD_MOVE_REFUSED' })
    const [move] = await other.topology.moves()
    expect(await other.topology.cancelMove(move?.id ?? '')).toMatchObject({ state: 'cancelled', kind: 'split' })
    expect((await other.topology.splitShard(shard)).state).toBe('switched')
    await check(other)
  })
})
