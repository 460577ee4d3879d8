import { Column, Entity, type EntityManager, MoreThan, PrimaryColumn, type QueryRunner } from 'typeorm'
import { afterEach, describe, expect, it } from 'vitest'
import { hash, ReferenceTable, Sharded, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

@Entity()
@Sharded(hash({ shards: 2 }))
class Account {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('int', { default: 0 }) balance!: number
}

@Entity()
@ReferenceTable()
class Rate {
  @PrimaryColumn('int') id!: number
}

@Entity()
class Note {
  @PrimaryColumn('int') id!: number
  @Column('text', { default: '' }) text!: string
}

/** On every shard and node. */
const ids = Array.from({ length: 24 }, (_, index) => index + 1)

const aborted = 'QueryFailedError 25P02 current transaction is aborted, commands ignored until end of transaction block'

const outcome = async (work: () => Promise<unknown>): Promise<unknown> => {
  try {
    await work()
    return 'works'
  } catch (error) {
    if (!(error instanceof Error)) throw error
    return [error.name, 'code' in error ? error.code : '', error.message].join(' ')
  }
}

/** What an application may do in a transaction. */
const statements: Readonly<Record<string, (manager: EntityManager, id: number) => Promise<unknown>>> = {
  find: (manager, id) => manager.findBy(Account, { id }),
  'find over shards': (manager, id) => manager.findBy(Account, { id: MoreThan(id) }),
  count: (manager) => manager.count(Account),
  'find an unsharded row': (manager, id) => manager.findBy(Note, { id }),
  'find a row of a reference table': (manager, id) => manager.findBy(Rate, { id }),
  insert: (manager, id) => manager.insert(Account, { id: id + 1_000 }),
  save: (manager, id) => manager.save(Account, { id: id + 2_000 }),
  update: (manager, id) => manager.update(Account, { id }, { balance: 1 }),
  'update over shards': (manager) => manager.update(Account, { balance: 7 }, { balance: 8 }),
  delete: (manager, id) => manager.delete(Account, { id }),
  'write an unsharded row': (manager, id) => manager.insert(Note, { id: id + 1_000 }),
  'write a reference table': (manager, id) => manager.insert(Rate, { id: id + 1_000 }),
  'a builder': (manager, id) => manager.createQueryBuilder(Account, 'a').where('a.id = :id', { id }).getMany(),
  'SQL of a shard': (manager, id) => manager.query('SELECT * FROM account WHERE id = $1', [id]),
  'SQL over shards': (manager) => manager.query('SELECT balance, count(*) FROM account GROUP BY balance'),
  'SQL at home': (manager) => manager.query('SELECT 1'),
}

describe('a transaction in which a statement has failed', () => {
  onTargets({ entities: [Account, Rate, Note], groups: ['account'] }, (target) => {
    const runners: QueryRunner[] = []
    const opened = () => {
      const runner = target.dataSource.createQueryRunner()
      runners.push(runner)
      return runner
    }
    afterEach(async () => {
      // What a failed test has left open would keep its rows locked.
      for (const runner of runners.splice(0)) if (!runner.isReleased) await runner.release()
    })
    const manager = () => target.dataSource.manager
    const seeded = () =>
      manager().insert(
        Account,
        ids.map((id) => ({ id })),
      )
    const failure = (inside: EntityManager, id: number) => outcome(() => inside.insert(Account, { id }))
    const duplicate = /^QueryFailedError 23505 /

    it.each(Object.entries(statements))('takes none until its end, on whatever node: %s', async (_, statement) => {
      await seeded()
      for (const id of ids.slice(0, 6)) {
        const runner = opened()
        await runner.startTransaction()
        await runner.manager.insert(Note, { id })
        expect(await failure(runner.manager, id)).toMatch(duplicate)
        for (const other of ids.slice(12, 16))
          expect(await outcome(() => statement(runner.manager, other))).toBe(aborted)
        await runner.rollbackTransaction()
        expect(await outcome(() => statement(runner.manager, id))).toBe('works')
        await runner.release()
      }
      expect(await manager().findBy(Note, { id: MoreThan(0) })).toEqual(
        await manager().findBy(Note, { id: MoreThan(1_000) }),
      )
    })

    it.each(Object.entries(statements))('goes on when a nested one is rolled back: %s', async (_, statement) => {
      await seeded()
      for (const id of ids.slice(0, 6)) {
        await manager().transaction(async (outer) => {
          await outer.insert(Note, { id: id + 100 })
          const nested = outer.transaction(async (inner) => {
            await inner.insert(Note, { id: id + 200 })
            expect(await failure(inner, id)).toMatch(duplicate)
            expect(await outcome(() => statement(inner, id + 7))).toBe(aborted)
            throw new Error('given up')
          })
          await expect(nested).rejects.toThrow('given up')
          expect(await outcome(() => statement(outer, id))).toBe('works')
        })
      }
      const notes = await manager().findBy(Note, { id: MoreThan(0) })
      expect(notes.map((note) => note.id).filter((id) => id < 1_000)).toEqual(ids.slice(0, 6).map((id) => id + 100))
    })

    it('rolls a nested one back that cannot be kept', async () => {
      await seeded()
      await manager().transaction(async (outer) => {
        await outer.insert(Note, { id: 1 })
        for (const id of ids) {
          const nested = outer.transaction(async (inner) => {
            for (const another of ids.slice(0, 4)) await inner.insert(Account, { id: id * 100 + another })
            expect(await failure(inner, id)).toMatch(duplicate)
          })
          expect(await outcome(() => nested)).toBe(aborted)
        }
        await outer.insert(Note, { id: 2 })
      })
      expect([await manager().count(Account), await manager().count(Note)]).toEqual([ids.length, 2])
    })

    it('begins no nested one', async () => {
      await seeded()
      for (const id of ids.slice(0, 6)) {
        const runner = opened()
        await runner.startTransaction()
        await runner.manager.insert(Note, { id })
        await runner.manager.findBy(Account, { id: id + 1 })
        expect(await failure(runner.manager, id)).toMatch(duplicate)
        expect(await outcome(() => runner.startTransaction())).toBe(aborted)
        await runner.rollbackTransaction()
        expect(await runner.manager.count(Note)).toBe(0)
        await runner.release()
      }
    })

    it('goes on from a savepoint of SQL', async () => {
      await seeded()
      for (const id of ids.slice(0, 6)) {
        const runner = opened()
        await runner.startTransaction()
        await runner.manager.insert(Note, { id })
        await runner.query('SAVEPOINT here')
        await runner.manager.insert(Account, { id: id + 500 })
        expect(await failure(runner.manager, id)).toMatch(duplicate)
        expect(await outcome(() => runner.query('SAVEPOINT there'))).toBe(aborted)
        expect(await outcome(() => runner.query('SET LOCAL work_mem = 999'))).toBe(aborted)
        expect(await outcome(() => runner.manager.count(Account))).toBe(aborted)
        await runner.query('ROLLBACK TO SAVEPOINT here')
        await runner.manager.insert(Account, { id: id + 600 })
        await runner.commitTransaction()
        await runner.release()
      }
      const all = await manager().find(Account, { where: { id: MoreThan(500) }, order: { id: 'ASC' } })
      expect(all.map(({ id }) => id)).toEqual(ids.slice(0, 6).map((id) => id + 600))
      expect(await manager().count(Note)).toBe(6)
    })
  })
})
