import { afterEach, describe, expect, it } from 'vitest'
import type { ShardedDataSource } from '../../../src/index'
import { answer, expectAlike, openSides, rolledBack } from './sides'
import { Acct } from './world'

describe('MERGE', () => {
  const sides = openSides()
  const shardedSides = () =>
    sides
      .sharded()
      .filter(({ shards }) => shards > 1)
      .map(({ name, dataSource }) => ({ name, dataSource: dataSource as ShardedDataSource }))
  const refused = { error: 'STATEMENT_UNSUPPORTED' }
  const update = 'MERGE INTO acct USING (VALUES (20)) v(n) ON k = n WHEN MATCHED THEN UPDATE SET score = 77'
  const insert = `MERGE INTO acct USING (VALUES (900)) v(n) ON k = n WHEN NOT MATCHED THEN INSERT VALUES (n, 'x', 77)`

  /** What is refused must not have written. */
  afterEach(async () => {
    for (const { name, dataSource } of shardedSides())
      expect({ name, rows: await dataSource.query('SELECT k FROM acct WHERE score = 77') }).toEqual({ name, rows: [] })
  })

  it.each([
    ['at the top', update],
    ['that inserts', insert],
    ['that deletes', 'MERGE INTO acct USING (VALUES (20)) v(n) ON k = n WHEN MATCHED THEN DELETE'],
    ['that does nothing', 'MERGE INTO acct USING (VALUES (20)) v(n) ON k = n WHEN MATCHED THEN DO NOTHING'],
    ['that returns', `${update} RETURNING merge_action(), acct.k`],
    [
      'with a WITH',
      `WITH c AS (SELECT 20 AS n) MERGE INTO acct USING c ON k = n WHEN MATCHED THEN UPDATE SET score = 77`,
    ],
    ['in a WITH', `WITH m AS (${update} RETURNING acct.k) SELECT count(*) FROM m`],
    [
      'in a WITH of a write',
      `WITH m AS (${update} RETURNING acct.k) UPDATE ord SET status = 'x' WHERE k IN (SELECT k FROM m)`,
    ],
    ['into an unsharded table, of shards', `MERGE INTO ref USING ord ON ref.id = ord.id WHEN MATCHED THEN DELETE`],
    ['of another group', 'MERGE INTO acct USING memo ON k = m WHEN MATCHED THEN UPDATE SET score = 77'],
    ['of EXPLAIN', `EXPLAIN ${update}`],
  ])('%s is refused over several shards', async (_, text) => {
    for (const { name, dataSource } of shardedSides())
      await rolledBack(dataSource, async (runner) => {
        expect({ name, given: await answer(runner, text) }).toEqual({ name, given: refused })
        expect({ name, given: await answer(runner.manager, text) }).toEqual({ name, given: refused })
        expect({ name, given: await answer(dataSource.getRepository(Acct), text) }).toEqual({ name, given: refused })
      })
  })

  it.each([
    ['STATEMENT_UNSUPPORTED', insert],
    ['KEY_CHANGED', update.replace('score = 77', 'k = k + 1')],
    ['STATEMENT_UNSUPPORTED', `WITH m AS (${insert} RETURNING acct.k) SELECT count(*) FROM m`],
    ['KEY_CHANGED', `WITH m AS (${update.replace('score = 77', 'k = 5')} RETURNING acct.k) SELECT count(*) FROM m`],
  ])(
    'on a shard, or on each, is refused with %s where it may put a row there that is not its own: %s',
    async (code, text) => {
      for (const { name, dataSource } of shardedSides()) {
        const repository = dataSource.getRepository(Acct)
        const { shard } = dataSource.locate(Acct, 20)
        for (const narrowed of [repository.onShard(shard), repository.acrossShards()])
          expect({ name, given: await answer(narrowed, text) }).toEqual({ name, given: { error: code } })
      }
    },
  )

  it('on a shard may update and delete the rows of that shard', async () => {
    for (const { dataSource } of shardedSides()) {
      const repository = dataSource.getRepository(Acct).onShard(dataSource.locate(Acct, 20).shard)
      const text = update.replace('score = 77', 'score = score + 1')
      expect(await answer(repository, `${text} RETURNING acct.k, score`)).toEqual({
        columns: ['k', 'score'],
        rows: ['{"k":20,"score":2}'],
      })
      await repository.update({ k: 20 }, { score: 1 })
    }
  })

  it('of unsharded tables alone is the home node’s', () =>
    expectAlike(sides, 'MERGE INTO ref USING (VALUES (-1)) v(n) ON id = n WHEN MATCHED THEN DELETE'))
})
