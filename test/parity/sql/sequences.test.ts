import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ShardedDataSource } from '../../../src/index'
import { answer, openSides, rolledBack } from './sides'
import { Acct } from './world'

describe('sequences of the home node', () => {
  const sides = openSides()
  const all = () => [sides.plain(), ...sides.sharded().map(({ dataSource }) => dataSource)]

  beforeAll(async () => {
    for (const dataSource of all()) await dataSource.query('CREATE SEQUENCE ids START 900')
  })
  afterAll(async () => {
    for (const dataSource of all()) await dataSource.query('DROP SEQUENCE ids')
  })

  it('give their numbers to (SELECT nextval(…)) in VALUES, on whichever shard the row is', async () => {
    for (const dataSource of all())
      await rolledBack(dataSource, async (runner) => {
        for (const k of [1, 2, 3, 4, 5, 6])
          await runner.query(`INSERT INTO acct (k, name, score) VALUES (${k + 900}, 'a', (SELECT nextval('ids')))`)
        const [row] = await runner.query(
          'SELECT count(DISTINCT score)::int AS n, count(*)::int AS all FROM acct WHERE k > 900',
        )
        expect(row).toEqual({ n: 6, all: 6 })
      })
  })

  it.each<(k: number) => string>([
    (k) => `INSERT INTO acct (k, name, score) VALUES (${k}, 'a', nextval('ids'))`,
    (k) => `UPDATE acct SET score = nextval('ids') WHERE k = ${k}`,
    (k) => `SELECT nextval('ids') > 0 AS "isNumber" FROM acct WHERE k = ${k}`,
    (k) => `SELECT count(*) FROM ref WHERE id = (SELECT nextval('ids') FROM acct WHERE k = ${k})`,
  ])('are asked on the home node, and refused on others: %s', async (text) => {
    for (const { dataSource } of sides.sharded()) {
      const { home } = (dataSource as ShardedDataSource).shardMap
      for (const k of [901, 902, 903, 904, 905, 906])
        await rolledBack(dataSource, async (runner) => {
          const { node } = (dataSource as ShardedDataSource).locate(Acct, k)
          const given = await answer(runner, text(k))
          expect({ node, isRefused: 'error' in given && given.error }).toEqual({
            node,
            isRefused: node !== home && 'STATEMENT_UNSUPPORTED',
          })
        })
    }
  })
})
