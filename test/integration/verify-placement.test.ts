import 'reflect-metadata'
import { Client } from 'pg'
import { ChildEntity, Column, DeleteDateColumn, Entity, PrimaryColumn, TableInheritance } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, list, type PlacementProgress, Sharded, ShardedDataSource, ShardedId, ShardKey } from '../../src'
import { createDatabases } from '../support/databases'

@Entity()
@Sharded(hash({ shards: 8 }))
class Order {
  @PrimaryColumn('bigint') @ShardedId() id!: string
  @ShardKey() @Column('int') owner!: number
  @DeleteDateColumn() gone!: Date | null
}

@Entity()
@Sharded(list({ shards: { eu: ['de'], asia: ['cn'] } }), { layout: 'table' })
class Place {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('text', { nullable: true }) land!: string | null
}

@Entity()
@Sharded(hash({ shards: 4 }))
@TableInheritance({ column: { type: 'varchar', name: 'kind' } })
class Event {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('timestamp') at!: Date
}

@ChildEntity()
class Party extends Event {
  @Column('int', { nullable: true }) guests!: number | null
}

@Entity()
class Plain {
  @PrimaryColumn('int') id!: number
}

describe('verifyPlacement', () => {
  let databases: Awaited<ReturnType<typeof createDatabases>>
  let dataSource: ShardedDataSource
  const clients: Client[] = []

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    dataSource = new ShardedDataSource({
      type: 'postgres',
      entities: [Order, Place, Event, Party, Plain],
      nodes: { a: { url: a }, b: { url: b } },
      synchronize: true,
    })
    await dataSource.initialize()
    for (const connectionString of databases.nodes) {
      const client = new Client({ connectionString })
      await client.connect()
      clients.push(client)
    }
  })
  afterAll(async () => {
    for (const client of clients) await client.end()
    await dataSource.destroy()
    await databases.drop()
  })
  beforeEach(async () => {
    for (const entity of [Order, Place, Event]) await dataSource.createQueryBuilder().delete().from(entity).execute()
  })

  /** Writes past the data source, on the node of a shard. */
  const past = (shard: string, text: string) =>
    clients[dataSource.shardMap.shards.get(shard)?.node === 'a' ? 0 : 1]?.query(text)

  it('finds nothing where all rows were written through the data source', async () => {
    const orders = Array.from({ length: 300 }, (_, owner) => ({ owner }))
    await dataSource.getRepository(Order).save(orders)
    await dataSource.getRepository(Order).softDelete({ owner: 7 })
    await dataSource.getRepository(Place).insert([
      { id: 1, land: 'de' },
      { id: 2, land: 'cn' },
    ])
    await dataSource.getRepository(Party).insert({ id: 1, at: new Date(), guests: 3 })
    expect(await dataSource.verifyPlacement()).toEqual([
      { entity: 'Order', rows: 300, misplaced: 0, listed: [] },
      { entity: 'Place', rows: 2, misplaced: 0, listed: [] },
      { entity: 'Event', rows: 1, misplaced: 0, listed: [] },
    ])
  })

  it('finds each kind of fault', async () => {
    await dataSource.getRepository(Order).save([{ owner: 1 }, { owner: 2 }])
    const [one] = await dataSource.getRepository(Order).findBy({ owner: 1 })
    const home = dataSource.locate(Order, 1).shard
    const other = dataSource.shards(Order).find(({ name }) => name !== home)?.name ?? ''
    await past(other, `INSERT INTO "${other}"."order" (id, owner, gone) VALUES (5, 1, now())`)
    await past(home, `UPDATE "${home}"."order" SET id = ${BigInt(one?.id ?? 0) ^ 1n} WHERE owner = 1`)
    const placed = 'public.place_asia'
    await past('place_asia', `INSERT INTO ${placed} (id, land) VALUES (1, 'de'), (2, 'us'), (3, NULL), (4, 'cn')`)
    const event = dataSource.shards(Event)[0]?.name ?? ''
    await past(event, `INSERT INTO "${event}".event (id, at, kind) VALUES (1, '0044-03-15 BC', 'Event')`)

    const [orders, places, events] = await dataSource.verifyPlacement()
    expect(orders).toMatchObject({ rows: 3 })
    expect(orders?.listed).toContainEqual({
      fault: 'other-shard',
      owner: home,
      shard: other,
      primaryKey: ['5'],
      shardKey: ['1'],
    })
    expect(orders?.listed.filter(({ shard }) => shard === home)).toMatchObject([
      { fault: 'id-of-another-slot', owner: home, shardKey: ['1'] },
    ])
    expect(places?.listed.toSorted((x, y) => (String(x.primaryKey) < String(y.primaryKey) ? -1 : 1))).toEqual([
      { fault: 'other-shard', owner: 'place_eu', shard: 'place_asia', primaryKey: ['1'], shardKey: ['de'] },
      { fault: 'not-owned', shard: 'place_asia', primaryKey: ['2'], shardKey: ['us'] },
      { fault: 'key-missing', shard: 'place_asia', primaryKey: ['3'], shardKey: [null] },
    ])
    expect(events?.listed).toMatchObject([{ fault: 'key-unreadable', shard: event, primaryKey: ['1'] }])
  })

  it('counts all and lists the first thousand, batch by batch', async () => {
    await past('place_asia', `INSERT INTO public.place_asia SELECT n, 'us' FROM generate_series(1, 2500) n`)
    const heard: PlacementProgress[] = []
    const [report] = await dataSource.verifyPlacement(Place, { onProgress: (progress) => heard.push(progress) })
    expect(report).toMatchObject({ rows: 2500, misplaced: 2500 })
    expect(report?.listed).toHaveLength(1000)
    expect(heard.filter(({ shard }) => shard === 'place_asia').map(({ rows }) => rows)).toEqual([
      1000, 2000, 2500, 2500,
    ])
    expect(heard.at(-1)).toMatchObject({ entity: 'Place', shardsDone: 2, shards: 2 })
  })

  it('ends by its signal, and leaves no connection behind', async () => {
    await past('place_asia', `INSERT INTO public.place_asia SELECT n, 'us' FROM generate_series(1, 5000) n`)
    const abort = new AbortController()
    const reason = new Error('enough')
    await expect(
      dataSource.verifyPlacement(Place, { signal: abort.signal, onProgress: () => abort.abort(reason) }),
    ).rejects.toBe(reason)
    for (const client of clients) {
      const { rows } = await client.query(
        `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'`,
      )
      expect(rows).toEqual([{ n: 0 }])
    }
    expect(await dataSource.verifyPlacement(Place)).toMatchObject([{ rows: 5000 }])
  })

  it('is ended by a listener that throws, and by a shard that fails', async () => {
    await expect(
      dataSource.verifyPlacement(Place, {
        onProgress: () => {
          throw new Error('no more')
        },
      }),
    ).rejects.toThrow('no more')
    await past('place_eu', 'ALTER TABLE public.place_eu RENAME TO elsewhere')
    await expect(dataSource.verifyPlacement(Place)).rejects.toMatchObject({ code: '42P01' })
    await past('place_eu', 'ALTER TABLE public.elsewhere RENAME TO place_eu')
    await expect(dataSource.verifyPlacement(Plain)).rejects.toMatchObject({ code: 'NOT_SHARDED' })
  })
})
