import {
  Any,
  ArrayContains,
  Between,
  Column,
  DataSource,
  Entity,
  Equal,
  type FindManyOptions,
  ILike,
  In,
  IsNull,
  LessThan,
  Like,
  MoreThan,
  Not,
  PrimaryColumn,
  Raw,
  SelectQueryBuilder,
} from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../src/index'
import { createDatabases } from '../support/databases'
import type { FreshDatabases } from '../support/fresh-databases'

const planned = vi.hoisted(() => ({ count: 0 }))
vi.mock('../../src/planning/plan-page', async (load) => {
  const actual = await load<typeof import('../../src/planning/plan-page')>()
  return {
    ...actual,
    planPage: (...args: Parameters<typeof actual.planPage>) => {
      planned.count += 1
      return actual.planPage(...args)
    },
  }
})

class Size {
  @Column('int') width!: number
  @Column('int') height!: number
}

const upper = { to: (value: unknown) => String(value).toUpperCase(), from: (value: string) => value }

class Box {
  @ShardKey() @PrimaryColumn('bigint') id!: string
  @Column() name!: string
  @Column('int', { nullable: true }) rank!: number | null
  @Column('text', { array: true }) tags!: string[]
  @Column('timestamptz') at!: Date
  @Column('varchar', { transformer: upper }) code!: string
  @Column('jsonb') extra!: object
  @Column(() => Size) size!: Size
}

@Entity()
@Sharded(hash({ shards: 4 }))
class ScatteredBox extends Box {}

@Entity()
@Sharded(hash({ shards: 1 }))
class SingleBox extends Box {}

type Options = FindManyOptions<Box>

const boxes = Array.from({ length: 60 }, (_, id) => ({
  id: String(id),
  name: `box ${id % 7}`,
  rank: id % 5 === 0 ? null : id % 11,
  tags: [`t${id % 3}`, `u${id % 4}`],
  at: new Date(Date.UTC(2024, 0, 1 + (id % 20))),
  code: `c${id % 6}`,
  extra: { n: id % 2 },
  size: { width: id % 8, height: id % 9 },
}))

const day = (date: number): Date => new Date(Date.UTC(2024, 0, date))
const where = (...conditions: Options['where'][]): Options[] =>
  conditions.map((one) => ({ where: one ?? {}, order: { id: 'DESC' }, take: 9 }))

/** Finds, and how often they are planned when each comes twice. */
const shapes: readonly (readonly [string, number | { several: number; one: number }, readonly Options[]])[] = [
  ['no condition', 1, where({}, {})],
  ['a value', 1, where({ name: 'box 1' }, { name: 'box 2' }, { name: `it's "$1" ?` })],
  ['a value that Equal names', 1, where({ name: Equal('box 1') }, { name: Equal('box 2') })],
  ['several values', 1, where({ rank: 1, name: 'box 1' }, { rank: 2, name: 'box 2' }, { rank: 1, name: 'box 1' })],
  ['the same values at two places', 1, where({ size: { width: 1, height: 1 } }, { size: { width: 2, height: 3 } })],
  ['bounds', 1, where({ at: LessThan(day(5)) }, { at: LessThan(day(9)) })],
  ['a range', 1, where({ rank: Between(1, 3) }, { rank: Between(5, 9) })],
  ['a list', 1, where({ rank: In([1, 2]) }, { rank: In([7, 8]) }, { rank: In([8, 8]) })],
  ['lists of other lengths', 2, where({ rank: In([1, 2, 3, 4]) }, { rank: In([1, 2, 3]) })],
  ['an empty list', 1, where({ rank: In([]) }, { rank: In([]) })],
  ['a list that is one value', 1, where({ rank: Any([1, 2]) }, { rank: Any([5]) })],
  ['an array', 1, where({ tags: ArrayContains(['t1']) }, { tags: ArrayContains(['t2', 'u2']) })],
  ['patterns', 1, where({ name: Like('%1') }, { name: Like('%2') })],
  ['nested operators', 1, where({ name: Not(ILike('BOX 1')) }, { name: Not(ILike('BOX 2')) })],
  ['null', 1, where({ rank: IsNull() }, { rank: IsNull() })],
  ['what is not null', 1, where({ rank: Not(IsNull()) }, { rank: Not(IsNull()) })],
  ['operators that differ', 2, where({ rank: MoreThan(3) }, { rank: LessThan(3) })],
  ['the bounds of a key', 1, where({ id: MoreThan('10') }, { id: MoreThan('40') })],
  [
    'pages',
    2,
    [
      { take: 5, order: { name: 'ASC' } },
      { take: 5, order: { name: 'ASC' }, skip: 5 },
    ],
  ],
  [
    'directions',
    2,
    [
      { take: 5, order: { id: 'ASC' } },
      { take: 5, order: { id: 'DESC' } },
    ],
  ],
  ['selections', 2, [{ select: { id: true, name: true }, order: { id: 'ASC' } }, { order: { id: 'ASC' } }]],
  // What TypeORM changes, gathers into one value, writes into the SQL, or splits by shard is planned each time.
  ['transformed values', 4, where({ code: 'C1' }, { code: 'c2' })],
  [
    'an operator that Equal names',
    4,
    where({ tags: Equal(In(['t1', 'u1'])) as never }, { tags: Equal(In(['t2', 'u2'])) as never }),
  ],
  ['SQL', 4, where({ rank: Raw('1') }, { rank: Raw('2') })],
  [
    'a list of keys',
    { several: 4, one: 1 },
    where({ id: In(['1', '2', '3', '4']) }, { id: In(['11', '12', '13', '14']) }),
  ],
  ['alternatives', 4, [{ where: [{ rank: 1 }, { rank: 2 }] }, { where: [{ rank: 3 }, { rank: 4 }] }]],
]

