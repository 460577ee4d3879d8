import type { QueryRunner } from 'typeorm'
import { beforeEach, describe, expect, it } from 'vitest'
import { onTargets } from '../support/targets'
import { Account, bank, Setting, twelveAccounts } from './bank'

describe('transactions that are sent as SQL', () => {
  onTargets(bank, (target) => {
    const count = () => target.dataSource.getRepository(Account).count()
    const balances = () => target.dataSource.getRepository(Account).sum('balance')
    const byRunner = async <T>(work: (runner: QueryRunner) => Promise<T>): Promise<T> => {
      const runner = target.dataSource.createQueryRunner()
      try {
        return await work(runner)
      } finally {
        await runner.release()
      }
    }
    /** Each text by itself, on one runner. */
    const send = (...texts: readonly string[]) =>
      byRunner(async (runner) => {
        for (const text of texts) await runner.query(text)
      })

    beforeEach(async () => {
      await target.dataSource.getRepository(Account).insert(twelveAccounts())
    })

    it.each([
      ['BEGIN', 'ROLLBACK'],
      ['begin work;', 'rollback transaction ;'],
      ['START TRANSACTION', 'ABORT'],
      ['/* ours */ BEGIN', '-- undo\nROLLBACK'],
    ])('a DELETE between %s and %s is undone', async (begin, rollback) => {
      await send(begin, 'DELETE FROM account', 'DELETE FROM setting', rollback)
      expect(await count()).toBe(12)
    })

    it.each([
      ['BEGIN', 'COMMIT'],
      ['START TRANSACTION ISOLATION LEVEL REPEATABLE READ', 'END'],
      ['BEGIN ISOLATION LEVEL SERIALIZABLE, READ WRITE', 'COMMIT AND NO CHAIN'],
    ])('a DELETE between %s and %s is committed, and not seen before', async (begin, commit) => {
      await byRunner(async (runner) => {
        await runner.query(begin)
        await runner.query('DELETE FROM account WHERE balance > 60')
        await runner.query("INSERT INTO setting (name) VALUES ('x')")
        expect(await count()).toBe(12)
        expect(await runner.query('SELECT count(*)::int AS n FROM account')).toEqual([{ n: 6 }])
        await runner.query(commit)
        expect(await count()).toBe(6)
      })
      expect(await target.dataSource.getRepository(Setting).count()).toBe(1)
    })

    it('a transaction that nobody ends is rolled back with the runner, and leaves no connection in it', async () => {
      if (target.shards === 0) return // Plain TypeORM gives the connection back with the transaction open.
      for (let round = 0; round < 12; round++) await send('BEGIN', 'DELETE FROM account', 'DELETE FROM setting')
      expect(await count()).toBe(12)
      expect(await target.dataSource.query('SELECT pg_current_xact_id_if_assigned() AS id')).toEqual([{ id: null }])
    })

    it('savepoints are set, returned to and released by name', async () => {
      await byRunner(async (runner) => {
        const remove = (...ids: readonly number[]) => runner.query(`DELETE FROM account WHERE id IN (${ids.join()})`)
        const left = async () => (await runner.query('SELECT count(*)::int AS n FROM account'))[0].n
        await runner.query('BEGIN')
        await remove(1, 2)
        await runner.query('SAVEPOINT one')
        await remove(3, 4)
        await runner.query('SAVEPOINT "Two"')
        await remove(5, 6, 7)
        expect(await left()).toBe(5)
        await runner.query('ROLLBACK TO "Two"')
        expect(await left()).toBe(8)
        await remove(8)
        await runner.query('ROLLBACK TO SAVEPOINT "Two"')
        expect(await left()).toBe(8)
        await runner.query('RELEASE SAVEPOINT "Two"')
        await remove(9)
        await runner.query('ROLLBACK TRANSACTION TO one')
        expect(await left()).toBe(10)
        await runner.query('SAVEPOINT one')
        await remove(10)
        await runner.query('RELEASE one')
        await runner.query('ROLLBACK TO one')
        expect(await left()).toBe(10)
        await expect(runner.query('ROLLBACK TO "Two"')).rejects.toMatchObject({ code: '3B001' })
        await runner.query('ROLLBACK TO one')
        await runner.query('COMMIT')
      })
      expect(await count()).toBe(10)
    })

    it('savepoints hold on nodes that are touched after them', async () => {
      await byRunner(async (runner) => {
        await runner.query('BEGIN')
        await runner.query('SAVEPOINT a')
        await runner.query('DELETE FROM account WHERE id = 1')
        await runner.query('SAVEPOINT b')
        await runner.query('DELETE FROM account')
        await runner.query('ROLLBACK TO a')
        await runner.query("INSERT INTO account (id, owner, version) VALUES (77, 'x', 1)")
        await runner.query('END')
      })
      expect(await count()).toBe(13)
    })

    it('savepoints by SQL and transactions by call nest', async () => {
      await target.dataSource.transaction(async (manager) => {
        await manager.query('SAVEPOINT mine')
        await manager.update(Account, { id: '1' }, { balance: 1 })
        await manager
          .transaction(async (inner) => {
            await inner.query('SAVEPOINT deep')
            await inner.delete(Account, { id: '2' })
            await inner.query('ROLLBACK TO deep')
            await inner.delete(Account, { id: '3' })
            throw new Error('inner')
          })
          .catch(() => undefined)
        expect(await manager.count(Account)).toBe(12)
        await manager.query('ROLLBACK TO mine')
        await manager.query('RELEASE mine')
        await manager.delete(Account, { id: '4' })
      })
      expect(await count()).toBe(11)
      expect(await balances()).toBe(780 - 40)
    })

    it('COMMIT AND CHAIN and ROLLBACK AND CHAIN go on in a transaction of the same kind', async () => {
      await byRunner(async (runner) => {
        const isolation = async () => (await runner.query('SHOW transaction_isolation'))[0].transaction_isolation
        await runner.query('BEGIN ISOLATION LEVEL SERIALIZABLE')
        await runner.query('DELETE FROM account WHERE id = 1')
        await runner.query('COMMIT AND CHAIN')
        expect(await isolation()).toBe('serializable')
        await runner.query('DELETE FROM account WHERE id IN (2, 3)')
        await runner.query('ROLLBACK AND CHAIN')
        expect(await isolation()).toBe('serializable')
        await runner.query('DELETE FROM account WHERE id = 4')
        await runner.query('COMMIT')
        expect(await isolation()).toBe('read committed')
      })
      expect(await count()).toBe(10)
    })

    it('READ ONLY holds on every node', async () => {
      await byRunner(async (runner) => {
        await runner.query('BEGIN READ ONLY')
        expect(await runner.query('SELECT count(*)::int AS n FROM account')).toEqual([{ n: 12 }])
        for (const id of [1, 2, 3, 4, 5, 6]) {
          await runner.query('SAVEPOINT s')
          await expect(runner.query(`DELETE FROM account WHERE id = ${id}`)).rejects.toMatchObject({ code: '25006' })
          await runner.query('ROLLBACK TO s')
        }
        await runner.query('ROLLBACK')
      })
      expect(await count()).toBe(12)
    })

    it('SET TRANSACTION holds on every node, and too late it is the server’s error', async () => {
      await byRunner(async (runner) => {
        await runner.query('BEGIN')
        await runner.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ')
        expect(await runner.query('SELECT count(*)::int AS n FROM account')).toEqual([{ n: 12 }])
        await target.dataSource.getRepository(Account).delete({ id: '7' })
        await target.dataSource.getRepository(Account).delete({ id: '8' })
        expect(await runner.query('SELECT count(*)::int AS n FROM account')).toEqual([{ n: 12 }])
        await expect(runner.query('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE')).rejects.toMatchObject({
          code: '25001',
        })
        await runner.query('ROLLBACK')
      })
    })

    it('READ ONLY that was said behind a savepoint ends with it', async () => {
      await byRunner(async (runner) => {
        for (const end of ['RELEASE s', 'ROLLBACK TO s']) {
          await runner.query('BEGIN')
          await runner.query('SAVEPOINT s')
          await runner.query('SET TRANSACTION READ ONLY')
          await runner.query(end)
          for (const id of [1, 2, 3, 4, 5, 6]) await runner.query(`DELETE FROM account WHERE id = ${id}`)
          await runner.query('ROLLBACK')
        }
      })
      expect(await count()).toBe(12)
    })

    it('an isolation level behind a savepoint is the server’s error at once', async () => {
      await byRunner(async (runner) => {
        await runner.query('BEGIN')
        await runner.query('SAVEPOINT s')
        await expect(runner.query('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE')).rejects.toMatchObject({
          code: '25001',
        })
        await runner.query('ROLLBACK TO s')
        await runner.query('DELETE FROM account')
        await runner.query('COMMIT')
      })
      expect(await count()).toBe(0)
    })

    it('the ends of a transaction that there is not do nothing, and a second BEGIN neither', async () => {
      await byRunner(async (runner) => {
        for (const text of ['COMMIT', 'ROLLBACK', 'END', 'ABORT']) expect(await runner.query(text)).toEqual([])
        await expect(runner.query('SAVEPOINT a')).rejects.toMatchObject({ code: '25P01' })
        await expect(runner.query('COMMIT AND CHAIN')).rejects.toMatchObject({ code: '25P01' })
        expect(await runner.query('BEGIN')).toEqual([])
        await runner.query('DELETE FROM account WHERE id = 1')
        expect(await runner.query('BEGIN')).toEqual([])
        await runner.query('DELETE FROM account WHERE id = 2')
        expect(await runner.query('ROLLBACK')).toEqual([])
      })
      expect(await count()).toBe(12)
    })

    it('a transaction by call may be ended by SQL', async () => {
      await target.dataSource.transaction(async (manager) => {
        await manager.query('DELETE FROM account WHERE id = 1')
        await manager.query('COMMIT')
        expect(await count()).toBe(11)
      })
      await target.dataSource.transaction(async (manager) => {
        await manager.query('DELETE FROM account WHERE id = 2')
        await manager.query('ROLLBACK')
      })
      expect(await count()).toBe(11)
    })

    it('several statements of one text are what they are one by one', async () => {
      await send('BEGIN; DELETE FROM account; ROLLBACK')
      expect(await count()).toBe(12)
      await target.dataSource.query(
        "START TRANSACTION; DELETE FROM account WHERE id IN (1, 2, 3); UPDATE account SET owner = ';' WHERE id = 4; COMMIT;",
      )
      expect(await count()).toBe(9)
      await byRunner(async (runner) => {
        const failing = 'BEGIN; DELETE FROM account; SELECT 1/0; COMMIT'
        await expect(runner.query(failing)).rejects.toMatchObject({ code: '22012' })
        await runner.query('ROLLBACK')
      })
      expect(await count()).toBe(9)
    })

    it('a failed statement fails the transaction', async () => {
      await byRunner(async (runner) => {
        await runner.query('BEGIN')
        await runner.query('DELETE FROM setting')
        await expect(runner.query('SELECT 1/0')).rejects.toMatchObject({ code: '22012' })
        await expect(runner.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' })
        await runner.query('ROLLBACK')
        expect(await runner.query('SELECT 1 AS n')).toEqual([{ n: 1 }])
      })
    })
  })
})
