import {
  Column,
  DataSource,
  Entity,
  type EntitySubscriberInterface,
  EventSubscriber,
  type FindManyOptions,
  JoinColumn,
  LessThan,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
} from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hash, range, Sharded, ShardedDataSource, ShardKey, type StatementEvent, time } from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

/** Sixty monthly shards. */
@Entity()
@Sharded(time({ every: 'month', from: '2020-01', to: '2025-01', zone: 'Europe/Berlin' }))
class Reading {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('timestamptz') at!: Date
  @Column('int') value!: number
}

@Entity()
@Sharded(hash({ shards: 8 }))
class Owner {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('int') rank!: number
  @OneToMany(
    () => Thing,
    (thing) => thing.owner,
  )
  things!: Thing[]
}

@Entity()
@Sharded({ colocatedWith: () => Owner })
class Thing {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') ownerId!: number
  @ManyToOne(
    () => Owner,
    (owner) => owner.things,
  )
  @JoinColumn({ name: 'ownerId' })
  owner!: Owner
}

/** Texts in byte order: shards of intervals follow each other. */
@Entity()
@Sharded(range({ shards: { up: [null, 'a'], low: ['a', 'é'], high: ['é', null] } }))
class Word {
  @ShardKey() @PrimaryColumn({ type: 'text', collation: 'C' }) word!: string
}

/** The same, by a collation of its own: they do not. */
@Entity()
@Sharded(range({ shards: { up: [null, 'a'], low: ['a', 'é'], high: ['é', null] } }))
class Name {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column({ type: 'text' }) name!: string
}

const entities = [Reading, Owner, Thing, Word, Name]

@EventSubscriber()
class Loads implements EntitySubscriberInterface {
  static count = 0
  afterLoad(): void {
    Loads.count++
  }
}

const perMonth = 30
const ownerCount = 8_000
const deep = 4_000

