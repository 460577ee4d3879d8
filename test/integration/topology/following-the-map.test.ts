import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { Column, Entity, ManyToOne, OneToMany, PrimaryColumn, type Relation } from 'typeorm'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardedId, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 4 }))
class Courier {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') name!: string
  @OneToMany(
    () => Parcel,
    (parcel) => parcel.courier,
    { cascade: true },
  )
  parcels!: Relation<Parcel>[]
}

@Entity()
@Sharded({ colocatedWith: () => Courier })
class Parcel {
  @PrimaryColumn('bigint') @ShardedId() id!: string
  @ShardKey() @Column('int') courierId!: number
  @ManyToOne(
    () => Courier,
    (courier) => courier.parcels,
  )
  courier!: Relation<Courier>
}

@Entity()
class Note {
  @PrimaryColumn('int') id!: number
}

/** The shard that moves, and the numbers of couriers on it. */
const shard = 'courier_01'

describe.each(['schema', 'table'] as const)('a process whose shard has moved, in the layout %s', (layout) => {
  let databases: FreshDatabases
  let one: ShardedDataSource
  let other: ShardedDataSource
  let clients: readonly [Client, Client]
  const sources: ShardedDataSource[] = []

  const start = async (synchronize = false): Promise<ShardedDataSource> => {
    const [a = '', b = ''] = databases.nodes
    const dataSource = await new ShardedDataSource({
      type: 'postgres',
      entities: [Courier, Parcel, Note],
      nodes: { a: { url: a }, b: { url: b } },
      layout,
      synchronize,
    }).initialize()
    sources.push(dataSource)
    return dataSource
  }

  beforeEach(async () => {
    databases = await createDatabases(2)
    one = await start(true)
    other = await start()
    const connect = async (index: number) => {
      const client = new Client({ connectionString: databases.nodes[index] })
      await client.connect()
      return client
    }
    clients = [await connect(0), await connect(1)]
    await one.getRepository(Courier).insert(Array.from({ length: 40 }, (_, id) => ({ id, name: `c${id}` })))
    await one.getRepository(Parcel).insert(Array.from({ length: 40 }, (_, courierId) => ({ courierId })))
  })
  afterEach(async () => {
    await Promise.all(clients.map((client) => client.end()))
    for (const dataSource of sources.splice(0)) await dataSource.destroy()
    await databases.drop()
  })

  const on = (): number[] =>
    Array.from({ length: 40 }, (_, id) => id).filter((id) => one.locate(Courier, id).shard === shard)

  /** Moves the shard by hand. */
  const move = async (): Promise<void> => {
    const from = one.shardMap.shards.get(shard)?.node === 'a' ? 0 : 1
    const [source, target] = from === 0 ? clients : [clients[1], clients[0]]
    const names = layout === 'schema' ? ['courier', 'parcel'] : ['courier_01', 'parcel_01']
    const schema = layout === 'schema' ? shard : 'public'
    if (layout === 'schema') await target.query(`CREATE SCHEMA ${schema}`)
    for (const [index, name] of names.entries()) {
      const { rows } = await source.query(`SELECT * FROM ${schema}.${name}`)
      const columns =
        index === 0 ? '"id" int PRIMARY KEY, "name" text NOT NULL' : '"id" bigint PRIMARY KEY, "courierId" int NOT NULL'
      await target.query(`CREATE TABLE ${schema}.${name} (${columns})`)
      for (const row of rows) await target.query(`INSERT INTO ${schema}.${name} VALUES ($1, $2)`, Object.values(row))
    }
    if (layout === 'schema') await source.query(`ALTER SCHEMA ${schema} RENAME TO ${schema}__moved`)
    else for (const name of names) await source.query(`ALTER TABLE ${name} RENAME TO ${name}__moved`)
    const { rows } = await target.query('SELECT id FROM sharding.nodes')
    for (const client of clients)
      await client.query(
        `UPDATE sharding.groups SET epoch = epoch + 1, fingerprint = jsonb_set(fingerprint, '{shards,1,1}',
           to_jsonb((SELECT place - 1 FROM jsonb_array_elements(fingerprint -> 'nodes') WITH ORDINALITY AS n(node, place) WHERE node ->> 0 = $1)))
         WHERE name = 'courier'`,
        [rows[0].id],
      )
    await clients[0].query(`INSERT INTO sharding.epochs (author, reason) VALUES ('test', 'moved by hand')`)
  }

  it('finds, writes and deletes its rows at once', async () => {
    const [id = -1, another = -1, third = -1] = on()
    const before = one.shardMap.shards.get(shard)?.node
    const loaded = await other.getRepository(Courier).findOneByOrFail({ id: third })
    const kept = other.getRepository(Courier).onShard(shard)
    await move()
    expect(await one.getRepository(Courier).findOneBy({ id })).toEqual({ id, name: `c${id}` })
    expect(one.shardMap.shards.get(shard)?.node).not.toBe(before)
    expect(await other.getRepository(Courier).update({ id: another }, { name: 'new' })).toMatchObject({ affected: 1 })
    loaded.name = 'saved'
    await other.manager.save(loaded)
    expect(await kept.countBy({})).toBe(on().length)
    await other.manager.remove(loaded)
    expect(await one.getRepository(Courier).countBy({})).toBe(39)
    expect(await one.query('SELECT name FROM courier WHERE id = $1', [another])).toEqual([{ name: 'new' }])
    expect((await one.verifyPlacement()).map(({ misplaced }) => misplaced)).toEqual([0, 0])
  })

  it('saves what cascades, once', async () => {
    const id = Array.from({ length: 40 }, (_, n) => 40 + n).find((n) => one.locate(Courier, n).shard === shard) ?? -1
    await move()
    const courier = other.getRepository(Courier).create({ id, name: 'new', parcels: [{}, {}] })
    await other.manager.save(courier)
    expect(await one.getRepository(Parcel).countBy({ courierId: id })).toBe(2)
    const [{ count }] = await one.query('SELECT count(*)::int AS count FROM parcel')
    expect(count).toBe(42)
  })

  it('is told in a transaction, which can be run again', async () => {
    const [id = -1] = on()
    const elsewhere = Array.from({ length: 40 }, (_, n) => n).find((n) => one.locate(Courier, n).shard !== shard) ?? -1
    const work = () =>
      other.transaction(async (manager) => {
        await manager.update(Courier, { id: elsewhere }, { name: 'first' })
        await manager.update(Courier, { id }, { name: 'second' })
      })
    await move()
    await expect(work()).rejects.toMatchObject({ code: 'SHARD_MOVED', labels: expect.arrayContaining(['retryable']) })
    expect(await one.getRepository(Courier).findOneByOrFail({ id: elsewhere })).toEqual({
      id: elsewhere,
      name: `c${elsewhere}`,
    })
    await work()
    expect(await one.getRepository(Courier).findOneByOrFail({ id })).toEqual({ id, name: 'second' })
  })

  it('hears of it without an error', async () => {
    const before = other.shardMap.epoch
    await move()
    for (let tries = 0; other.shardMap.epoch === before && tries < 100; tries++) await sleep(50)
    expect(other.shardMap.epoch).toBe(before + 1)
  })

  it('starts with the new place, and tables that are missing are an error as before', async () => {
    await move()
    const later = await start()
    expect(await later.getRepository(Courier).countBy({})).toBe(40)
    await expect(later.query('SELECT * FROM nowhere JOIN courier ON true')).rejects.toMatchObject({ code: '42P01' })
  })
})
