import {
  And,
  Any,
  Between,
  Column,
  type DataSource,
  DeleteDateColumn,
  Entity,
  EntityManager,
  type FindOptionsWhere,
  In,
  MoreThan,
  Not,
  type ObjectLiteral,
  Or,
  PrimaryColumn,
  Raw,
  Repository,
} from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, LookupIndex, Sharded, type ShardedRepository, ShardKey } from '../../src/index'
import { type OpenTargets, openTargets } from '../support/targets'

const cents = { to: (value: number): number => value * 100, from: (value: number): number => value / 100 }

/** Its fields are private: no copy of it has them. */
class Money {
  readonly #amount: number

  constructor(amount: number) {
    this.#amount = amount
  }

  get cents(): number {
    return this.#amount * 100
  }
}

const money = {
  to: (value: unknown): unknown => (value instanceof Money ? value.cents : value),
  from: (value: number): number => value,
}

@Entity()
@Sharded(hash({ shards: 3 }))
class Visit {
  @ShardKey() @PrimaryColumn('int') id!: number
  @LookupIndex() @Column('int') code!: number
  @Column('int') n!: number
  @Column('timestamptz') at!: Date
  @Column('jsonb') payload!: object
  @Column('int', { transformer: cents }) price!: number
  @Column('int', { transformer: money }) fee!: number | Money
  @DeleteDateColumn({ type: 'timestamptz' }) gone!: Date | null
}

const day = (number: number): Date => new Date(Date.UTC(2024, 0, number))

const rows = (): ObjectLiteral[] =>
  [1, 2, 3, 4, 5, 6].map((id) => ({
    id,
    code: 100 + id,
    n: id * 10,
    at: day(id),
    payload: { a: id },
    price: id,
    fee: new Money(id),
    gone: id > 4 ? day(20) : null,
  }))

/** A condition, and what its owner does with it as soon as it was given away. */
interface Given {
  readonly where: FindOptionsWhere<Visit> | FindOptionsWhere<Visit>[]
  readonly change: () => void
}

const changed = (where: FindOptionsWhere<Visit>, to: FindOptionsWhere<Visit>): Given => ({
  where,
  change: () => Object.assign(where, to),
})

function listed(make: (list: number[]) => FindOptionsWhere<Visit>, [first = 0, ...others]: number[]): Given {
  const list = [first, ...others]
  return { where: make(list), change: () => void list.splice(0, 1, first + 2) }
}

const conditions: Readonly<Record<string, () => Given>> = {
  'a shard key': () => changed({ id: 1 }, { id: 2 }),
  'another column': () => changed({ n: 10 }, { n: 20 }),
  'a column with a lookup': () => changed({ code: 101 }, { code: 102 }),
  'an operator': () => changed({ n: MoreThan(10) }, { n: MoreThan(30) }),
  'a transformed value': () => changed({ price: 1 }, { price: 2 }),
  'an object with private fields': () => changed({ fee: new Money(1) }, { fee: new Money(2) }),
  'a list of shard keys': () => listed((list) => ({ id: In(list) }), [1, 2]),
  'a list': () => listed((list) => ({ n: In(list) }), [18, 20]),
  'a list of transformed values': () => listed((list) => ({ price: In(list) }), [1, 2]),
  'a list that is one parameter': () => listed((list) => ({ n: Any(list) }), [18, 30]),
  'a list of shard keys that is one parameter': () => listed((list) => ({ id: Any(list) }), [1, 2]),
  'nested operators': () => listed((list) => ({ n: Not(In(list)) }), [18, 30]),
  'a list of operators': () => {
    const operators = [MoreThan(10), Not(In([30]))]
    return { where: { n: And(...operators) }, change: () => void operators.pop() }
  },
  'operators in operators': () => listed((list) => ({ n: Or(In(list), Between(50, 60)) }), [18, 30]),
  'parameters of SQL': () => {
    const parameters = { n: 10 }
    return {
      where: { n: Raw((alias) => `${alias} = :n`, parameters) },
      change: () => void Object.assign(parameters, { n: 20 }),
    }
  },
  'a date': () => {
    const at = day(1)
    return { where: { at }, change: () => void at.setTime(day(2).getTime()) }
  },
  'an object': () => {
    const payload = { a: 1 }
    return { where: { payload }, change: () => void Object.assign(payload, { a: 2 }) }
  },
  'a branch': () => {
    const branch: FindOptionsWhere<Visit> = { id: 1 }
    return { where: [branch, { id: 3 }], change: () => void Object.assign(branch, { id: 2 }) }
  },
  'the list of branches': () => {
    const where: FindOptionsWhere<Visit>[] = [{ id: 1 }, { id: 3 }]
    return { where, change: () => void where.pop() }
  },
}

