import { beforeAll, describe, expect, it } from 'vitest'
import { onEveryDatabase, openSides, rolledBack } from './sides'

describe('a stable function of the user that reads an unsharded table', () => {
  const sides = openSides()

  beforeAll(() =>
    onEveryDatabase(
      sides,
      `SET check_function_bodies = off;
       CREATE OR REPLACE FUNCTION public.code_of(int) RETURNS text LANGUAGE sql STABLE AS 'SELECT code FROM ref WHERE id = $1'`,
    ),
  )

  it.each([1, 2, 3, 4, 5, 6])('is asked on the home node, wherever a transaction began: %d', async (k) => {
    for (const { name, shards, dataSource } of sides.sharded()) {
      if (shards < 2) continue
      await rolledBack(dataSource, async (runner) => {
        await runner.query(`SELECT 1 FROM acct WHERE k = ${k}`)
        const rows = await runner.query('SELECT count(*)::int AS n, code_of(3) AS c, now() = now() AS t FROM ord')
        expect({ name, rows }).toEqual({ name, rows: [{ n: 60, c: 'c3', t: true }] })
      })
    }
  })
})
