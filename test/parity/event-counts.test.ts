import {
  Column,
  DeleteDateColumn,
  Entity,
  type EntitySubscriberInterface,
  EventSubscriber,
  PrimaryColumn,
} from 'typeorm'
import { beforeEach, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 3 }))
class Coin {
  @ShardKey()
  @PrimaryColumn('int')
  id!: number

  @Column('int', { default: 0 })
  worth!: number

  @DeleteDateColumn()
  deletedAt!: Date | null
}

const seen: string[] = []
const hear = (name: string) => (event: object) => {
  const entity = 'entity' in event ? event.entity : undefined
  const id = entity && typeof entity === 'object' && 'id' in entity ? ` ${String(entity.id)}` : ''
  seen.push(name + id)
}

@EventSubscriber()
class Listener implements EntitySubscriberInterface {
  beforeInsert = hear('beforeInsert')
  afterInsert = hear('afterInsert')
  beforeUpdate = hear('beforeUpdate')
  afterUpdate = hear('afterUpdate')
  beforeRemove = hear('beforeRemove')
  afterRemove = hear('afterRemove')
  beforeSoftRemove = hear('beforeSoftRemove')
  afterSoftRemove = hear('afterSoftRemove')
  beforeRecover = hear('beforeRecover')
  afterRecover = hear('afterRecover')
  beforeTransactionStart = hear('beforeTransactionStart')
  afterTransactionStart = hear('afterTransactionStart')
  beforeTransactionCommit = hear('beforeTransactionCommit')
  afterTransactionCommit = hear('afterTransactionCommit')
  beforeTransactionRollback = hear('beforeTransactionRollback')
  afterTransactionRollback = hear('afterTransactionRollback')
}

const started = ['beforeTransactionStart', 'afterTransactionStart']
const committed = ['beforeTransactionCommit', 'afterTransactionCommit']
const rolledBack = ['beforeTransactionRollback', 'afterTransactionRollback']
const numbers = [1, 2, 3, 4, 5, 6]
const of = (...names: string[]): string[] => names.flatMap((name) => numbers.map((id) => `${name} ${id}`)).sort()

describe('events of an operation', () => {
  onTargets({ entities: [Coin], groups: ['coin'], subscribers: [Listener] }, (target) => {
    const coins = () => target.dataSource.getRepository(Coin)
    const six = () => numbers.map((id) => ({ id }))
    const heard = async (work: () => Promise<unknown>): Promise<string[]> => {
      seen.length = 0
      await work()
      return [...seen]
    }
    /** Those of the transaction in order, around those of the rows, which come shard by shard. */
    const around = (events: string[]) => ({
      first: events.slice(0, 2),
      rows: events.slice(2, -2).sort(),
      last: events.slice(-2),
    })

    beforeEach(async () => {
      seen.length = 0
    })

    it('save and remove: one transaction, one event a row', async () => {
      const entities = coins().create(six())
      expect(around(await heard(() => coins().save(entities)))).toEqual({
        first: started,
        rows: of('beforeInsert', 'afterInsert'),
        last: committed,
      })
      for (const one of entities) one.worth = 1
      expect(around(await heard(() => coins().save(entities)))).toEqual({
        first: started,
        rows: of('beforeUpdate', 'afterUpdate'),
        last: committed,
      })
      expect(around(await heard(() => coins().softRemove(entities)))).toEqual({
        first: started,
        rows: of('beforeSoftRemove', 'afterSoftRemove'),
        last: committed,
      })
      expect(around(await heard(() => coins().recover(entities)))).toEqual({
        first: started,
        rows: of('beforeRecover', 'afterRecover'),
        last: committed,
      })
    })

    it('save of what has not changed: nothing, and no transaction', async () => {
      const entities = coins().create(six())
      await coins().save(entities)
      expect(await heard(() => coins().save(entities))).toEqual([])
      expect(await heard(() => coins().save(six()))).toEqual([])
      const [, second] = entities
      if (second) second.worth = 5
      expect(await heard(() => coins().save(entities))).toEqual([
        ...started,
        'beforeUpdate 2',
        'afterUpdate 2',
        ...committed,
      ])
      expect(await heard(() => target.dataSource.transaction((manager) => manager.save(entities)))).toEqual([
        ...started,
        ...committed,
      ])
    })

    it('save without listeners: the transaction only', async () => {
      const entities = coins().create(six())
      const withoutTransactionEvents = () => heard(() => coins().save(entities, { listeners: false }))
      expect(await withoutTransactionEvents()).toEqual([...started, ...committed])
      expect(await withoutTransactionEvents()).toEqual([])
    })

    it('save that fails: the rollback', async () => {
      await coins().insert({ id: 7 })
      const events = await heard(() =>
        coins()
          .save([...six(), { id: 8, worth: 2 ** 40 }])
          .catch(() => undefined),
      )
      expect([...events.slice(0, 2), ...events.slice(-2)]).toEqual([...started, ...rolledBack])
      expect(await coins().count()).toBe(1)
    })

    it('writes by criteria: one event before and one after, and no transaction', async () => {
      expect((await heard(() => coins().insert(six()))).sort()).toEqual(of('beforeInsert', 'afterInsert'))
      expect(await heard(() => coins().updateAll({ worth: 1 }))).toEqual(['beforeUpdate', 'afterUpdate'])
      expect(await heard(() => coins().update({ worth: 1 }, { worth: 2 }))).toEqual(['beforeUpdate', 'afterUpdate'])
      expect(await heard(() => coins().increment({ worth: 2 }, 'worth', 1))).toEqual(['beforeUpdate', 'afterUpdate'])
      expect(await heard(() => coins().softDelete({ worth: 3 }))).toEqual(['beforeSoftRemove', 'afterSoftRemove'])
      expect(await heard(() => coins().restore({ worth: 3 }))).toEqual(['beforeRecover', 'afterRecover'])
      expect(await heard(() => coins().delete({ worth: 3 }))).toEqual(['beforeRemove', 'afterRemove'])
      expect(await heard(() => coins().deleteAll())).toEqual(['beforeRemove', 'afterRemove'])
      expect(await heard(() => coins().clear())).toEqual([])
    })

    it('of a query builder: the same', async () => {
      const builder = () => coins().createQueryBuilder()
      expect((await heard(() => builder().insert().values(six()).execute())).sort()).toEqual(
        of('beforeInsert', 'afterInsert'),
      )
      expect(await heard(() => builder().update().set({ worth: 1 }).execute())).toEqual(['beforeUpdate', 'afterUpdate'])
      expect(await heard(() => builder().delete().execute())).toEqual(['beforeRemove', 'afterRemove'])
    })

    it('of a transaction: its own once, the commit last', async () => {
      expect(
        await heard(() =>
          target.dataSource.transaction(async (manager) => {
            await manager.insert(Coin, { id: 1 })
            await manager.update(Coin, { worth: 0 }, { worth: 1 })
            await manager.save(Coin, { id: 1, worth: 2 })
          }),
        ),
      ).toEqual([
        ...started,
        'beforeInsert 1',
        'afterInsert 1',
        'beforeUpdate',
        'afterUpdate',
        'beforeUpdate 1',
        'afterUpdate 1',
        ...committed,
      ])
      expect(
        await heard(() =>
          target.dataSource
            .transaction(async (manager) => {
              await manager.transaction(async (inner) => inner.delete(Coin, { worth: 2 }))
              throw new RangeError('no')
            })
            .catch(() => undefined),
        ),
      ).toEqual([...started, ...started, 'beforeRemove', 'afterRemove', ...committed, ...rolledBack])
    })
  })
})
