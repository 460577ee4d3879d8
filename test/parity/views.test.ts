import {
  Column,
  type DataSource,
  Entity,
  ManyToOne,
  PrimaryColumn,
  type Relation,
  ViewColumn,
  ViewEntity,
} from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, ReferenceTable, Sharded, ShardKey } from '../../src/index'
import { type OpenTargets, openTargets } from '../support/targets'

@Entity()
@ReferenceTable()
class Region {
  @PrimaryColumn('int') id!: number
  @Column('text') name!: string
}

@Entity()
@Sharded(hash({ shards: 3 }))
class Member {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text') name!: string
  @ManyToOne(() => Region) region!: Relation<Region>
}

@Entity()
@Sharded(hash({ shards: 3 }))
class Visit {
  @PrimaryColumn('int') id!: number
  @ShardKey() @Column('int') day!: number
  @Column('int') memberId!: number
  @Column('int') pages!: number
}

/** Shard by shard. */
@ViewEntity({ expression: 'SELECT day, count(*)::int AS visits, sum(pages)::int AS pages FROM visit GROUP BY day' })
class Day {
  @ViewColumn() day!: number
  @ViewColumn() visits!: number
  @ViewColumn() pages!: number
}

/** Over two groups and a reference table. */
@ViewEntity({
  expression: (source: DataSource) =>
    source
      .createQueryBuilder()
      .select('member.id', 'id')
      .addSelect('member.name', 'name')
      .addSelect('region.name', 'region')
      .addSelect('coalesce(sum(visit.pages), 0)::int', 'pages')
      .from(Member, 'member')
      .leftJoin('member.region', 'region')
      .leftJoin(Visit, 'visit', 'visit.memberId = member.id')
      .groupBy('member.id')
      .addGroupBy('region.name'),
})
class Reader {
  @ViewColumn() id!: number
  @ViewColumn() name!: string
  @ViewColumn() region!: string | null
  @ViewColumn({ name: 'pages' }) read!: number
}

/** Of a view. */
@ViewEntity({
  expression: 'SELECT region, sum(pages)::int AS pages FROM reader WHERE region IS NOT NULL GROUP BY region',
  dependsOn: ['Reader'],
})
class RegionTotal {
  @ViewColumn() region!: string
  @ViewColumn() pages!: number
}

/** Of a table that every node has: it is a view of the home node. */
@ViewEntity({ expression: 'SELECT id, upper(name) AS name FROM region' })
class Loud {
  @ViewColumn() id!: number
  @ViewColumn() name!: string
}

const entities = [Region, Member, Visit, RegionTotal, Day, Reader, Loud]
const seed = async ({ manager }: DataSource): Promise<void> => {
  await manager.insert(Region, [
    { id: 1, name: 'north' },
    { id: 2, name: 'south' },
  ])
  await manager.insert(
    Member,
    Array.from(
      { length: 9 },
      (_, id) => ({ id, name: `m${id}`, region: id % 3 === 0 ? null : { id: id % 3 } }) as never,
    ),
  )
  await manager.insert(
    Visit,
    Array.from({ length: 30 }, (_, id) => ({ id, day: id % 7, memberId: id % 8, pages: id % 5 })),
  )
}

describe('view entities over shards', () => {
  let targets: OpenTargets
  beforeAll(async () => {
    targets = await openTargets({ entities, groups: ['member', 'visit'], seed })
  })
  afterAll(() => targets?.close())

  const cases: Readonly<Record<string, (source: DataSource) => Promise<unknown>>> = {
    'find, shard by shard': ({ manager }) =>
      manager.find(Day, { where: { visits: 4 }, order: { pages: 'DESC', day: 'ASC' } }),
    'find over groups, a page': ({ manager }) =>
      manager.find(Reader, { order: { read: 'DESC', id: 'ASC' }, skip: 1, take: 4 }),
    findAndCount: ({ manager }) =>
      manager.findAndCount(Reader, { where: { region: 'north' }, order: { id: 'ASC' }, take: 1 }),
    findOneBy: ({ manager }) => manager.findOneBy(Day, { day: 3 }),
    count: ({ manager }) => manager.count(Day),
    exists: ({ manager }) => manager.existsBy(Day, { day: 9 }),
    sum: ({ manager }) => manager.sum(Reader, 'read'),
    'a view of views': ({ manager }) => manager.find(RegionTotal, { order: { region: 'ASC' } }),
    'a view of a reference table': ({ manager }) => manager.find(Loud, { order: { id: 'ASC' } }),
    'a join by a builder': (source) =>
      source
        .getRepository(Visit)
        .createQueryBuilder('visit')
        .innerJoin(Day, 'day', 'day.day = visit.day')
        .select('visit.id', 'id')
        .addSelect('day.visits', 'visits')
        .where('day.pages > :pages', { pages: 8 })
        .orderBy('visit.id')
        .limit(6)
        .getRawMany(),
    'a join by SQL': (source) =>
      source.query(
        'SELECT r.name, l.name AS loud FROM public.reader r LEFT JOIN loud l ON l.name = upper(r.region) WHERE r.id < $1 ORDER BY 1',
        [4],
      ),
    'columns with other names': (source) =>
      source.query('SELECT d.a, d.pages FROM day AS d(a) WHERE d.a > 4 ORDER BY 1'),
    'a name without alias': (source) => source.query('SELECT day.day, visits FROM day WHERE day.day = 2'),
    'a query of a WITH with the name of a view': (source) =>
      source.query('WITH day AS (SELECT 1 AS n) SELECT n FROM day'),
    'a subquery': (source) =>
      source.query('SELECT id FROM visit WHERE pages > (SELECT max(visits) - 2 FROM day) ORDER BY id'),
    'a transaction that writes': (source) =>
      source.transaction(async (manager) => {
        await manager.insert(Visit, { id: 100, day: 3, memberId: 1, pages: 50 })
        return [await manager.findOneBy(Day, { day: 3 }), await manager.delete(Visit, 100)]
      }),
  }

  it.each(Object.entries(cases))('%s', async (_, ask) => {
    const expected = await ask(targets.plain)
    expect(JSON.stringify(expected)).not.toBe('[]')
    for (const { name, dataSource } of targets.sharded) expect([name, await ask(dataSource)]).toEqual([name, expected])
  })

  it('are of their classes', async () => {
    for (const { dataSource } of targets.sharded)
      expect(await dataSource.manager.findOneBy(Day, { day: 3 })).toBeInstanceOf(Day)
  })
})