describe('pages of shards', () => {
  let databases: FreshDatabases
  let sharded: ShardedDataSource
  let plain: DataSource
  const events: StatementEvent[] = []

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    const common = { type: 'postgres', entities, synchronize: true } as const
    plain = await new DataSource({ ...common, url: databases.oracle }).initialize()
    sharded = await new ShardedDataSource({
      ...common,
      subscribers: [Loads],
      nodes: { a: { url: a }, b: { url: b } },
    }).initialize()
    const readings: Reading[] = []
    for (let month = 0; month < 60; month++) {
      // The months of 2021 are empty.
      if (month >= 12 && month < 24) continue
      for (let index = 0; index < perMonth; index++) {
        const at = new Date(Date.UTC(2020, month, 2 + (index % 20), index % 3))
        readings.push(Object.assign(new Reading(), { id: month * 1000 + index, at, value: index % 4 }))
      }
    }
    const owners = Array.from({ length: ownerCount }, (_, id) => ({ id, rank: (id * 7919) % 1000 }))
    const things = owners.filter(({ id }) => id % 2 === 0).map(({ id }) => ({ id: id + 1_000_000, ownerId: id }))
    for (const dataSource of [plain, sharded]) {
      await dataSource.getRepository(Reading).insert(readings)
      await dataSource.getRepository(Owner).insert(owners)
      await dataSource.getRepository(Thing).insert(things)
    }
    sharded.onStatement((event) => events.push(event))
  })
  beforeEach(() => {
    events.length = 0
    Loads.count = 0
  })
  afterAll(async () => {
    await sharded.destroy()
    await plain.destroy()
    await databases.drop()
  })

  const readings = () => sharded.getRepository(Reading)
  const shardsAsked = (): number =>
    events
      .map(({ text }) => text.match(/"reading_\d{4}_\d\d"\."reading"/g)?.length ?? 0)
      .reduce((sum, one) => sum + one, 0)
  const agree = async (options: FindManyOptions<Reading>) => {
    const found = await readings().find(options)
    expect(found).toEqual(await plain.getRepository(Reading).find(options))
    return found
  }

  it('ask the newest month alone for the newest 20 rows', async () => {
    expect(await agree({ order: { at: 'DESC', id: 'ASC' }, take: 20 })).toHaveLength(20)
    expect(events).toHaveLength(1)
    expect(shardsAsked()).toBe(1)
    expect(events[0]?.text).toContain('reading_2024_12')
  })

  it('ask the oldest month alone for the oldest row', async () => {
    await readings().findOne({ where: { value: LessThan(9) }, order: { at: 'ASC' } })
    expect(events).toHaveLength(1)
    expect(events[0]?.text).toContain('reading_2020_01')
  })

  it('ask the next month only where the first is short, and as many as are likely to fill the page', async () => {
    expect(await agree({ order: { at: 'DESC', id: 'ASC' }, take: 50 })).toHaveLength(50)
    expect(events).toHaveLength(2)
    expect(shardsAsked()).toBe(2)
    events.length = 0
    // A month has seven such rows: the first shards are past the condition, and rounds grow.
    await agree({ where: { id: LessThan(36_000), value: 3 }, order: { at: 'DESC', id: 'ASC' }, take: 20 })
    expect(events.length).toBeLessThanOrEqual(10)
  })

  it('do not cost a round trip a shard where no row meets the condition', async () => {
    expect(await agree({ where: { value: 99 }, order: { at: 'DESC' }, take: 5 })).toEqual([])
    expect(shardsAsked()).toBe(60)
    // 1, 2, 4, 8, 16, 29 shards, on two nodes.
    expect(events.length).toBeLessThanOrEqual(11)
  })

  it.each(['ASC', 'DESC'] as const)('are those of one database around the borders of months, %s', async (direction) => {
    for (const skip of [
      0, 1, 29, 30, 31, 359, 360, 361, 999, 1_000, 1_001, 1_019, 1_020, 1_021, 1_409, 1_430, 1_439, 1_440, 2_000,
    ]) {
      for (const take of [1, 5, 45]) await agree({ order: { at: direction, value: 'DESC', id: 'ASC' }, skip, take })
    }
  })

  it('skip whole months by their counts', async () => {
    const options: FindManyOptions<Reading> = { order: { at: 'ASC', id: 'ASC' }, skip: 1_205, take: 10 }
    expect((await readings().explain(options)).page).toEqual({
      strategy: 'ordered-shards',
      reason: 'the shards follow each other in the order of at',
    })
    const found = await agree(options)
    expect(found).toHaveLength(10)
    expect(events.filter(({ text }) => text.includes('COUNT(*)')).length).toBeGreaterThan(0)
    const pages = events.filter(({ text }) => !text.includes('COUNT(*)'))
    expect(pages).toHaveLength(1)
    expect(pages[0]?.text).toContain('OFFSET 5')
  })

  it('are counted as TypeORM counts them', async () => {
    for (const skip of [0, 1_205, 1_435, 5_000]) {
      const options: FindManyOptions<Reading> = { order: { at: 'ASC', id: 'ASC' }, skip, take: 10 }
      expect(await readings().findAndCount(options)).toEqual(await plain.getRepository(Reading).findAndCount(options))
    }
  })

  it('follow each other by a text key under byte order only', async () => {
    const words = ['Zoë', 'abc', 'zebra', 'éa', '😀', 'ﬀ', 'Éa', 'b']
    for (const dataSource of [plain, sharded]) {
      await dataSource.getRepository(Word).insert(words.map((word) => ({ word })))
      await dataSource.getRepository(Name).insert(words.map((name, id) => ({ id, name })))
    }
    for (const direction of ['ASC', 'DESC'] as const) {
      const byWord: FindManyOptions<Word> = { order: { word: direction }, take: 5 }
      expect((await sharded.getRepository(Word).explain(byWord)).page?.strategy).toBe('ordered-shards')
      expect(await sharded.getRepository(Word).find(byWord)).toEqual(await plain.getRepository(Word).find(byWord))
      const byName: FindManyOptions<Name> = { order: { name: direction }, take: 5 }
      expect(await sharded.getRepository(Name).find(byName)).toEqual(await plain.getRepository(Name).find(byName))
    }
    // A column that was made with another collation than its entity says.
    for (const { name } of sharded.shards(Word))
      await sharded.shard(name).query('ALTER TABLE "__shard__"."word" ALTER "word" TYPE text COLLATE "en-x-icu"')
    await expect(sharded.getRepository(Word).find({ order: { word: 'ASC' }, take: 5 })).rejects.toMatchObject({
      code: 'MERGE_ORDER',
    })
  })

  it('are merged and skipped by the one node that has all shards', async () => {
    const url = databases.oracle
    const one = await new ShardedDataSource({
      type: 'postgres',
      entities: [Owner, Thing],
      nodes: { only: { url } },
      groups: { owner: { shards: hash({ shards: 3 }), layout: 'table' } },
      synchronize: true,
    }).initialize()
    try {
      const few = Array.from({ length: 300 }, (_, id) => ({ id, rank: (id * 7) % 20 }))
      await one.getRepository(Owner).insert(few)
      const sorted = [...few].sort((a, b) => b.rank - a.rank || a.id - b.id)
      const texts: string[] = []
      one.onStatement(({ text }) => texts.push(text))
      for (const skip of [0, 1, 150, 290, 299, 300, 400]) {
        const found = await one.getRepository(Owner).find({ order: { rank: 'DESC' }, skip, take: 20 })
        expect(found.map(({ id }) => id)).toEqual(sorted.slice(skip, skip + 20).map(({ id }) => id))
      }
      expect(texts.filter((text) => / LIMIT 20 OFFSET \d+$/.test(text))).toHaveLength(6)
      expect(texts.some((text) => text.endsWith(' LIMIT 20 OFFSET 150'))).toBe(true)
    } finally {
      await one.destroy()
    }
  })

  it('hydrate the entities of the page and no others', async () => {
    const options: FindManyOptions<Owner> = { order: { rank: 'DESC', id: 'ASC' }, skip: deep, take: 20 }
    const explained = await sharded.getRepository(Owner).explain(options)
    expect(explained.page?.strategy).toBe('pivot-counting')
    expect(explained.text).toContain('page: pivot-counting\n')
    expect(explained.statements).toHaveLength(2)
    expect(explained.statements.every(({ text }) => text.includes('OFFSET 500'))).toBe(true)
    const found = await sharded.getRepository(Owner).find(options)
    expect(found).toEqual(await plain.getRepository(Owner).find(options))
    expect(Loads.count).toBe(20)
    const rows = events.filter(({ text }) => text.includes('pageKeys') || text.includes('= ANY(CAST('))
    expect(rows.length).toBeLessThanOrEqual(2)
    // A sample, a count, at most one of ties, the keys, the rows: each one statement a node.
    expect(events.length).toBeLessThanOrEqual(14)
  })

  it('load relations for the entities of a deep page', async () => {
    for (const relationLoadStrategy of ['join', 'query'] as const) {
      const options: FindManyOptions<Owner> = {
        order: { rank: 'ASC', id: 'DESC' },
        relations: { things: true },
        relationLoadStrategy,
        skip: deep,
        take: 15,
      }
      expect((await sharded.getRepository(Owner).explain(options)).page?.strategy).toBe('pivot-counting')
      expect(await sharded.getRepository(Owner).find(options)).toEqual(await plain.getRepository(Owner).find(options))
    }
  })

  it('take shares of the nodes where the offset is middling, and all rows where the order is about a relation', async () => {
    const byRelation: FindManyOptions<Thing> = {
      order: { owner: { rank: 'ASC' }, id: 'ASC' },
      relations: { owner: true },
      skip: 2_500,
      take: 10,
    }
    expect((await sharded.getRepository(Thing).explain(byRelation)).page?.strategy).toBe('merge')
    expect(await sharded.getRepository(Thing).find(byRelation)).toEqual(
      await plain.getRepository(Thing).find(byRelation),
    )
    const middling: FindManyOptions<Owner> = { order: { rank: 'ASC', id: 'ASC' }, skip: 1_500, take: 10 }
    expect((await sharded.getRepository(Owner).explain(middling)).page?.strategy).toBe('merge')
    events.length = 0
    expect(await sharded.getRepository(Owner).find(middling)).toEqual(await plain.getRepository(Owner).find(middling))
    expect(events).toHaveLength(2)
  })

  it('skip shard after shard where there is no order', async () => {
    const owners = sharded.getRepository(Owner)
    const seen = new Set<number>()
    for (let skip = 1_001; skip < ownerCount + 500; skip += 500)
      for (const { id } of await owners.find({ skip, take: 500 })) seen.add(id)
    expect((await owners.explain({ skip: 1_001, take: 1 })).page?.strategy).toBe('ordered-shards')
    expect(seen.size).toBe(ownerCount - 1_001)
  })

  it('are full, in order and found in bounded rounds while others write', async () => {
    const owners = sharded.getRepository(Owner)
    let isDone = false
    const writing = (async () => {
      for (let id = ownerCount; !isDone; id += 50) {
        const batch = Array.from({ length: 50 }, (_, at) => ({ id: id + at, rank: (id + at) % 1000 }))
        await owners.insert(batch)
        await owners.delete(batch.slice(0, 25).map(({ id }) => id))
      }
    })()
    try {
      for (let round = 0; round < 15; round++) {
        const found = await owners.find({ order: { rank: 'DESC', id: 'ASC' }, skip: deep, take: 50 })
        const keys = found.map(({ rank, id }) => -rank * 1e9 + id)
        expect(keys).toEqual([...keys].sort((x, y) => x - y))
        expect(new Set(keys).size).toBe(found.length)
        expect(found.length).toBeGreaterThan(0)
      }
    } finally {
      isDone = true
      await writing
    }
  })
})