describe.each([
  ['several', ScatteredBox],
  ['one', SingleBox],
] as const)('a find over %s whose shape was planned before', (reach, entity) => {
  let databases: FreshDatabases
  let plain: DataSource
  let sharded: ShardedDataSource
  beforeAll(async () => {
    databases = await createDatabases(2)
    plain = new DataSource({ type: 'postgres', url: databases.oracle, entities: [entity], synchronize: true })
    const nodes = Object.fromEntries(databases.nodes.map((url, index) => [`n${index}`, { url }]))
    sharded = new ShardedDataSource({ type: 'postgres', entities: [entity], synchronize: true, nodes })
    for (const dataSource of [plain, sharded]) {
      await dataSource.initialize()
      await dataSource.getRepository<Box>(entity).save(structuredClone(boxes))
    }
  })
  afterAll(async () => {
    await sharded.destroy()
    await plain.destroy()
    await databases.drop()
  })
  beforeEach(() => {
    planned.count = 0
  })

  const check = async (options: Options): Promise<void> => {
    const sorted = (found: readonly Box[]) =>
      options.order ? found : [...found].sort((a, b) => Number(a.id) - Number(b.id))
    const made = vi.spyOn(SelectQueryBuilder.prototype, 'setFindOptions')
    const ours = await sharded.getRepository<Box>(entity).find(options)
    if (reach === 'one') planned.count += made.mock.calls.length
    made.mockRestore()
    const theirs = await plain.getRepository<Box>(entity).find(options)
    // Pages of an order with ties may differ between two databases: their sort keys may not.
    if (options.order?.name) expect(ours.map((box) => box.name)).toEqual(theirs.map((box) => box.name))
    else expect(sorted(ours)).toEqual(sorted(theirs))
  }

  test.each(shapes)('has the values of its own: %s', async (_, plans, options) => {
    for (const one of [...options, ...[...options].reverse()]) await check(one)
    expect(planned.count).toBe(typeof plans === 'number' ? plans : plans[reach])
  })

  test.runIf(reach === 'several')('is planned once, also where pages are cut through ties', async () => {
    const options: Options = { order: { size: { width: 'ASC' } }, take: 3 }
    for (const _ of [1, 2, 3]) {
      const ours = await sharded.getRepository<Box>(entity).find(options)
      expect(ours.map(({ size }) => size.width)).toEqual([0, 0, 0])
    }
    expect(planned.count).toBe(1)
  })

  test('takes what options change after the find as another shape', async () => {
    const options: Options = { order: { at: 'ASC', id: 'ASC' }, take: 3 }
    await check(options)
    options.order = { at: 'DESC', id: 'DESC' }
    await check(options)
    options.take = 7
    await check(options)
  })

  test('knows the getters of options that are of a class, and what they inherit', async () => {
    class Window {
      constructor(readonly size: number) {}
      get take(): number {
        return this.size
      }
    }
    for (const size of [3, 5]) {
      await check(Object.assign(new Window(size), { order: { id: 'ASC' } } as const))
      await check(Object.assign(Object.create({ take: size }), { order: { id: 'ASC' } }))
    }
  })
})
