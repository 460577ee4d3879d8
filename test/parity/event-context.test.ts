import {
  Column,
  type DataSource,
  DeleteDateColumn,
  Entity,
  type EntityManager,
  type EntitySubscriberInterface,
  EventSubscriber,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type QueryRunner,
} from 'typeorm'
import { beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 3 }))
class Parcel {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('int', { default: 0 })
  weight!: number

  @DeleteDateColumn()
  deletedAt!: Date | null
}

/** Unsharded: on shards it lies on the home node. */
@Entity()
class Trail {
  @PrimaryGeneratedColumn()
  id!: number

  @Column()
  what!: string
}

interface Context {
  readonly dataSource: DataSource
  readonly connection: DataSource
  readonly manager: EntityManager
  readonly queryRunner: QueryRunner
  readonly entity?: { readonly id?: number; readonly weight?: number } | undefined
}

/** What the subscriber does with an event; each test sets its own. */
let act: (name: string, context: Context) => Promise<void> = async () => undefined
let heard: unknown[] = []

@EventSubscriber()
class ParcelSubscriber implements EntitySubscriberInterface<Parcel> {
  listenTo(): typeof Parcel {
    return Parcel
  }
  beforeInsert(event: Context): Promise<void> {
    return act('beforeInsert', event)
  }
  afterInsert(event: Context): Promise<void> {
    return act('afterInsert', event)
  }
  beforeUpdate(event: Context): Promise<void> {
    return act('beforeUpdate', event)
  }
  afterUpdate(event: Context): Promise<void> {
    return act('afterUpdate', event)
  }
  beforeRemove(event: Context): Promise<void> {
    return act('beforeRemove', event)
  }
  afterRemove(event: Context): Promise<void> {
    return act('afterRemove', event)
  }
  afterSoftRemove(event: Context): Promise<void> {
    return act('afterSoftRemove', event)
  }
  afterRecover(event: Context): Promise<void> {
    return act('afterRecover', event)
  }
  afterLoad(_entity: Parcel, event?: Context): Promise<void> | undefined {
    return event && act('afterLoad', event)
  }
}

