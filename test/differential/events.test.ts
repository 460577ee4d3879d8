import {
  Column,
  type DataSource,
  Entity,
  type EntityManager,
  type EntitySubscriberInterface,
  EventSubscriber,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  PrimaryGeneratedColumn,
} from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardKey } from '../../src/index'
import { type OpenTargets, openTargets } from '../support/targets'
import { createRng, type Rng, seedOf } from './rng'

@Entity()
@Sharded(hash({ shards: 3 }))
class Desk {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('int', { default: 0 }) weight!: number
  @OneToMany(
    () => Drawer,
    (drawer) => drawer.desk,
  )
  drawers!: Promise<Drawer[]>
}

@Entity()
@Sharded({ colocatedWith: () => Desk })
class Drawer {
  @PrimaryColumn('int') id!: number
  @ShardKey() @PrimaryColumn('int') deskId!: number
  @ManyToOne(
    () => Desk,
    (desk) => desk.drawers,
    { onDelete: 'CASCADE' },
  )
  @JoinColumn({ name: 'deskId' })
  desk!: Promise<Desk>
}

@Entity()
class Remark {
  @PrimaryGeneratedColumn() id!: number
  @Column() text!: string
}

interface Context {
  readonly manager: EntityManager
  readonly entity?: { readonly id?: number } | undefined
}

/** What the subscriber does, and what it has heard: one after the other for every data source. */
let habits: Habits | undefined

interface Habits {
  readonly rng: Rng
  readonly log: unknown[]
  isBusy: boolean
  isPersisting: boolean
}

/** Each event reads or writes by its manager, as its own seed says: all data sources do the same. */
async function react(name: string, { manager, entity }: Context): Promise<void> {
  const now = habits
  if (!now || now.isBusy) return
  const id = entity?.id ?? 0
  const { rng, log } = now
  // It stays so after an error, for one database rolls back, and gives the connection back, while other subscribers still
  // work: see `event-context.test.ts`.
  now.isBusy = true
  const made = rng.int(8)
  // `save` and `remove` read before their transaction on one database, and in it on several shards: what a subscriber writes
  // while they read stays there, and goes with the transaction here. TypeORM promises neither.
  const does = name === 'afterLoad' && now.isPersisting && isWrite(made) ? 0 : made
  if (does === 0) log.push([name, id, await manager.count(Desk)])
  else if (does === 1) log.push([name, id, await manager.sum(Desk, 'weight', {})])
  else if (does === 2) await manager.insert(Remark, { text: `${name} ${id}` })
  else if (does === 3) await manager.save(Object.assign(new Remark(), { text: `saved ${name} ${id}` }))
  else if (does === 4) log.push([name, id, (await manager.update(Desk, { weight: 3 }, { weight: 4 })).affected])
  else if (does === 5) log.push(await manager.query('SELECT "id", "weight" FROM "desk" ORDER BY "id" LIMIT 3'))
  else if (does === 6) log.push([name, id, (await manager.find(Desk, { order: { id: 'DESC' }, take: 2 })).length])
  else if (rng.oneIn(4)) throw new RangeError(`${name} ${id}`)
  now.isBusy = false
}

const isWrite = (does: number): boolean => does === 2 || does === 3 || does === 4

/** `save` or `remove`, whose own reads are heard of too. */
async function persist(work: () => Promise<Desk[]>): Promise<number> {
  if (habits) habits.isPersisting = true
  try {
    return (await work()).length
  } finally {
    if (habits) habits.isPersisting = false
  }
}

@EventSubscriber()
class Reacting implements EntitySubscriberInterface<Desk> {
  listenTo() {
    return Desk
  }
  beforeInsert = (event: Context) => react('beforeInsert', event)
  afterInsert = (event: Context) => react('afterInsert', event)
  beforeUpdate = (event: Context) => react('beforeUpdate', event)
  afterUpdate = (event: Context) => react('afterUpdate', event)
  beforeRemove = (event: Context) => react('beforeRemove', event)
  afterRemove = (event: Context) => react('afterRemove', event)
  /** Whose event comes first is not told: `save` loads the rows that it writes in no order. */
  afterLoad = (_desk: Desk, event?: Context) => (event ? react('afterLoad', { manager: event.manager }) : undefined)
}

