import { setTimeout as sleep } from 'node:timers/promises'
import { Column, Entity, ManyToOne, OneToMany, PrimaryColumn, type Relation, VersionColumn } from 'typeorm'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  GlobalUnique,
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
@Sharded(hash({ shards: 4 }))
class Driver {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('enum', { enum: ['new', 'busy'], default: 'new' }) state!: string
  @Column('text', { nullable: true }) plate!: string | null
  @Column('int', { default: 0 }) trips!: number
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
class Trip {
  @PrimaryColumn('bigint') @ShardedId() id!: string
  @ShardKey() @Column('int') driverId!: number
  @Column('int') n!: number
  @ManyToOne(
    () => Driver,
    (driver) => driver.driven,
  )
  driver!: Relation<Driver>
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Permit {
  @ShardKey() @PrimaryColumn('int') id!: number
  @GlobalUnique() @Column('text') code!: string
}

const drivers = Array.from({ length: 24 }, (_, id) => id)
const shard = 'driver_01'

describe.each(['schema', 'table'] as const)('a shard that moves, in the layout %s', (layout) => {
  let databases: FreshDatabases
  const sources: ShardedDataSource[] = []

  const start = async (options: Partial<ShardedDataSourceOptions> = {}): Promise<ShardedDataSource> => {
    const [a = '', b = ''] = databases.nodes
    const dataSource = await new ShardedDataSource({
      type: 'postgres',
      entities: [Depot, Driver, Trip, Permit],
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
    other = await start()
  })
  afterEach(async () => {
    for (const dataSource of sources.splice(0)) await dataSource.destroy()
    await databases.drop()
  })

  const placeOf = (dataSource: ShardedDataSource): string | undefined => dataSource.shardMap.shards.get(shard)?.node
  const elsewhere = (): string => (placeOf(one) === 'a' ? 'b' : 'a')
  const ofShard = (): readonly number[] => drivers.filter((id) => one.locate(Driver, id).shard === shard)

  it('is read and written all the time by two processes, and loses nothing', { timeout: 60_000 }, async () => {
    const to = elsewhere()
    const own = ofShard()
    const pick = (n: number): number => own[n % own.length] ?? -1
    const writers = [
      repeat((n) => one.manager.increment(Driver, { id: pick(n) }, 'trips', 1)),
      repeat((n) => other.getRepository(Trip).insert({ driverId: pick(n), n })),
      repeat((n) => other.query('UPDATE driver SET trips = trips + 1 WHERE id = $1', [pick(n)])),
      repeat(() => one.getRepository(Driver).update({ state: 'new' }, { state: 'new' })),
    ]
    const readers = [
      repeat(async (n) => expect(await other.getRepository(Driver).findOneBy({ id: pick(n) })).not.toBeNull()),
      repeat(async () => expect(await one.getRepository(Driver).count()).toBe(drivers.length)),
      repeat(async (n) => expect(await other.getRepository(Driver).findOneBy({ plate: `p${pick(n)}` })).not.toBeNull()),
      repeat(async () =>
        expect(await other.query('SELECT count(*)::int AS n FROM driver JOIN depot ON depot.id = "depotId"')).toEqual([
          { n: drivers.length },
        ]),
      ),
    ]
    await sleep(300)
    const move = await one.topology.moveShard(shard, to)
    expect(move).toMatchObject({ shard, to, state: 'switched', error: undefined })
    await sleep(300)
    const [increments = 0, inserts = 0, updates = 0] = await Promise.all(writers.map((writer) => writer.end()))
    await Promise.all(readers.map((reader) => reader.end()))
    expect(placeOf(one)).toBe(to)
    expect(placeOf(other)).toBe(to)
    const [{ trips }] = await other.query('SELECT sum(trips)::int AS trips FROM driver')
    expect(trips).toBe(increments + updates)
    expect(await one.getRepository(Trip).count()).toBe(inserts)
    expect((await one.verifyPlacement()).filter(({ misplaced }) => misplaced > 0)).toEqual([])
    expect(await one.topology.moves()).toMatchObject([{ state: 'switched', wayBack: { isLost: false } }])
    // What is there is what schema work would make, while the former place follows.
    const later = await start({ synchronize: true })
    expect(await later.getRepository(Driver).count()).toBe(drivers.length)
    expect((await later.driver.createSchemaBuilder().log()).upQueries).toEqual([])
    expect(await one.topology.finishMove(move.id)).toMatchObject({ state: 'done', wayBack: undefined })
    expect(await one.topology.moves()).toMatchObject([{ id: move.id, state: 'done' }])
  })

  it('comes back, and goes again', { timeout: 40_000 }, async () => {
    const [home, away] = [placeOf(one) ?? '', elsewhere()]
    for (const to of [away, home, away]) {
      const { id } = await other.topology.moveShard(shard, to)
      await other.topology.finishMove(id)
    }
    expect(await one.getRepository(Driver).countBy({})).toBe(drivers.length)
    expect(placeOf(other)).toBe(away)
  })

  it('goes back with what was written meanwhile, and is written all the time', { timeout: 40_000 }, async () => {
    const [home, own] = [placeOf(one), ofShard()]
    const pick = (n: number): number => own[n % own.length] ?? -1
    const writers = [
      repeat((n) => one.manager.increment(Driver, { id: pick(n) }, 'trips', 1)),
      repeat((n) => other.query('UPDATE driver SET trips = trips + 1 WHERE id = $1', [pick(n)])),
    ]
    const reader = repeat(async () => expect(await other.getRepository(Driver).count()).toBe(drivers.length))
    const { id } = await one.topology.moveShard(shard, elsewhere())
    await sleep(200)
    expect(await other.topology.revertMove(id)).toMatchObject({ state: 'reverted' })
    await sleep(200)
    const counts = await Promise.all(writers.map((writer) => writer.end()))
    await reader.end()
    expect([placeOf(one), placeOf(other)]).toEqual([home, home])
    const [{ trips }] = await other.query('SELECT sum(trips)::int AS trips FROM driver')
    expect(trips).toBe(counts.reduce((sum, count) => sum + count, 0))
    expect((await one.verifyPlacement()).filter(({ misplaced }) => misplaced > 0)).toEqual([])
  })

  it('is saved where it is by then, with what was loaded before', { timeout: 40_000 }, async () => {
    const [id = -1] = ofShard()
    const driver = await other.getRepository(Driver).findOneByOrFail({ id })
    const { id: move } = await one.topology.moveShard(shard, elsewhere())
    driver.state = 'busy'
    driver.driven = [other.getRepository(Trip).create({ n: 1 })]
    await other.manager.save(driver)
    await one.topology.finishMove(move)
    expect(await one.getRepository(Driver).findOne({ where: { id }, relations: { driven: true } })).toMatchObject({
      state: 'busy',
      version: 2,
      driven: [{ n: 1 }],
    })
  })

  it('refuses what cannot be, and takes back what is cancelled', { timeout: 40_000 }, async () => {
    await expect(one.topology.moveShard('driver_09', 'b')).rejects.toMatchObject({ code: 'SHARD_UNKNOWN' })
    await expect(one.topology.moveShard(shard, 'c')).rejects.toMatchObject({ code: 'OPTIONS_INVALID' })
    await expect(one.topology.moveShard(shard, placeOf(one) ?? '')).rejects.toMatchObject({
      code: 'SHARD_MOVE_REFUSED',
    })
    const permits = one.shardMap.shards.get('permit_00')?.node === 'a' ? 'b' : 'a'
    await expect(one.topology.moveShard('permit_00', permits)).rejects.toMatchObject({ code: 'SHARD_MOVE_REFUSED' })
    const pinned = await start({ groups: { driver: { placement: { [shard]: placeOf(one) ?? '' } } } })
    await expect(pinned.topology.moveShard(shard, elsewhere())).rejects.toMatchObject({ code: 'SHARD_MOVE_REFUSED' })
    const abort = new AbortController()
    one.onControlPoint((point) => {
      if (point === 'shard-move:after-await-copy') abort.abort(new Error('enough'))
    })
    await expect(one.topology.moveShard(shard, elsewhere(), { signal: abort.signal })).rejects.toThrow('enough')
    const [move] = await other.topology.moves()
    expect(await other.topology.cancelMove(move?.id ?? '')).toMatchObject({ state: 'cancelled' })
    const again = await one.topology.moveShard(shard, elsewhere())
    expect(again.state).toBe('switched')
    await one.topology.finishMove(again.id)
    expect(await other.getRepository(Driver).count()).toBe(drivers.length)
  })
})
