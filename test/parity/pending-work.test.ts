import { Column, type DataSource, Entity, type EntityManager, PrimaryColumn } from 'typeorm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hash, Sharded, ShardKey } from '../../src/index'
import { type OpenTargets, openTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 3 }))
class Desk {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('int', { default: 0 }) weight!: number
}

@Entity()
class Remark {
  @PrimaryColumn('int') id!: number
}

const desks = [21, 22, 23, 24, 25].map((id) => ({ id }))

/** Each is asked for and not awaited by the transaction. */
const writes: readonly (readonly [string, (manager: EntityManager) => Promise<unknown>])[] = [
  ['an insert of one', (manager) => manager.insert(Desk, { id: 11 })],
  ['an insert of several', (manager) => manager.insert(Desk, desks)],
  ['an upsert', (manager) => manager.upsert(Desk, desks, ['id'])],
  ['an update of all', (manager) => manager.updateAll(Desk, { weight: 9 })],
  ['an update by a condition', (manager) => manager.update(Desk, { weight: 0 }, { weight: 9 })],
  ['a delete', (manager) => manager.delete(Desk, { weight: 0 })],
  ['an insert of a builder', (manager) => manager.createQueryBuilder().insert().into(Desk).values(desks).execute()],
  ['an update of a builder', (manager) => manager.createQueryBuilder().update(Desk).set({ weight: 9 }).execute()],
  ['an unsharded insert', (manager) => manager.insert(Remark, { id: 1 })],
  ['SQL', (manager) => manager.query('UPDATE desk SET weight = 9')],
  ['SQL of an unsharded table', (manager) => manager.query('INSERT INTO remark (id) VALUES (1)')],
]

