import { describe, expect, it } from 'vitest'
import { answer, expectAlike, openSides, rolledBack } from './sides'

describe('locks over shards', () => {
  const sides = openSides()
  const page = 'SELECT id FROM ord WHERE qty > 2 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED'
  const claim = `UPDATE ord SET status = 'mine' WHERE id = (${page})`

  it('with LIMIT and SKIP LOCKED are refused in a transaction, where each shard would hold a page that others pass over', async () => {
    for (const { name, shards, dataSource } of sides.sharded())
      await rolledBack(dataSource, async (runner) => {
        const expected = shards > 1 ? { error: 'STATEMENT_UNSUPPORTED' } : { columns: ['id'], rows: ['{"id":2}'] }
        expect({ name, given: await answer(runner, page) }).toEqual({ name, given: expected })
      })
  })

  it('with LIMIT alone give the row of one database in a transaction', async () => {
    const text = page.replace(' SKIP LOCKED', '')
    for (const dataSource of [sides.plain(), ...sides.sharded().map((target) => target.dataSource)])
      await rolledBack(dataSource, async (runner) =>
        expect(await answer(runner, text)).toEqual({ columns: ['id'], rows: ['{"id":2}'] }),
      )
  })

  it('beside an aggregate are the mistake that they are', async () => {
    const text = 'SELECT count(*) FROM ord LIMIT 1 FOR UPDATE SKIP LOCKED'
    for (const dataSource of [sides.plain(), ...sides.sharded().map((target) => target.dataSource)])
      await rolledBack(dataSource, async (runner) => expect(await answer(runner, text)).toEqual({ error: '0A000' }))
  })

  it('with LIMIT on the shard of a key lock that page', async () => {
    const text = page.replace('qty > 2', 'k = 8')
    for (const dataSource of [sides.plain(), ...sides.sharded().map((target) => target.dataSource)])
      await rolledBack(dataSource, async (first) => {
        expect(await answer(first, text)).toEqual({ columns: ['id'], rows: ['{"id":2}'] })
        await rolledBack(dataSource, async (second) =>
          expect(await answer(second, text)).toEqual({ columns: ['id'], rows: ['{"id":17}'] }),
        )
      })
  })

  it('of a claim without a transaction would be gone before it writes: it is refused', async () => {
    for (const { name, shards, dataSource } of sides.sharded()) {
      if (shards < 2) continue
      expect({ name, given: await answer(dataSource, claim) }).toEqual({
        name,
        given: { error: 'STATEMENT_UNSUPPORTED' },
      })
    }
  })

  it.each([
    'SELECT id FROM ord WHERE qty > 2 ORDER BY id FOR UPDATE',
    'SELECT o.id FROM ord o JOIN acct a ON a.k = o.k ORDER BY o.id FOR UPDATE OF o NOWAIT',
    page,
  ])('without a transaction last as long as the statement: %s', (text) => expectAlike(sides, text))

  it('without LIMIT hold their rows, and no others', async () => {
    for (const dataSource of [sides.plain(), ...sides.sharded().map((target) => target.dataSource)])
      await rolledBack(dataSource, async (first) => {
        await first.query('SELECT id FROM ord WHERE qty = 3 ORDER BY id FOR UPDATE')
        await rolledBack(dataSource, async (second) => {
          const free = await second.query('SELECT id FROM ord WHERE qty IN (3, 4) ORDER BY id FOR UPDATE SKIP LOCKED')
          const all = await dataSource.query('SELECT id FROM ord WHERE qty = 4 ORDER BY id')
          expect(free).toEqual(all)
        })
      })
  })
})