/** Objects that plain TypeORM hands to the driver, which reads them when it sends the statement. */
const sentLater = new Set(
  ['a list that is one parameter', 'a list of shard keys that is one parameter', 'a date', 'an object'].map(
    (name) => conditions[name],
  ),
)

type Method = (...args: unknown[]) => Promise<unknown>
/** A method of the manager, with the entity before its arguments, or of the repository. */
type Call = (method: string, ...args: unknown[]) => Promise<unknown>

const byOptions = ['find', 'findAndCount', 'findOne', 'findOneOrFail', 'count', 'exists']
const byWhere = ['findBy', 'findAndCountBy', 'findOneBy', 'findOneByOrFail', 'countBy', 'existsBy']
const ofColumn = ['sum', 'average', 'minimum', 'maximum']
const reads: Readonly<Record<string, (where: Given['where']) => readonly unknown[]>> = {
  ...Object.fromEntries(byOptions.map((name) => [name, (where: Given['where']) => [{ where, order: { id: 'ASC' } }]])),
  ...Object.fromEntries(byWhere.map((name) => [name, (where: Given['where']) => [where]])),
  ...Object.fromEntries(ofColumn.map((name) => [name, (where: Given['where']) => ['n', where]])),
}

const writes: Readonly<Record<string, (where: Given['where']) => readonly unknown[]>> = {
  update: (where) => [where, { n: 99 }],
  delete: (where) => [where],
  softDelete: (where) => [where],
  restore: (where) => [where],
  increment: (where) => [where, 'n', 1],
  decrement: (where) => [where, 'n', 1],
}

/** What is written is given as objects: rows, entities, values. */
const ofRows: Readonly<Record<string, (row: ObjectLiteral) => readonly unknown[]>> = {
  insert: (row) => [{ ...row, id: 7, code: 107 }],
  upsert: (row) => [row, ['id']],
  save: (row) => [row],
  remove: (row) => [row],
  softRemove: (row) => [row],
  recover: (row) => [row],
  preload: (row) => [{ id: row['id'], n: 5 }],
  updateAll: () => [{ n: 5 }],
}

/** Those that run nothing, or take nothing that can be changed. */
const others = new Set(
  `constructor connection transaction query sql createQueryBuilder hasId getId create merge normalizeAndValidateWhereCriteria
  callAggregateFun incrementOrDecrementBy getRepository getTreeRepository getMongoRepository withRepository release metadata
  extend deleteAll clear`.split(/\s+/),
)

const left = async (dataSource: DataSource): Promise<string> =>
  comparable(await dataSource.manager.find(Visit, { withDeleted: true }))

/** Each way to make the call. */
const callers: Readonly<
  Record<string, (dataSource: DataSource, work: (call: Call) => Promise<unknown>) => Promise<unknown>>
> = {
  'of the manager': (dataSource, work) => work(callOf(dataSource.manager, [Visit])),
  'of a repository': (dataSource, work) => work(callOf(dataSource.getRepository(Visit), [])),
  'in a transaction': (dataSource, work) => dataSource.transaction((manager) => work(callOf(manager, [Visit]))),
}

function callOf(object: object, before: readonly unknown[]): Call {
  return (method, ...args) => (Reflect.get(object, method) as Method).call(object, ...before, ...args)
}

/** Without an order rows come in any. Rows are deleted at the time of the test. */
const comparable = (value: unknown): string =>
  Array.isArray(value)
    ? `[${value.map(comparable).sort().join()}]`
    : JSON.stringify(value).replace(/"gone":"20(?!24)[^"]*"/, '"gone":"now"')

/** Of these any row will do. */
const anyRow = new Set(['findOneBy', 'findOneByOrFail'])

async function outcome(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return comparable(await work())
  } catch (error) {
    return (error as Error).message.split('\n')[0]
  }
}

