import {
  AbstractLogger,
  Column,
  DataSource,
  DeleteDateColumn,
  Entity,
  EntityManager,
  type EntitySubscriberInterface,
  EventSubscriber,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type QueryRunner,
} from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardedDataSource, ShardKey } from '../../../src/index'
import { createDatabases } from '../../support/databases'
import type { FreshDatabases } from '../../support/fresh-databases'

@Entity()
@Sharded(hash({ shards: 4 }), { group: 'walked' })
class Walker {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('int', { default: 0 }) steps!: number
  @DeleteDateColumn() deletedAt!: Date | null
  @OneToMany(
    () => Step,
    (step) => step.walker,
    { cascade: ['insert', 'update'] },
  )
  list!: Step[]
}

@Entity()
@Sharded({ colocatedWith: () => Walker })
class Step {
  @PrimaryGeneratedColumn('uuid') id!: string
  @ShardKey() @Column('int') walkerId!: number
  @ManyToOne(
    () => Walker,
    (walker) => walker.list,
  )
  walker!: Walker
}

const hooks = [
  'afterLoad',
  'beforeInsert',
  'afterInsert',
  'beforeUpdate',
  'afterUpdate',
  'beforeRemove',
  'afterRemove',
  'beforeSoftRemove',
  'afterSoftRemove',
  'beforeRecover',
  'afterRecover',
  'beforeQuery',
  'afterQuery',
  'beforeTransactionStart',
  'afterTransactionStart',
  'beforeTransactionCommit',
  'afterTransactionCommit',
  'beforeTransactionRollback',
  'afterTransactionRollback',
] as const

/** What was handed to the application, by the hook that it was handed to. */
const handed = new Map<string, Set<unknown>>()
const hand = (hook: string, ...things: readonly unknown[]): void => {
  const known = handed.get(hook) ?? new Set()
  handed.set(hook, known)
  for (const thing of things) known.add(thing)
}

@EventSubscriber()
class Watcher implements EntitySubscriberInterface {
  constructor() {
    for (const hook of hooks) Object.assign(this, { [hook]: (...args: unknown[]) => hand(hook, ...args) })
  }
}

class Watching extends AbstractLogger {
  protected override writeLog(_level: string, _message: unknown, queryRunner?: QueryRunner): void {
    hand('logger', queryRunner)
  }
}

/** The public members of a thing that lead on to others, and what each holds. */
function membersOf(thing: object): readonly (readonly [string, unknown])[] {
  const names = new Set<string>()
  for (let at: object | null = thing; at && at !== Object.prototype; at = Object.getPrototypeOf(at) as object | null)
    for (const [name, { get, value }] of Object.entries(Object.getOwnPropertyDescriptors(at)))
      if (get || typeof value !== 'function') names.add(name)
  return [...names].filter((name) => !ours.has(name)).map((name) => [name, memberOf(thing, name)])
}

/** Some getters of TypeORM throw: they are about other databases. */
function memberOf(thing: object, name: string): unknown {
  try {
    return (thing as Record<string, unknown>)[name]
  } catch {
    return undefined
  }
}

/** Of this package's own parts, none of which TypeORM's types name, and of what the types of TypeORM keep private. */
const ours = new Set([
  'runtime',
  'statements',
  'built',
  'builtStatements',
  'parts',
  'opened',
  'adopted',
  'pools',
  'ids',
  'connectedQueryRunners',
  'databaseConnection',
  'databaseConnectionPromise',
  'releaseCallback',
  'repositories',
  'treeRepositories',
])

const kindOf = (thing: unknown): 'data source' | 'manager' | 'query runner' | undefined => {
  if (thing instanceof DataSource) return 'data source'
  if (thing instanceof EntityManager) return 'manager'
  const isRunner = thing !== null && typeof thing === 'object' && 'startTransaction' in thing && 'query' in thing
  return isRunner ? 'query runner' : undefined
}

/** Members of members, so many times: some getters make what they give anew each time, without end. */
const maxDepth = 6

