import { randomBytes } from 'node:crypto'
import { type EntityManager, MoreThan, type QueryRunner } from 'typeorm'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ShardedDataSource } from '../../src/index'
import { onTargets } from '../support/targets'
import { Account, bank, Setting, twelveAccounts } from './bank'

/** A role of all servers, which row security holds for. */
const role = `reader_${randomBytes(6).toString('hex')}`

describe('session state', () => {
  onTargets(bank, (target) => {
    const accounts = () => target.dataSource.getRepository(Account)
    /** On every database: the tables of accounts by the name `account`. */
    const everywhere = async (...texts: readonly string[]): Promise<void> => {
      const { dataSource } = target
      for (const text of texts) {
        if (!(dataSource instanceof ShardedDataSource)) await dataSource.query(text)
        else
          for (const { name } of dataSource.shards(Account))
            await dataSource
              .shard(name)
              .query(text.replace(/\baccount\b/g, '"__shard__"."account"').replace(/\bfew\b/, `few_${name}`))
      }
    }
    const byRunner = async <T>(work: (runner: QueryRunner) => Promise<T>): Promise<T> => {
      const runner = target.dataSource.createQueryRunner()
      try {
        return await work(runner)
      } finally {
        await runner.release()
      }
    }
    const settingOn = async (manager: EntityManager, name: string): Promise<readonly unknown[]> =>
      (await manager.query('SELECT DISTINCT current_setting($1, true) AS v FROM account', [name])).map(
        ({ v }: { v: unknown }) => v,
      )
    const isSharded = (): boolean => target.shards > 0

    beforeAll(async () => {
      await everywhere(
        `DO $$ BEGIN CREATE ROLE ${role}; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$`,
      )
      await everywhere(
        `GRANT ALL ON account TO ${role}`,
        'ALTER TABLE account ENABLE ROW LEVEL SECURITY',
        `CREATE POLICY own ON account USING (owner = current_setting('app.owner', true))`,
        ...(isSharded() ? [] : [`GRANT USAGE ON SCHEMA public TO ${role}`]),
      )
      const { dataSource } = target
      if (dataSource instanceof ShardedDataSource)
        for (const { name, layout } of dataSource.shards(Account))
          if (layout === 'schema') await dataSource.shard(name).query(`GRANT USAGE ON SCHEMA "${name}" TO ${role}`)
    })
    beforeEach(async () => {
      await accounts().insert(twelveAccounts())
    })
    afterAll(() => everywhere(`DROP OWNED BY ${role}`))

    describe.each([
      [
        'set_config with parameters',
        (m: EntityManager, owner: string) => m.query('SELECT set_config($1, $2, true)', ['app.owner', owner]),
      ],
      [
        'set_config with literals',
        (m: EntityManager, owner: string) =>
          m.query(`SELECT pg_catalog.set_config('app.owner', '${owner}'::text, true) AS owner`),
      ],
      ['SET LOCAL', (m: EntityManager, owner: string) => m.query(`SET LOCAL app.owner = '${owner}'`)],
    ])('row security by %s', (_, setOwner) => {
      it('holds for finds, counts, SQL and writes on all shards of the transaction', async () => {
        await target.dataSource.transaction(async (manager) => {
          await manager.query(`SET LOCAL ROLE ${role}`)
          await setOwner(manager, 'a')
          expect(await manager.find(Account, { order: { id: 'ASC' } })).toMatchObject(
            ['1', '4', '7', '10'].map((id) => ({ id, owner: 'a' })),
          )
          expect(await manager.count(Account)).toBe(4)
          expect(await manager.findOneBy(Account, { id: '2' })).toBeNull()
          expect(await manager.query('SELECT count(*)::int AS n FROM account')).toEqual([{ n: 4 }])
          expect((await manager.update(Account, {}, { balance: 5 }).catch(() => ({ affected: 0 }))).affected).toBe(0)
          expect((await manager.updateAll(Account, { balance: 5 })).affected).toBe(4)
          await setOwner(manager, 'b')
          expect(await manager.count(Account)).toBe(4)
          expect(await manager.sum(Account, 'balance')).toBe(20 + 50 + 80 + 110)
        })
        expect(await accounts().count()).toBe(12)
      })

      it('is undone with the savepoint, and with the transaction', async () => {
        await target.dataSource.transaction(async (manager) => {
          await setOwner(manager, 'a')
          await manager
            .transaction(async (inner) => {
              await setOwner(inner, 'b')
              expect(await settingOn(inner, 'app.owner')).toEqual(['b'])
              throw new Error('inner')
            })
            .catch(() => undefined)
          expect(await settingOn(manager, 'app.owner')).toEqual(['a'])
          await manager.transaction((inner) => setOwner(inner, 'c'))
          expect(await settingOn(manager, 'app.owner')).toEqual(['c'])
        })
        await target.dataSource.transaction(async (manager) => {
          const [value] = await settingOn(manager, 'app.owner')
          expect(value ?? '').toBe('')
        })
      })

      it('returns to what it was before a savepoint, on nodes that join after it too', async () => {
        await byRunner(async (runner) => {
          await runner.query('BEGIN')
          await setOwner(runner.manager, 'a')
          await runner.query('SAVEPOINT s')
          await setOwner(runner.manager, 'b')
          expect(
            await runner.query('SELECT current_setting($1) AS v FROM account WHERE id = 1', ['app.owner']),
          ).toEqual([{ v: 'b' }])
          await runner.query('ROLLBACK TO s')
          expect(await settingOn(runner.manager, 'app.owner')).toEqual(['a'])
          await runner.query('ROLLBACK')
        })
      })
    })

    it('set_config answers as PostgreSQL does', async () => {
      await target.dataSource.transaction(async (manager) => {
        const texts: readonly [string, (readonly unknown[])?][] = [
          ["SELECT set_config('app.x', 'é''\\', true)"],
          ["SELECT set_config('app.x', $1, true) AS a, set_config('app.y', $2::text, 'on') AS b", [7, true]],
          ["SELECT set_config('work_mem', '4096', true)"],
          ["SELECT set_config('app.x', upper('abc'), true)"],
          ["SELECT current_setting('app.x') AS x, current_setting('app.y') AS y"],
        ]
        const answers = []
        for (const [text, parameters] of texts) answers.push(await manager.query(text, parameters as unknown[]))
        expect(answers).toEqual([
          [{ set_config: "é'\\" }],
          [{ a: '7', b: 'true' }],
          [{ set_config: '4MB' }],
          [{ set_config: 'ABC' }],
          [{ x: 'ABC', y: 'true' }],
        ])
      })
    })

    it('constraints are deferred on every node', async () => {
      await accounts().update({ balance: MoreThan(0) }, { owner: () => 'id::text' })
      await everywhere('ALTER TABLE account ADD CONSTRAINT few UNIQUE (owner) DEFERRABLE INITIALLY IMMEDIATE')
      await target.dataSource.transaction(async (manager) => {
        await manager.query('SET CONSTRAINTS ALL DEFERRED')
        await manager.query("UPDATE account SET owner = 'same'")
        await manager.query('UPDATE account SET owner = id::text')
        await manager.query('SET CONSTRAINTS ALL IMMEDIATE')
        await expect(manager.query("UPDATE account SET owner = 'same'")).rejects.toMatchObject({ code: '23505' })
        await manager.query('ROLLBACK')
      })
      await everywhere('ALTER TABLE account DROP CONSTRAINT few')
    })

    it('the time zone of a transaction is that of all its nodes', async () => {
      await target.dataSource.transaction(async (manager) => {
        await manager.query("SET LOCAL TIME ZONE 'Asia/Tokyo'")
        expect(await settingOn(manager, 'TimeZone')).toEqual(['Asia/Tokyo'])
        await manager.query("SET LOCAL DateStyle = 'ISO', 'DMY'")
        await manager.query('SELECT 1 AS x')
        await manager.query('RESET TimeZone')
        expect(await settingOn(manager, 'TimeZone')).not.toEqual(['Asia/Tokyo'])
      })
    })

    it('a setting of the session is committed, rolled back and reset with it, and gone with its runner', async () => {
      await byRunner(async (runner) => {
        await runner.startTransaction()
        await runner.query("SET app.owner = 'a'")
        expect(await settingOn(runner.manager, 'app.owner')).toEqual(['a'])
        await runner.commitTransaction()
        await runner.startTransaction()
        expect(await settingOn(runner.manager, 'app.owner')).toEqual(['a'])
        await runner.query("SELECT set_config('app.owner', 'b', false)")
        expect(await settingOn(runner.manager, 'app.owner')).toEqual(['b'])
        await runner.rollbackTransaction()
        expect(await runner.query("SELECT current_setting('app.owner') AS v")).toEqual([{ v: 'a' }])
        await runner.query('RESET app.owner')
        await runner.startTransaction()
        expect((await settingOn(runner.manager, 'app.owner'))[0] ?? '').toBe('')
        await runner.rollbackTransaction()
        if (isSharded()) await runner.query("SET app.owner = 'left'")
      })
      for (let round = 0; round < 12; round++)
        expect(
          (await target.dataSource.query("SELECT coalesce(current_setting('app.owner', true), '') AS v"))[0].v,
        ).toBe('')
    })

    it('settings of time and cost are kept with the session', async () => {
      await byRunner(async (runner) => {
        await runner.query("SET statement_timeout = '7s'")
        await runner.query('SET work_mem = 8192')
        expect(await runner.manager.count(Account)).toBe(12)
        expect(await runner.query('SHOW statement_timeout')).toEqual([{ statement_timeout: '7s' }])
        await runner.startTransaction()
        expect(await settingOn(runner.manager, 'statement_timeout')).toEqual(['7s'])
        await runner.rollbackTransaction()
        await runner.query('RESET ALL')
        expect(await runner.query('SHOW statement_timeout')).toEqual([{ statement_timeout: '0' }])
      })
    })

    it('a wrong setting is the server’s error at once', async () => {
      await byRunner(async (runner) => {
        await runner.query('BEGIN')
        await expect(runner.query('SET LOCAL no_such_thing = 1')).rejects.toMatchObject({ code: '42704' })
        await expect(runner.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' })
        await runner.query('ROLLBACK')
        await runner.query('BEGIN')
        await expect(runner.query("SET LOCAL ROLE 'no such role'")).rejects.toMatchObject({ code: '22023' })
        await runner.query('ROLLBACK')
      })
    })

    it('notifications, temporary tables, locks and prepared statements are the home node’s, beside writes on all', async () => {
      await byRunner(async (runner) => {
        await runner.query('LISTEN news')
        await runner.query('CREATE TEMPORARY TABLE basket (n int)')
        await runner.query('PREPARE three AS SELECT 3 AS n')
        await runner.startTransaction()
        await runner.query('SELECT pg_advisory_xact_lock(42)')
        await runner.query('INSERT INTO basket VALUES (1), (2)')
        await runner.query("NOTIFY news, 'x'")
        await runner.manager.updateAll(Account, { balance: 1 })
        await runner.manager.insert(Setting, { name: 'x' })
        await runner.commitTransaction()
        expect(await runner.query('SELECT count(*)::int AS n FROM basket')).toEqual([{ n: 2 }])
        expect(await runner.query('EXECUTE three')).toEqual([{ n: 3 }])
        await runner.query('DEALLOCATE ALL')
        expect(await runner.query('SELECT 1 AS n')).toEqual([{ n: 1 }])
      })
      expect(await accounts().sum('balance')).toBe(12)
    })
  })
})