describe('what is changed right after a call', () => {
  let targets: OpenTargets
  const all = () => [targets.plain, ...targets.sharded.map(({ dataSource }) => dataSource)]
  const fill = async (dataSource: DataSource) => {
    await dataSource.manager.deleteAll(Visit)
    await dataSource.manager.insert(Visit, rows())
  }
  /** Every target gives what plain TypeORM gives. */
  const expectAlike = async (work: (dataSource: DataSource) => Promise<unknown>, about: string) => {
    const [plain, ...sharded] = await Promise.all(all().map(work))
    for (const one of sharded) expect(one, about).toEqual(plain)
  }

  beforeAll(async () => {
    targets = await openTargets({ entities: [Visit], groups: ['visit'], seed: fill })
  })
  afterAll(async () => targets.close())

  it('is tested of every method', () => {
    const tested = new Set([...Object.keys(reads), ...Object.keys(writes), ...Object.keys(ofRows), ...others])
    for (const { prototype } of [EntityManager, Repository])
      expect(Object.getOwnPropertyNames(prototype).filter((name) => !tested.has(name))).toEqual([])
  })

  describe.each(Object.keys(conditions))('%s', (condition) => {
    it.each(Object.keys(callers))('%s', async (caller) => {
      await Promise.all(all().map(fill))
      for (const [method, argsOf] of Object.entries({ ...reads, ...writes })) {
        const isWrite = method in writes
        // A repository hands on what it is given.
        if (isWrite && caller === 'of a repository') continue
        if (isWrite) await Promise.all(all().map(fill))
        await expectAlike(async (dataSource) => {
          const result = await outcome(async () =>
            callers[caller]?.(dataSource, (call) => {
              const { where, change } = conditions[condition]?.() ?? { where: {}, change: () => undefined }
              const working = call(method, ...argsOf(where))
              change()
              return anyRow.has(method) ? working.then((visit) => visit !== null) : working
            }),
          )
          return { result, left: isWrite && (await left(dataSource)) }
        }, method)
      }
    })
  })

  it.each(Object.keys(callers))('a row, or an entity, %s', async (caller) => {
    for (const [method, argsOf] of Object.entries(ofRows)) {
      await Promise.all(all().map(fill))
      await expectAlike(async (dataSource) => {
        const visit = await dataSource.manager.findOneByOrFail(Visit, { id: 2 })
        const result = await outcome(async () =>
          callers[caller]?.(dataSource, (call) => {
            const args = argsOf({ ...visit, fee: 1 })
            const working = call(method, ...args)
            const [row] = args
            Object.assign(row as object, { n: 6, ...(visit.at && { at: day(9) }) })
            return working
          }),
        )
        return { result, left: await left(dataSource) }
      }, method)
    }
  })

  it.each(Object.keys(callers))('what is beside the condition, %s', async (caller) => {
    await Promise.all(all().map(fill))
    for (const method of byOptions)
      await expectAlike(
        (dataSource) =>
          outcome(async () =>
            callers[caller]?.(dataSource, (call) => {
              const order: ObjectLiteral = { at: { direction: 'DESC' }, id: 'ASC' }
              const options: ObjectLiteral = {
                where: { n: MoreThan(10) },
                order,
                skip: 1,
                take: 3,
                select: { id: true },
              }
              const working = call(method, options)
              order['at'].direction = 'ASC'
              Object.assign(options, { where: {}, skip: 0, take: 1, withDeleted: true })
              options['select'].n = true
              return working
            }),
          ),
        method,
      )
  })

  it('one object for several calls', async () => {
    await Promise.all(all().map(fill))
    await expectAlike(async ({ manager }) => {
      const where: FindOptionsWhere<Visit> = {}
      const found = [1, 2, 3].map((id) => {
        where.id = id
        return manager.findOneBy(Visit, where)
      })
      return (await Promise.all(found)).map((visit) => visit?.id)
    }, 'findOneBy')
  })

  describe('of reads that plain TypeORM does not have', () => {
    const options = () => ({ where: { n: In([20, 30]) }, order: { id: 'ASC' as const }, take: 2 })
    const own: Readonly<Record<string, (visits: ShardedRepository<Visit>, given: Given['where']) => Promise<unknown>>> =
      {
        stream: async (visits, where) => visits.stream({ ...options(), where }).toArray(),
        'find with a shard key': async (visits, where) => visits.withShardKey(1).find({ where }),
        explain: async (visits, where) => (await visits.explain({ where })).statements,
      }
    it.each(Object.keys(own))('%s', async (name) => {
      for (const { dataSource } of targets.sharded) {
        await fill(dataSource)
        const visits = dataSource.getRepository(Visit) as ShardedRepository<Visit>
        for (const condition of Object.values(conditions)) {
          const read = own[name]
          const [given, expected] = [condition(), condition()]
          const working = read?.(visits, given.where)
          given.change()
          if (sentLater.has(condition)) expected.change()
          expect(await working).toEqual(await read?.(visits, expected.where))
        }
      }
    })
  })
})
