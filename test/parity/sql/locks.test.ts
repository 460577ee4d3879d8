import { type DataSource, MoreThan } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { answer, expectAlike, openSides, rolledBack } from './sides'
import { Ord } from './world'

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

  it.each([
    ['LIMIT ALL', []],
    ['LIMIT NULL', []],
    ['OFFSET 0', []],
    ['OFFSET NULL', []],
    ['LIMIT $1 OFFSET $2', [null, 0]],
    ['LIMIT 9223372036854775807', []],
  ])('with SKIP LOCKED and %s, which is no page, give all rows in a transaction', async (words, parameters) => {
    const text = `SELECT id FROM ord WHERE qty > 7 ORDER BY id ${words} FOR UPDATE SKIP LOCKED`
    const all = await sides.plain().query('SELECT id FROM ord WHERE qty > 7 ORDER BY id')
    for (const { name, dataSource } of sides.sharded())
      await rolledBack(dataSource, async (runner) => {
        expect({ name, given: await runner.query(text, parameters) }).toEqual({ name, given: all })
      })
  })

  it.each(['LIMIT 0', 'LIMIT 0 OFFSET 3'])('with SKIP LOCKED and %s give and lock no row', async (words) => {
    const text = `SELECT id FROM ord WHERE qty > 7 ORDER BY id ${words} FOR UPDATE SKIP LOCKED`
    for (const { name, dataSource } of sides.sharded())
      await rolledBack(dataSource, async (first) => {
        expect({ name, given: await first.query(text) }).toEqual({ name, given: [] })
        const free = await rolledBack(dataSource, (second) =>
          second.query('SELECT id FROM ord WHERE qty > 7 FOR UPDATE SKIP LOCKED'),
        )
        expect(free).toHaveLength(6)
      })
  })

  it.each([
    ['ORDER BY random() LIMIT 1', 'an order of the moment'],
    ['ORDER BY id LIMIT (SELECT count(*) FROM ord WHERE qty = 8)', 'a limit that is asked for'],
    ['OFFSET 1', 'an offset alone'],
  ])('with SKIP LOCKED and %s, %s, are refused in a transaction', async (words) => {
    const text = `SELECT id FROM ord WHERE qty > 2 ${words} FOR UPDATE SKIP LOCKED`
    for (const { name, shards, dataSource } of sides.sharded()) {
      if (shards < 2) continue
      await rolledBack(dataSource, async (runner) =>
        expect({ name, given: await answer(runner, text) }).toEqual({
          name,
          given: { error: 'STATEMENT_UNSUPPORTED' },
        }),
      )
    }
  })

  it.each([
    ['take: 0', { take: 0 }],
    ['skip: 0', { skip: 0 }],
    ['take: 0 and skip: 0', { take: 0, skip: 0 }],
    ['no page', {}],
  ])(
    'of a find and of a builder that pass over locked rows, with %s, give the rows of one database',
    async (_, page) => {
      const lock = { mode: 'pessimistic_write', onLocked: 'skip_locked' } as const
      const given = (dataSource: DataSource) =>
        rolledBack(dataSource, async ({ manager }) => {
          const found = await manager.find(Ord, { where: { qty: MoreThan(7) }, order: { id: 'ASC' }, lock, ...page })
          const builder = manager.createQueryBuilder(Ord, 'o').where('o.qty > 7').orderBy('o.id')
          builder.setLock('pessimistic_write').setOnLocked('skip_locked').setFindOptions(page)
          return [found, await builder.getMany()].map((rows) => rows.map(({ id }) => id))
        })
      const expected = await given(sides.plain())
      for (const { name, dataSource } of sides.sharded())
        expect({ name, given: await given(dataSource) }).toEqual({ name, given: expected })
    },
  )

  it.each([{ take: 2 }, { skip: 1 }, { take: 2, skip: 1 }])(
    'of a find that passes over locked rows, with the page %o, are refused over several shards and exact on one',
    async (page) => {
      const lock = { mode: 'pessimistic_write', onLocked: 'skip_locked' } as const
      const find = (dataSource: DataSource, where: object) =>
        rolledBack(dataSource, async ({ manager }) =>
          (await manager.find(Ord, { where, order: { id: 'ASC' }, lock, ...page })).map(({ id }) => id),
        )
      for (const { name, shards, dataSource } of sides.sharded()) {
        if (shards > 1)
          await expect(find(dataSource, { qty: MoreThan(7) }), name).rejects.toMatchObject({
            code: 'STATEMENT_UNSUPPORTED',
          })
        expect(await find(dataSource, { k: 8 }), name).toEqual(await find(sides.plain(), { k: 8 }))
      }
    },
  )

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

  it.each([
    'SELECT id, qty FROM ord ORDER BY qty FETCH FIRST 3 ROWS WITH TIES FOR UPDATE',
    'SELECT o.id FROM ord o JOIN ref r ON r.id = o.qty ORDER BY 1 FOR UPDATE',
    'SELECT o.id FROM ord o JOIN ref r ON r.id = o.qty ORDER BY 1 FOR SHARE OF r',
    'SELECT o.id FROM ord o JOIN (SELECT * FROM ref WHERE id < 4) r ON r.id = o.qty ORDER BY 1 FOR UPDATE OF r',
    'SELECT * FROM (SELECT id FROM ord ORDER BY id LIMIT 1) j FOR UPDATE',
    'SELECT r.id FROM ref r JOIN (SELECT id FROM ord ORDER BY id LIMIT 1) j ON j.id = r.id FOR UPDATE',
    'SELECT id FROM ord WHERE qty = (SELECT id FROM ref WHERE id = 3 FOR UPDATE) ORDER BY 1',
    'SELECT o.id FROM ord o JOIN LATERAL (SELECT 1 FROM ref WHERE ref.id = o.qty LIMIT 1) x ON true ORDER BY 1 FOR UPDATE',
  ])('of rows that are sent to where the statement runs would hold nothing: they are refused: %s', async (text) => {
    for (const { name, shards, dataSource } of sides.sharded()) {
      if (shards < 2) continue
      expect({ name, given: await answer(dataSource, text) }).toEqual({
        name,
        given: { error: 'STATEMENT_UNSUPPORTED' },
      })
    }
  })

  it.each([
    'SELECT o.id FROM ord o JOIN ref r ON r.id = o.qty ORDER BY 1 FOR UPDATE OF o',
    'SELECT o.id FROM ord o JOIN (SELECT k, score FROM acct) a ON a.k = o.k ORDER BY 1 FOR UPDATE',
    'WITH r AS (SELECT * FROM ref) SELECT o.id FROM ord o JOIN r ON r.id = o.qty ORDER BY 1 FOR UPDATE',
    'SELECT r.id FROM ref r JOIN (SELECT id FROM ord ORDER BY id LIMIT 1) j ON j.id = r.id FOR UPDATE OF r',
    'SELECT id FROM ord WHERE qty IN (SELECT id FROM ref) ORDER BY id FOR UPDATE',
    'SELECT r.id, o.id FROM ref r LEFT JOIN ord o ON o.id = r.id ORDER BY 1 FOR UPDATE OF r',
    'SELECT qty FROM ord GROUP BY qty FOR UPDATE',
    'SELECT o.id FROM ord o JOIN ref r ON r.id = o.qty FOR UPDATE OF x',
  ])('of the rows of shards, and of tables that are read where they are, give what one database gives: %s', (text) =>
    expectAlike(sides, text),
  )

  it('of an unsharded table beside rows of shards hold', async () => {
    const text = 'SELECT r.id FROM ref r JOIN (SELECT id FROM ord ORDER BY id LIMIT 1) j ON j.id = r.id FOR UPDATE OF r'
    for (const { dataSource } of sides.sharded())
      await rolledBack(dataSource, async (first) => {
        expect(await answer(first, text)).toEqual({ columns: ['id'], rows: ['{"id":1}'] })
        await rolledBack(dataSource, async (second) =>
          expect(await answer(second, 'SELECT id FROM ref WHERE id < 3 ORDER BY id FOR UPDATE SKIP LOCKED')).toEqual({
            columns: ['id'],
            rows: ['{"id":0}', '{"id":2}'],
          }),
        )
      })
  })
})
