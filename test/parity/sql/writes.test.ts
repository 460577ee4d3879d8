import type { DataSource } from 'typeorm'
import { describe, expect, it } from 'vitest'
import type { ShardedDataSource } from '../../../src/index'
import { answer, openSides, rolledBack } from './sides'
import { Acct, Item } from './world'

describe('statements that write beside their outermost part', () => {
  const sides = openSides()

  it.each([
    ['KEY_CHANGED', 'WITH u AS (UPDATE acct SET k = 99 WHERE k = 20 RETURNING *) SELECT count(*) FROM u'],
    ['KEY_CHANGED', 'WITH u AS (UPDATE acct SET k = k + 1 WHERE k = 20 RETURNING *) SELECT count(*) FROM u'],
    [
      'KEY_CHANGED',
      'WITH u AS (UPDATE acct SET k = 99 WHERE k = 20 RETURNING k) UPDATE acct SET score = 1 WHERE k = 20',
    ],
  ])('are refused with %s where they would change a key unseen: %s', async (code, text) => {
    for (const { name, shards, dataSource } of sides.sharded())
      await rolledBack(dataSource, async (runner) => {
        const given = await answer(runner, text)
        if (shards > 1) expect({ name, given }).toEqual({ name, given: { error: code } })
        else expect(given).not.toHaveProperty('error')
      })
  })

  it('write what keeps its key', async () => {
    for (const { name, dataSource } of sides.sharded())
      await rolledBack(dataSource, async (runner) => {
        const text = 'WITH u AS (UPDATE acct SET k = 20, score = 3 WHERE k = 20 RETURNING *) SELECT k, score FROM u'
        expect({ name, given: await answer(runner, text) }).toEqual({
          name,
          given: { columns: ['k', 'score'], rows: ['{"k":20,"score":3}'] },
        })
      })
  })

  it('put a row on the shard that it belongs to, and on no other', async () => {
    for (const { name, shards, dataSource } of sides.sharded()) {
      if (shards < 2) continue
      const sharded = dataSource as ShardedDataSource
      const { shard } = sharded.locate(Acct, 20)
      const others = Array.from({ length: 20 }, (_, index) => index + 1)
      const stranger = others.find((k) => sharded.locate(Acct, k).shard !== shard)
      const insert = (k: number) =>
        `WITH i AS (INSERT INTO item (n, k, "ordId", label) VALUES (901, ${k}, 1, 'x') RETURNING n) SELECT n FROM i`
      const attempt = (k: number) =>
        rolledBack(dataSource, async (runner) => {
          const repository = sharded.getRepository(Item).onShard(shard)
          void runner
          return answer(repository, insert(k))
        })
      expect({ name, given: await attempt(stranger ?? 0) }).toEqual({ name, given: { error: 'WRONG_SHARD' } })
      expect({ name, given: await attempt(20) }).toEqual({ name, given: { columns: ['n'], rows: ['{"n":901}'] } })
      await dataSource.getRepository(Item).delete({ n: 901, k: 20 })
    }
  })

  const values = `VALUES (901, 1, 1, 'a'), (902, 2, 1, 'b'), (903, 3, 1, 'c'), (904, 7, 1, 'd'), (905, 8, 1, 'e')`
  it.each([
    `INSERT INTO item (n, k, "ordId", label) ${values} ORDER BY 1 DESC LIMIT 1`,
    `INSERT INTO item (n, k, "ordId", label) ${values} OFFSET 2`,
    `INSERT INTO item (n, k, "ordId", label) ${values} ORDER BY 1 DESC RETURNING n`,
  ])('by VALUES with a page of rows of several shards are refused: %s', async (text) => {
    const given = async (dataSource: DataSource) =>
      rolledBack(dataSource, async (runner) => ({
        given: await answer(runner, text),
        rows: await answer(runner, 'SELECT n, k FROM item WHERE n > 900 ORDER BY n'),
      }))
    const expected = await given(sides.plain())
    for (const { name, shards, dataSource } of sides.sharded()) {
      if (shards > 1) expect((await given(dataSource)).given).toEqual({ error: 'STATEMENT_UNSUPPORTED' })
      else expect({ name, ...(await given(dataSource)) }).toEqual({ name, ...expected })
    }
  })

  it.each([
    `INSERT INTO item (n, k, "ordId", label) VALUES (901, 7, 1, 'a'), (902, 7, 2, 'b') ORDER BY 1 DESC LIMIT 1`,
    `INSERT INTO item (n, k, "ordId", label) WITH c AS (SELECT count(*)::int AS n FROM ord) VALUES (901, 7, (SELECT n FROM c), 'a'), (902, 8, 2, 'b')`,
    `INSERT INTO item (n, k, "ordId", label) WITH c AS (SELECT id FROM ord) VALUES (901, 7, 3, 'a'), (902, 8, 2, 'b')`,
    `INSERT INTO item (n, k, "ordId", label) VALUES (901, 7, 1, 'a'), (902, 7, 2, 'b') LIMIT (SELECT count(*) - 59 FROM ord)`,
  ])('by VALUES with a page on one shard, or a WITH, are those of one database: %s', async (text) => {
    const given = async (dataSource: DataSource) =>
      rolledBack(dataSource, async (runner) => ({
        given: await answer(runner, text),
        rows: await answer(runner, 'SELECT n, k, "ordId" FROM item WHERE n > 900 ORDER BY n'),
      }))
    const expected = await given(sides.plain())
    expect(expected.given).not.toHaveProperty('error')
    for (const { name, dataSource } of sides.sharded())
      expect({ name, ...(await given(dataSource)) }).toEqual({ name, ...expected })
  })
})