describe('the context of an event', () => {
  onTargets({ entities: [Parcel, Trail], groups: ['parcel'], subscribers: [ParcelSubscriber] }, (target) => {
    const parcels = () => target.dataSource.getRepository(Parcel)
    const trails = () => target.dataSource.getRepository(Trail)
    const nine = () => parcels().create(Array.from({ length: 9 }, (_, index) => ({ id: index + 1 })))
    const on = (name: string, work: (context: Context) => Promise<void>): void => {
      act = async (event, context) => {
        if (event === name) await work(context)
      }
    }
    const whats = async () => (await trails().find({ order: { id: 'ASC' } })).map(({ what }) => what)

    beforeEach(() => {
      act = async () => undefined
      heard = []
    })

    it('is the data source that the application opened', async () => {
      const { dataSource } = target
      act = async (name, event) => {
        const { manager, queryRunner } = event
        heard.push(name)
        expect(event.dataSource).toBe(dataSource)
        expect(event.connection).toBe(dataSource)
        expect(manager.dataSource).toBe(dataSource)
        expect(manager.connection).toBe(dataSource)
        expect(queryRunner.dataSource).toBe(dataSource)
        expect(queryRunner.manager).toBe(manager)
        expect(manager.queryRunner).toBe(queryRunner)
      }
      await parcels().save(nine())
      await parcels().insert({ id: 20 })
      await parcels().update({ id: 20 }, { weight: 3 })
      await parcels().find({ order: { id: 'ASC' } })
      await parcels().findOneBy({ id: 3 })
      const [one] = await parcels().save(
        await parcels()
          .find()
          .then((all) => all.map((each) => Object.assign(each, { weight: 9 }))),
      )
      if (one) await parcels().softRemove(one)
      if (one) await parcels().recover(one)
      if (one) await parcels().remove(one)
      await parcels().delete({ id: 2 })
      expect(new Set(heard)).toEqual(
        new Set([
          'beforeInsert',
          'afterInsert',
          'beforeUpdate',
          'afterUpdate',
          'afterLoad',
          'afterSoftRemove',
          'afterRecover',
          'beforeRemove',
          'afterRemove',
        ]),
      )
    })

    it('sees all rows of the operation, written and not', async () => {
      act = async (name, { manager }) => {
        if (name === 'beforeInsert' || name === 'afterInsert') heard.push([name, await manager.count(Parcel)])
      }
      await parcels().save(nine())
      expect(heard).toEqual([
        ...Array.from({ length: 9 }, () => ['beforeInsert', 0]),
        ...Array.from({ length: 9 }, () => ['afterInsert', 9]),
      ])
      heard = []
      await parcels().save(parcels().create({ id: 10 }))
      expect(heard).toEqual([
        ['beforeInsert', 9],
        ['afterInsert', 10],
      ])
      heard = []
      await parcels().insert([{ id: 11 }, { id: 12 }, { id: 13 }])
      expect(heard).toEqual([
        ...Array.from({ length: 3 }, () => ['beforeInsert', 10]),
        ...Array.from({ length: 3 }, () => ['afterInsert', 13]),
      ])
    })

    it('hears of the entities in the order in which they were given', async () => {
      act = async (name, { entity }) => void heard.push(`${name} ${entity?.id}`)
      await parcels().save(nine())
      const ids = [1, 2, 3, 4, 5, 6, 7, 8, 9]
      expect(heard).toEqual([...ids.map((id) => `beforeInsert ${id}`), ...ids.map((id) => `afterInsert ${id}`)])
      heard = []
      await parcels().insert(nine().map(({ id }) => ({ id: id + 10 })))
      expect(heard).toEqual([
        ...ids.map((id) => `beforeInsert ${id + 10}`),
        ...ids.map((id) => `afterInsert ${id + 10}`),
      ])
      heard = []
      const found = await parcels().find({ order: { id: 'DESC' }, take: 9 })
      expect(heard).toEqual(found.map(({ id }) => `afterLoad ${id}`))
    })

    it('writes with the operation: all or nothing', async () => {
      on('afterInsert', async ({ manager, entity }) => {
        await manager.save(Object.assign(new Trail(), { what: `parcel ${entity?.id}` }))
        await manager.insert(Trail, { what: `again ${entity?.id}` })
      })
      await parcels().save(parcels().create({ id: 1 }))
      expect(await whats()).toEqual(['parcel 1', 'again 1'])
      await parcels().save(parcels().create([{ id: 2 }, { id: 3 }, { id: 4 }]))
      expect(await trails().count()).toBe(8)
      // A row that fails in the middle of the subscribers' work.
      on('afterInsert', async ({ manager, entity }) => {
        await manager.save(Object.assign(new Trail(), { what: `lost ${entity?.id}` }))
        if (entity?.id === 6) throw new RangeError('not six')
      })
      for (const ids of [[6], [5, 6, 7, 8]])
        await expect(parcels().save(parcels().create(ids.map((id) => ({ id }))))).rejects.toThrow('not six')
      expect(await parcels().count()).toBe(4)
      expect(await trails().count()).toBe(8)
    })

    it('updates and deletes rows of all shards', async () => {
      await parcels().save(nine())
      on('afterUpdate', async ({ manager }) => {
        act = async () => undefined
        const { affected } = await manager.update(Parcel, { weight: 0 }, { weight: 7 })
        heard.push(affected)
        heard.push((await manager.delete(Parcel, { weight: 1 })).affected)
      })
      await parcels().save(parcels().create({ id: 4, weight: 1 }))
      expect(heard).toEqual([8, 1])
      expect(await parcels().countBy({ weight: 7 })).toBe(8)
    })

    it('queries by its runner and by builders', async () => {
      await parcels().save(nine())
      on('afterInsert', async ({ queryRunner, manager }) => {
        const [row] = await queryRunner.query('SELECT count(*)::int AS n, sum("id")::int AS s FROM "parcel"')
        heard.push(row)
        heard.push(await manager.createQueryBuilder(Parcel, 'p').where('p.id > :id', { id: 5 }).getCount())
        await queryRunner.query('INSERT INTO "trail"("what") VALUES ($1)', ['by query'])
      })
      await parcels().save(parcels().create({ id: 10 }))
      expect(heard).toEqual([{ n: 10, s: 55 }, 5])
      expect(await whats()).toEqual(['by query'])
    })

    it('is in the transaction of a save, and of the caller', async () => {
      act = async (name, { queryRunner }) => {
        if (name === 'afterInsert') heard.push(queryRunner.isTransactionActive)
      }
      await parcels().save(parcels().create({ id: 1 }))
      await parcels().save(parcels().create([{ id: 2 }, { id: 3 }, { id: 4 }]))
      await parcels().insert({ id: 5 })
      expect(heard).toEqual([true, true, true, true, false])
      let own: QueryRunner | undefined
      act = async (name, { queryRunner }) => {
        if (name === 'afterInsert' || name === 'afterLoad') heard.push(queryRunner === own)
      }
      heard = []
      await target.dataSource.transaction(async (manager) => {
        own = manager.queryRunner
        await manager.save(parcels().create({ id: 6 }))
        await manager.save(parcels().create([{ id: 7 }, { id: 8 }, { id: 9 }]))
        await manager.insert(Parcel, { id: 10 })
        await manager.find(Parcel)
        await manager.findBy(Parcel, { id: 3 })
      })
      expect(heard).toEqual(Array.from({ length: 16 }, () => true))
    })

    it('carries the data of a save from event to event', async () => {
      act = async (name, { queryRunner, entity }) => {
        const data = queryRunner.data as { who?: string; seen?: number[] }
        if (name === 'beforeInsert') data.seen = [...(data.seen ?? []), entity?.id ?? 0]
        if (name === 'afterInsert') heard.push([data.who, data.seen?.length])
      }
      await parcels().save(nine(), { data: { who: 'me' } })
      expect(heard).toEqual(Array.from({ length: 9 }, () => ['me', 9]))
      heard = []
      await parcels().save(parcels().create({ id: 10 }), { data: { who: 'you' } })
      expect(heard).toEqual([['you', 1]])
    })

    it('undoes a savepoint of its own, and nothing else', async () => {
      on('afterInsert', async ({ manager, entity }) => {
        await manager
          .transaction(async (inner) => {
            await inner.save(Object.assign(new Trail(), { what: `undone ${entity?.id}` }))
            await inner.delete(Parcel, { id: 3 })
            throw new RangeError('undo')
          })
          .catch(() => undefined)
        await manager.save(Object.assign(new Trail(), { what: `kept ${entity?.id}` }))
      })
      await parcels().save(parcels().create({ id: 1 }))
      on('beforeInsert', async ({ manager, entity }) => {
        if (entity?.id !== 2) return
        await manager
          .transaction(async (inner) => {
            await inner.delete(Parcel, { id: 1 })
            throw new RangeError('undo')
          })
          .catch(() => undefined)
      })
      await parcels().save(parcels().create([{ id: 2 }, { id: 3 }, { id: 4 }, { id: 5 }, { id: 6 }]))
      expect(await parcels().count()).toBe(6)
      expect(await whats()).toEqual(['kept 1'])
    })

    it('that fails is undone after all others of the operation have come to rest', async () => {
      const run = async (fail: () => Promise<void>, write: (manager: EntityManager) => Promise<unknown>) => {
        const outcomes: unknown[] = []
        const react = ({ manager, entity }: Context): Promise<void> | undefined => {
          if (entity?.weight === 1) return fail()
          if (entity?.weight !== 2) return undefined
          return write(manager).then(
            () => void outcomes.push('written'),
            (error: unknown) => void outcomes.push(error),
          )
        }
        act = (name, context) => (name === 'afterInsert' ? react(context) : undefined) as Promise<void>
        const rows = nine().map((row, index) => Object.assign(row, { weight: index }))
        for (const list of [rows, rows.slice(1, 3)]) {
          await expect(parcels().save(list)).rejects.toThrow('no')
          await expect(target.dataSource.transaction((manager) => manager.save(list))).rejects.toThrow('no')
        }
        return outcomes
      }
      const write = (manager: EntityManager) => manager.insert(Trail, { what: 'a' })
      const trail = (manager: EntityManager) => manager.save(Object.assign(new Trail(), { what: 'b' }))
      const fail = async () => {
        throw new Error('no')
      }
      expect(await run(fail, write)).toEqual(['written', 'written', 'written', 'written'])
      expect(await run(fail, trail)).toEqual(['written', 'written', 'written', 'written'])
      expect([await whats(), await parcels().count()]).toEqual([[], 0])
    })

    it('reads while rows are loaded', async () => {
      await parcels().save(nine())
      on('afterLoad', async ({ manager, entity }) => {
        if (entity?.weight === 0) heard.push(await manager.count(Parcel, { where: { weight: 0 } }))
      })
      await parcels().find()
      await parcels().find({ take: 3, order: { id: 'ASC' } })
      await parcels().findBy({ id: 5 })
      expect(heard).toEqual(Array.from({ length: 13 }, () => 9))
    })
  })
})