describe('work that is under way when its transaction ends', () => {
  let targets: OpenTargets

  beforeAll(async () => {
    targets = await openTargets({ entities: [Desk, Remark], groups: ['desk'], seed: async () => undefined })
  })
  afterAll(() => targets.close())

  const contents = async (dataSource: DataSource) => ({
    desks: (await dataSource.manager.find(Desk, { order: { id: 'ASC' } })).map(({ id, weight }) => [id, weight]),
    remarks: await dataSource.manager.count(Remark),
  })
  const everywhere = async (work: (dataSource: DataSource) => Promise<unknown>) => {
    const run = async (dataSource: DataSource) => {
      await dataSource.manager.deleteAll(Desk)
      await dataSource.manager.deleteAll(Remark)
      await dataSource.manager.insert(
        Desk,
        [1, 2, 3].map((id) => ({ id })),
      )
      const answer = await work(dataSource)
      return { answer, ...(await contents(dataSource)) }
    }
    const expected = await run(targets.plain)
    for (const { name, dataSource } of targets.sharded)
      for (let round = 0; round < 3; round++)
        expect({ name, ...(await run(dataSource)) }).toEqual({ name, ...expected })
    return expected
  }

  it.each(writes)('%s is undone with it', async (_, write) => {
    for (const isLate of [false, true]) {
      const { desks: rows, remarks } = await everywhere(async (dataSource) => {
        let pending: Promise<unknown> | undefined
        const outcome = await dataSource
          .transaction(async (manager) => {
            if (isLate) await manager.count(Desk)
            pending = write(manager)
            await Promise.all([Promise.reject(new RangeError('of the application')), pending])
          })
          .catch((error: unknown) => String(error))
        const [settled] = await Promise.allSettled([pending])
        return [outcome, settled?.status]
      })
      expect([rows.length, remarks]).toEqual([3, 0])
    }
  })

  it.each(writes)('%s is committed with it', async (_, write) => {
    await everywhere(async (dataSource) => {
      let pending: Promise<unknown> | undefined
      await dataSource.transaction(async (manager) => {
        await manager.count(Desk)
        pending = write(manager)
        pending.catch(() => undefined)
      })
      const [settled] = await Promise.allSettled([pending])
      return settled?.status
    })
  })

  const later: readonly (readonly [string, (manager: EntityManager) => Promise<unknown>])[] = [
    ...writes,
    ['a save', (manager) => manager.save(Desk, desks)],
    ['a save of one', (manager) => manager.save(Object.assign(new Desk(), { id: 1, weight: 9 }))],
    ['a remove', (manager) => manager.remove(Desk, { id: 1, weight: 0 })],
    ['an increment', (manager) => manager.increment(Desk, { id: 1 }, 'weight', 1)],
    ['a repository', (manager) => manager.getRepository(Desk).delete({ id: 1 })],
    ['a transaction', (manager) => manager.transaction((inner) => inner.update(Desk, { id: 1 }, { weight: 9 }))],
    ['a count', (manager) => manager.count(Desk)],
    ['a find by key', (manager) => manager.findOneBy(Desk, { id: 1 })],
    ['a find', (manager) => manager.find(Desk)],
  ]
  const ends = {
    commit: (dataSource: DataSource, take: (manager: EntityManager) => Promise<unknown>) =>
      dataSource.transaction(take),
    rollback: (dataSource: DataSource, take: (manager: EntityManager) => Promise<unknown>) =>
      dataSource
        .transaction(async (manager) => {
          await take(manager)
          throw new RangeError('of the application')
        })
        .catch(() => undefined),
    release: async (dataSource: DataSource, take: (manager: EntityManager) => Promise<unknown>) => {
      const runner = dataSource.createQueryRunner()
      await take(runner.manager)
      await runner.release()
    },
  }

  it.each(later)('%s by a manager whose transaction has ended is refused, and writes nothing', async (_, operation) => {
    for (const end of Object.values(ends)) {
      for (const isUsed of [false, true]) {
        const {
          answer,
          desks: rows,
          remarks,
        } = await everywhere(async (dataSource) => {
          let kept: EntityManager | undefined
          await end(dataSource, async (manager) => {
            kept = manager
            if (isUsed) await manager.count(Desk)
          })
          return kept && operation(kept).catch((error: Error) => error.constructor.name)
        })
        expect(answer).toMatch(/AlreadyReleasedError$/)
        expect([rows.every(([, weight]) => weight === 0) && rows.length, remarks]).toEqual([3, 0])
      }
    }
  })

  it('starts no transaction on a runner that was released', async () => {
    const { answer } = await everywhere(async (dataSource) => {
      const runner = dataSource.createQueryRunner()
      await runner.release()
      return runner.startTransaction().catch((error: Error) => error.constructor.name)
    })
    expect(answer).toBe('QueryRunnerAlreadyReleasedError')
  })

  const atOnce: readonly (readonly [string, readonly ((manager: EntityManager) => Promise<unknown>)[]])[] = [
    [
      'updates of SQL',
      [
        (manager) => manager.query('UPDATE desk SET weight = 1'),
        (manager) => manager.query('UPDATE desk SET weight = 11 WHERE id = 1'),
        (manager) => manager.query('UPDATE desk SET weight = weight + 5'),
        (manager) => manager.query('UPDATE desk SET weight = weight * 2 WHERE id = $1', [2]),
      ],
    ],
    [
      'deletes and inserts of SQL',
      [
        (manager) => manager.query('DELETE FROM desk'),
        (manager) => manager.query('INSERT INTO desk (id, weight) VALUES (1, 5), (2, 6), (3, 7)'),
        (manager) => manager.query('UPDATE desk SET weight = 9 WHERE id = 2'),
        (manager) => manager.query('INSERT INTO remark (id) SELECT 7'),
        (manager) => manager.query('DELETE FROM remark'),
      ],
    ],
    [
      'updates of builders',
      [
        (manager) => manager.createQueryBuilder().update(Desk).set({ weight: 1 }).execute(),
        (manager) => manager.createQueryBuilder().update(Desk).set({ weight: 11 }).where('id = 1').execute(),
      ],
    ],
  ]

  it.each(atOnce)('%s that are begun at once run in the order of their calls', async (_, calls) => {
    await everywhere(async (dataSource) => {
      await dataSource.transaction((manager) => Promise.all(calls.map((call) => call(manager))))
      const runner = dataSource.createQueryRunner()
      await Promise.all(calls.map((call) => call(runner.manager)))
      await runner.release()
      let settled: readonly string[] = []
      await dataSource
        .transaction(async (manager) => {
          const failed = manager.query('UPDATE desk SET weight = 1 / 0')
          const all = await Promise.allSettled([failed, ...calls.map((call) => call(manager))])
          settled = all.map(({ status }) => status)
          throw new RangeError('of the application')
        })
        .catch(() => undefined)
      return settled
    })
  })
})