/** One operation of the application; its subscribers react. */
async function operate(manager: EntityManager, rng: Rng): Promise<unknown> {
  const ids = () => rng.some([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 4)
  const desks = (list: readonly number[]) => list.map((id) => Object.assign(new Desk(), { id, weight: rng.int(5) }))
  const [one = 1] = ids()
  const drawersOf = async (found: readonly Desk[]) => {
    const counts: number[] = []
    for (const desk of found) counts.push((await desk.drawers).length)
    return counts
  }
  return rng.weighted<Promise<unknown>>([
    [4, () => persist(() => manager.save(desks(ids())))],
    [3, () => persist(() => manager.save(desks([one])))],
    [2, () => manager.insert(Desk, desks(ids())).then(() => undefined)],
    [2, () => manager.update(Desk, { weight: rng.int(5) }, { weight: rng.int(5) }).then(({ affected }) => affected)],
    [1, () => manager.delete(Desk, ids()).then(({ affected }) => affected)],
    [
      1,
      async () => {
        const found = await manager.find(Desk, { where: { weight: 4 }, order: { id: 'ASC' } })
        return persist(() => manager.remove(found))
      },
    ],
    [2, () => manager.insert(Drawer, { id: rng.int(1000), deskId: one }).then(() => undefined)],
    // A lazy relation sees what its transaction has written.
    [
      3,
      async () => {
        const id = rng.int(1000)
        const [desk] = await manager.find(Desk, { order: { id: 'ASC' }, take: 1 })
        if (!desk) return []
        await manager.insert(Drawer, { id, deskId: desk.id })
        return drawersOf([desk])
      },
    ],
    [2, async () => drawersOf(await manager.find(Desk, { order: { id: 'ASC' } }))],
    [2, async () => drawersOf(await manager.find(Desk, { order: { weight: 'DESC', id: 'ASC' }, take: 3 }))],
    [2, async () => drawersOf(await manager.findBy(Desk, { id: one }))],
  ])
}

/** A few operations, alone or in one transaction: what they answered, what subscribers heard, what is stored. */
async function happen(dataSource: DataSource, seed: number): Promise<unknown> {
  const rng = createRng(seed)
  const log: unknown[] = []
  habits = { rng: createRng(seed + 1), log, isBusy: false, isPersisting: false }
  const answer = (work: Promise<unknown>) =>
    work.catch((error: unknown) => (error instanceof Error ? error.constructor.name : error))
  const steps = async (manager: EntityManager) => {
    for (let left = 1 + rng.int(4); left > 0; left--) log.push(await operate(manager, rng))
  }
  if (rng.oneIn(2)) log.push(await answer(dataSource.transaction(steps)))
  else log.push(await answer(steps(dataSource.manager)))
  habits = undefined
  const rows = await dataSource.manager.find(Desk, { order: { id: 'ASC' } })
  const remarks = await dataSource.manager.find(Remark, { order: { text: 'ASC' } })
  return { log, rows: rows.map(({ id, weight }) => [id, weight]), remarks: remarks.map(({ text }) => text) }
}

describe('subscribers that use the manager of their event, against one database', () => {
  const runs = Number(process.env['DIFFERENTIAL_EVENTS'] ?? 15)
  const seed = Number(process.env['DIFFERENTIAL_SEED'] ?? 20_261_128)
  let targets: OpenTargets

  beforeAll(async () => {
    targets = await openTargets({
      entities: [Desk, Drawer, Remark],
      groups: ['desk'],
      subscribers: [Reacting],
      seed: async () => undefined,
    })
  })
  afterAll(() => targets.close())

  it(`hears and stores the same in ${runs} runs of seed ${seed}`, async () => {
    for (let run = 0; run < runs; run++) {
      const own = seedOf(seed, 'events', run)
      const expected = await happen(targets.plain, own)
      for (const { name, dataSource } of targets.sharded)
        expect({ run, name, ...((await happen(dataSource, own)) as object) }).toEqual({
          run,
          name,
          ...(expected as object),
        })
    }
  }, 300_000)
})