/** The paths from things to what is a shard's, or a throw-away data source's; what is near is looked at first. */
function leaksOf(roots: readonly (readonly [string, unknown])[], application: DataSource): readonly string[] {
  const leaks: string[] = []
  const seen = new Set<unknown>()
  let near: readonly (readonly [string, unknown])[] = roots
  for (let depth = 0; depth <= maxDepth; depth++) {
    const further: (readonly [string, unknown])[] = []
    for (const [path, thing] of near) {
      if (thing === null || typeof thing !== 'object' || seen.has(thing)) continue
      seen.add(thing)
      const kind = kindOf(thing)
      const source = kind === 'data source' ? thing : (thing as { dataSource?: unknown }).dataSource
      if (kind && source !== application) leaks.push(`${path}: a ${kind} of ${(source as object)?.constructor.name}`)
      const inside =
        thing instanceof Map || thing instanceof Set
          ? [...thing.values()].map((value, index) => [String(index), value] as const)
          : membersOf(thing)
      for (const [name, value] of inside) further.push([`${path}.${name}`, value])
    }
    near = further
  }
  return leaks
}

describe('what listeners of an application are handed', () => {
  let databases: FreshDatabases
  let dataSource: ShardedDataSource

  beforeAll(async () => {
    databases = await createDatabases(2)
    const [a = '', b = ''] = databases.nodes
    dataSource = await new ShardedDataSource({
      type: 'postgres',
      entities: [Walker, Step],
      subscribers: [Watcher],
      logger: new Watching(true),
      logging: true,
      nodes: { a: { url: a }, b: { url: b } },
      synchronize: true,
    }).initialize()
    handed.clear()
  })
  afterAll(async () => {
    await dataSource.destroy()
    await databases.drop()
  })

  it('leads to nothing of one shard, whatever is done', async () => {
    const walkers = dataSource.getRepository(Walker)
    const six = [1, 2, 3, 4, 5, 6]
    const saved = await walkers.save(
      six.map((id) =>
        walkers.create({ id, list: [new Step(), new Step()].map((step) => Object.assign(step, { walkerId: id })) }),
      ),
    )
    for (const one of saved) one.steps = 2
    await walkers.save(saved)
    const [first, second] = saved
    if (!first || !second) throw new RangeError('Six were saved.')
    await walkers.save(Object.assign(first, { steps: 3 }))
    await walkers.insert([{ id: 7 }, { id: 8 }, { id: 9 }])
    await walkers.insert({ id: 10 })
    await walkers.update({ id: 10 }, { steps: 1 })
    await walkers.update({ steps: 1 }, { steps: 4 })
    await walkers.upsert([{ id: 11 }, { id: 12 }], ['id'])
    await walkers.find()
    await walkers.find({ relations: { list: true }, take: 3, order: { id: 'ASC' } })
    await walkers.find({ relations: { list: true }, relationLoadStrategy: 'query' })
    await walkers.findOne({ where: { id: 3 }, relations: { list: true } })
    await walkers.findOneBy({ id: 3 })
    await walkers.findPage({ order: { id: 'ASC' }, take: 2 }).catch(() => undefined)
    await walkers.createQueryBuilder('w').leftJoinAndSelect('w.list', 'l').getMany()
    for await (const one of walkers.stream({ order: { id: 'ASC' } })) expect(one).toBeInstanceOf(Walker)
    await walkers.softRemove(first)
    await walkers.recover(first)
    await walkers.softRemove(saved)
    await walkers.recover(saved)
    await dataSource.getRepository(Step).delete({ walkerId: 1 })
    await walkers.remove(await walkers.save(walkers.create([{ id: 20 }, { id: 21 }, { id: 22 }])))
    await walkers.remove(await walkers.save(walkers.create({ id: 23 })))
    await walkers.softDelete({ id: 7 })
    await walkers.restore({ id: 7 })
    await dataSource
      .transaction(async (manager) => {
        await manager.save(Object.assign(second, { steps: 9 }))
        await manager.find(Walker)
        throw new RangeError('back')
      })
      .catch(() => undefined)
    await dataSource.query('SELECT count(*) FROM "walker"')
    expect([...handed.keys()].sort()).toEqual([...hooks, 'logger'].sort())
    const things = [...handed].flatMap(([hook, given]) => [...given].map((thing) => [hook, thing] as const))
    expect(leaksOf(things, dataSource)).toEqual([])
  })
})
