import { describe, expect, it } from 'vitest'
import { onTargets } from '../support/targets'
import { Account, bank, Entry, ids, twelveAccounts } from './bank'

describe('INSERT … SELECT within a colocation group', () => {
  onTargets(bank, (target) => {
    const query = (text: string, parameters?: unknown[]) => target.dataSource.query(text, parameters)
    const seed = async () => {
      await target.dataSource.getRepository(Account).insert(twelveAccounts())
      await target.dataSource
        .getRepository(Entry)
        .insert(ids.flatMap((accountId) => [1, 2].map((amount) => ({ accountId, amount }))))
    }
    const noted = (note: string) =>
      target.dataSource.getRepository(Entry).find({ where: { note }, order: { accountId: 'ASC', amount: 'ASC' } })

    it.each([
      [
        'columns and expressions',
        `SELECT a.id, a.balance * 2, 'n' FROM account a WHERE a.balance > $1`,
        [
          ['6', 120],
          ['7', 140],
          ['8', 160],
          ['9', 180],
          ['10', 200],
          ['11', 220],
          ['12', 240],
        ],
      ],
      [
        'a join on the key',
        `SELECT a.id, e.amount + a.balance, 'n' FROM account a JOIN entry e ON e."accountId" = a.id WHERE a.balance > $1`,
        [
          ['6', 61],
          ['6', 62],
          ['7', 71],
          ['7', 72],
          ['8', 81],
          ['8', 82],
          ['9', 91],
          ['9', 92],
          ['10', 101],
          ['10', 102],
          ['11', 111],
          ['11', 112],
          ['12', 121],
          ['12', 122],
        ],
      ],
      [
        'groups of a key',
        `SELECT e."accountId", sum(e.amount) + $1, 'n' FROM entry e GROUP BY e."accountId"`,
        [
          ['1', 53],
          ['2', 53],
          ['3', 53],
          ['4', 53],
          ['5', 53],
          ['6', 53],
          ['7', 53],
          ['8', 53],
          ['9', 53],
          ['10', 53],
          ['11', 53],
          ['12', 53],
        ],
      ],
      [
        'a subquery',
        `SELECT s.id, s.twice, 'n' FROM (SELECT id, balance * 2 AS twice FROM account WHERE balance > $1) s`,
        [
          ['6', 120],
          ['7', 140],
          ['8', 160],
          ['9', 180],
          ['10', 200],
          ['11', 220],
          ['12', 240],
        ],
      ],
      [
        'windows of a key',
        `SELECT "accountId", row_number() OVER (PARTITION BY "accountId" ORDER BY amount) + $1, 'n' FROM entry`,
        [
          ['1', 51],
          ['1', 52],
          ['2', 51],
          ['2', 52],
          ['3', 51],
          ['3', 52],
          ['4', 51],
          ['4', 52],
          ['5', 51],
          ['5', 52],
          ['6', 51],
          ['6', 52],
          ['7', 51],
          ['7', 52],
          ['8', 51],
          ['8', 52],
          ['9', 51],
          ['9', 52],
          ['10', 51],
          ['10', 52],
          ['11', 51],
          ['11', 52],
          ['12', 51],
          ['12', 52],
        ],
      ],
    ])('%s', async (_what, select, expected) => {
      await seed()
      await query(`INSERT INTO entry ("accountId", amount, note) ${select}`, [50])
      expect((await noted('n')).map(({ accountId, amount }) => [accountId, amount])).toEqual(expected)
    })

    it('a union of two tables, which are not read together on a shard', async () => {
      await seed()
      await query(
        `INSERT INTO entry ("accountId", amount, note) SELECT id, balance, 'u' FROM account UNION ALL SELECT "accountId", amount, 'u' FROM entry`,
      )
      expect(await target.dataSource.getRepository(Entry).countBy({ note: 'u' })).toBe(36)
    })

    it('WITH before it and in it', async () => {
      await seed()
      await query(
        `WITH rich AS (SELECT id, balance FROM account WHERE balance > $1) INSERT INTO entry ("accountId", amount, note) SELECT id, balance, 'with' FROM rich`,
        [100],
      )
      await query(
        `INSERT INTO entry ("accountId", amount, note) WITH rich AS (SELECT id, balance FROM account WHERE balance > $1) SELECT id, balance, 'in' FROM rich`,
        [100],
      )
      for (const note of ['with', 'in'])
        expect((await noted(note)).map(({ accountId, amount }) => [accountId, amount])).toEqual([
          ['11', 110],
          ['12', 120],
        ])
    })

    it('ON CONFLICT, both ways, and RETURNING', async () => {
      await seed()
      const updated = await query(
        `INSERT INTO account (id, owner, version) SELECT id, owner || '!', 1 FROM account WHERE balance > 100
         ON CONFLICT (id) DO UPDATE SET owner = EXCLUDED.owner RETURNING id, owner`,
      )
      expect([...updated].sort((x: { id: string }, y: { id: string }) => Number(x.id) - Number(y.id))).toEqual([
        { id: '11', owner: 'b!' },
        { id: '12', owner: 'c!' },
      ])
      expect(
        await query(
          `INSERT INTO account (id, owner, version) SELECT id, 'x', 1 FROM account ON CONFLICT DO NOTHING RETURNING id`,
        ),
      ).toEqual([])
      expect(await target.dataSource.getRepository(Account).countBy({ owner: 'x' })).toBe(0)
    })
  })
})
