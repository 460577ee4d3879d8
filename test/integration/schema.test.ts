import 'reflect-metadata'
import { Client } from 'pg'
import {
  Check,
  Column,
  type DataSource,
  Entity,
  Index,
  ManyToOne,
  MoreThan,
  OneToMany,
  PrimaryColumn,
  QueryFailedError,
  type Relation,
} from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  hash,
  range,
  type Shard,
  Sharded,
  ShardedDataSource,
  type ShardedDataSourceOptions,
  ShardedError,
  ShardKey,
} from '../../src'
import type { SchemaPlace } from '../../src/typeorm/facade/shard-schemas'
import { createDatabases } from '../support/databases'

@Entity()
@Sharded(hash({ shards: 4 }))
class Hall {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Index('hall_kind') @Column({ type: 'enum', enum: ['small', 'large'], default: 'small' }) kind!: string
  @OneToMany(
    () => Seat,
    (seat) => seat.hall,
  )
  seats!: Relation<Seat>[]
}

@Entity()
@Sharded({ colocatedWith: () => Hall })
class Seat {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') hallId!: number
  @ManyToOne(
    () => Hall,
    (hall) => hall.seats,
  )
  hall!: Relation<Hall>
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Other {
  @ShardKey() @PrimaryColumn('int') id!: number
}

@Entity()
class Plain {
  @PrimaryColumn('int') id!: number
}

describe.each(['schema', 'table'] as const)('the schema of shards, layout %s', (layout) => {
  let databases: Awaited<ReturnType<typeof createDatabases>>
  const open: DataSource[] = []

  const dataSource = async (entities: NonNullable<ShardedDataSourceOptions['entities']>) => {
    const [a = '', b = ''] = databases.nodes
    const made = new ShardedDataSource({ type: 'postgres', entities, nodes: { a: { url: a }, b: { url: b } }, layout })
    open.push(await made.initialize())
    return made
  }

  /** Ordinary tables outside the catalogs, on both nodes, as `schema.table`; without those of the data source itself. */
  const tables = async (): Promise<string[]> => {
    const found: string[] = []
    for (const connectionString of databases.nodes) {
      const client = new Client({ connectionString })
      await client.connect()
      const { rows } = await client.query(
        `SELECT schemaname || '.' || tablename AS name FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
         AND schemaname <> 'sharding'`,
      )
      await client.end()
      found.push(...rows.map((row) => String(row.name)))
    }
    return found.sort()
  }

  const names = (group: string, table: string, labels: readonly string[]) =>
    labels.map((label) => (layout === 'schema' ? `${group}_${label}.${table}` : `public.${table}_${label}`))
  const labels = ['00', '01', '02', '03']
  const halls = [...names('hall', 'hall', labels), ...names('hall', 'seat', labels)]
  const others = names('other', 'other', ['00', '01'])

  beforeAll(async () => {
    databases = await createDatabases(2)
  })
  afterAll(async () => {
    for (const one of open) await one.destroy()
    await databases.drop()
  })

  it('is made on every shard, made again without a change, and dropped without touching the tables of others', async () => {
    const mine = await dataSource([Hall, Seat, Plain])
    const theirs = await dataSource([Other])
    await mine.synchronize()
    await theirs.synchronize()
    expect(await tables()).toEqual([...halls, ...others, 'public.plain'].sort())

    await mine.getRepository(Hall).save({ id: 1, kind: 'large' })
    await mine.synchronize()
    expect(await mine.getRepository(Hall).findOneBy({ id: 1 })).toMatchObject({ kind: 'large' })

    await mine.dropDatabase()
    expect(await tables()).toEqual([...others].sort())
    await mine.synchronize(true)
    expect(await mine.getRepository(Hall).count()).toBe(0)
  })

  it('is dropped and made for one shard alone', async () => {
    const mine = await dataSource([Hall, Seat, Plain])
    await mine.synchronize(true)
    const before = await tables()
    await mine.shard('hall_02').dropDatabase()
    const gone = [...names('hall', 'hall', ['02']), ...names('hall', 'seat', ['02'])]
    expect(await tables()).toEqual(before.filter((name) => !gone.includes(name)))
    await mine.shard('hall_02').synchronize()
    expect(await tables()).toEqual(before)
  })

  it('says which shard failed to be changed and which ones were, and goes on when the shard is mended', async () => {
    const things = (check?: string) => {
      @Entity('thing')
      @Sharded(range({ shards: { a: [null, 10], b: [10, 20], c: [20, 30], d: [30, null] } }), {
        group: 'thing',
      })
      class Thing {
        @ShardKey() @PrimaryColumn('int') id!: number
        @Column('int') n!: number
      }
      if (check !== undefined) Check('thing_check', check)(Thing)
      return Thing
    }
    const one = await dataSource([things(), Plain])
    await one.synchronize()
    await one.getRepository('Thing').insert([5, 15, 25, 35].map((id) => ({ id, n: id === 25 ? -1 : 1 })))
    const two = await dataSource([things('n > 0'), Plain])
    const [failing] = two.shards().filter(({ label }) => label === 'c')
    const error: unknown = await two.synchronize().catch((thrown: unknown) => thrown)
    if (!(error instanceof ShardedError)) throw error
    expect(error.code).toBe('SCHEMA_INCOMPLETE')
    expect(error.cause).toBeInstanceOf(QueryFailedError)
    expect(error.cause).toMatchObject({ code: '23514' })
    expect(error.message).toContain(`synchronize() failed on shard thing_c of node ${failing?.node}: check constraint`)
    expect(error.details).toMatchObject({ node: failing?.node, shard: 'thing_c' })
    // Those of the other node are all done; those of the same node, up to the one that failed.
    const order = two.shards()
    const isDone = ({ node, label }: Shard) => node !== failing?.node || label < 'c'
    const done = order.filter(isDone).map(({ node, name }) => ({ node, shard: name }))
    const { done: reported } = error.details as { done: readonly SchemaPlace[] }
    expect(new Set(reported)).toEqual(new Set([{ node: two.shardMap.home, shard: undefined }, ...done]))
    const checked = async () => {
      const found: string[] = []
      for (const { name } of order) {
        const failed = await two
          .shard(name)
          .getRepository('Thing')
          .update({ id: MoreThan(0) }, { n: -2 })
          .then(
            () => false,
            () => true,
          )
        if (failed) found.push(name)
      }
      return found
    }
    expect(await checked()).toEqual(done.map(({ shard }) => shard))
    await two.getRepository('Thing').update({ id: MoreThan(0) }, { n: 1 })
    await two.synchronize()
    expect(await checked()).toEqual(order.map(({ name }) => name))
    await two.dropDatabase()
  })

  it('throws the error itself where nothing is sharded', async () => {
    const wide = (n: boolean) => {
      class Wide {
        id!: number
      }
      PrimaryColumn('int')(Wide.prototype, 'id')
      if (n) Column('int')(Wide.prototype, 'n')
      Entity('wide')(Wide)
      return Wide
    }
    const one = await dataSource([wide(false)])
    await one.synchronize()
    await one.getRepository('Wide').insert({ id: 1 })
    await expect((await dataSource([wide(true)])).synchronize()).rejects.toBeInstanceOf(QueryFailedError)
    await one.dropDatabase()
  })

  it('orders by a to-many relation over shards, as of pairs', async () => {
    const mine = await dataSource([Hall, Seat, Plain])
    await mine.synchronize(true)
    await mine.getRepository(Hall).insert([1, 2, 3, 4].map((id) => ({ id })))
    const seats = [40, 10, 30, 20, 5].map((id, index) => ({ id, hallId: (index % 4) + 1 }))
    await mine.getRepository(Seat).insert(seats)
    const ordered = await mine.getRepository(Hall).find({ relations: { seats: true }, order: { seats: { id: 'ASC' } } })
    expect(ordered.map((hall) => [hall.id, hall.seats.map((seat) => seat.id)])).toEqual([
      [1, [5, 40]],
      [2, [10]],
      [4, [20]],
      [3, [30]],
    ])
  })
})

describe('nodes that sort text differently', () => {
  it('are not merged by text', async () => {
    const databases = await createDatabases(1)
    const [a = ''] = databases.nodes
    const name = `differs_${process.pid}`
    const admin = new Client({ connectionString: a })
    await admin.connect()
    await admin.query(`CREATE DATABASE ${name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de' LOCALE 'C'`)
    const b = new URL(a)
    b.pathname = name

    @Entity()
    @Sharded(hash({ shards: 4 }))
    class Name {
      @ShardKey() @PrimaryColumn('int') id!: number
      @Column() text!: string
    }
    const dataSource = new ShardedDataSource({
      type: 'postgres',
      entities: [Name],
      nodes: { a: { url: a }, b: { url: b.href } },
      synchronize: true,
    })
    await dataSource.initialize()
    try {
      const repository = dataSource.getRepository(Name)
      await repository.insert(Array.from({ length: 20 }, (_, id) => ({ id, text: `t${id}` })))
      await expect(repository.find({ order: { text: 'ASC' } })).rejects.toMatchObject({ code: 'COLLATION_DIFFERS' })
      expect(await repository.find({ order: { id: 'DESC' }, take: 2 })).toMatchObject([{ id: 19 }, { id: 18 }])
      // One text, planned for two shards of one node first: what then was known says nothing of the other node.
      const places = Array.from({ length: 20 }, (_, id) => ({ id, ...dataSource.locate(Name, id) }))
      const [first] = places.toSorted((x, y) => (x.shard < y.shard ? -1 : 1))
      const beside = places.find(({ shard, node }) => shard !== first?.shard && node === first?.node)
      const across = places.find(({ node }) => node !== first?.node)
      const byText = (ids: readonly unknown[]) =>
        repository.createQueryBuilder('n').where('n.id IN (:...ids)', { ids }).orderBy('n.text').getMany()
      expect(await byText([first?.id, beside?.id])).toHaveLength(2)
      await expect(byText([first?.id, across?.id])).rejects.toMatchObject({ code: 'COLLATION_DIFFERS' })
    } finally {
      await dataSource.destroy()
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`)
      await admin.end()
      await databases.drop()
    }
  })
})
