import { describe, expect, it } from 'vitest'
import { answer, expectAlike, expectRefused, openSides } from './sides'

describe('what a shard has under a name of its own', () => {
  const sides = openSides()

  it.each([
    'SELECT DISTINCT pg_typeof(o) IS NULL AS t FROM ord o',
    'SELECT count(*) FROM ord o GROUP BY pg_typeof(o)::text',
    'SELECT pg_typeof(id) AS t FROM ord ORDER BY id LIMIT 1',
  ])('is not asked for by pg_typeof: %s', (text) => expectRefused(sides, text))

  it.each([
    ['SELECT to_regclass($1) AS r', ['ord']],
    [`SELECT to_regclass($1) AS r`, ['public.ord']],
    [`SELECT to_regclass('ORD') AS r`, []],
    [`SELECT to_regclass('Public.ORD') AS r`, []],
    [`SELECT 'ORD'::regclass AS r`, []],
    [`SELECT $1::regclass AS r`, ['Ord']],
    [`SELECT pg_relation_size($1) AS r`, ['ord']],
  ] as const)('is not asked of the catalog by name: %s %j', async (text, parameters) => {
    for (const { name, dataSource } of sides.sharded())
      expectError({ name, ...(await answer(dataSource, text, parameters)) }, name)
  })

  it.each([
    [`SELECT to_regclass($1) IS NULL AS r`, ['"ORD"']],
    [`SELECT to_regclass('"Ord"') IS NULL AS r`, []],
    [`SELECT to_regclass($1)::text AS r`, ['ref']],
    [`SELECT upper($1) AS r`, ['ord']],
  ] as const)('and not what only looks like it: %s %j', (text, parameters) => expectAlike(sides, text, parameters))
})

function expectError(given: object, name: string): void {
  expect(given).toEqual({ name, error: 'STATEMENT_UNSUPPORTED' })
}
