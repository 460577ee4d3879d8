import { describe, expect, it } from 'vitest'
import { expectAlike, openSides, rolledBack } from './sides'

describe('set operations over equal values that are written otherwise', () => {
  const sides = openSides()

  it.each([
    '(SELECT amount + 0.000 FROM ord WHERE id < 20) EXCEPT (SELECT amount FROM ord WHERE id > 40)',
    '(SELECT qty + 0.00 FROM ord WHERE qty < 4) EXCEPT ALL (SELECT id::numeric FROM ref)',
    '(SELECT id::numeric FROM ref) EXCEPT (SELECT qty + 0.00 FROM ord WHERE qty < 4) ORDER BY 1',
    `(SELECT '-0'::float8) EXCEPT SELECT qty::float8 FROM ord WHERE qty > 5`,
    '(SELECT ARRAY[qty + 0.00] FROM ord) EXCEPT (SELECT ARRAY[id::numeric] FROM ref WHERE id < 3)',
    `(SELECT jsonb_build_object('a', qty + 0.00) FROM ord) EXCEPT (SELECT jsonb_build_object('a', id) FROM ref WHERE id < 3)`,
    '(SELECT id::numeric FROM ref) UNION ALL (SELECT qty + 0.00 FROM ord WHERE qty < 3)',
  ])('give those of the left side for EXCEPT, and both for UNION ALL: %s', (text) => expectAlike(sides, text))

  it.each([
    'SELECT trim_scale(v) AS v FROM ((SELECT id::numeric AS v FROM ref) INTERSECT (SELECT qty + 0.00 FROM ord)) x ORDER BY 1',
    'SELECT trim_scale(v) AS v FROM ((SELECT k + 0.0 AS v FROM acct) INTERSECT ALL (SELECT qty + 0.00 FROM ord)) x ORDER BY 1',
    'SELECT trim_scale(v) AS v FROM ((SELECT k + 0.0 AS v FROM acct) UNION (SELECT qty + 0.00 FROM ord)) x ORDER BY 1',
    'SELECT trim_scale(v) AS v FROM (SELECT DISTINCT amount + (id % 2) * 0.000 AS v FROM ord) x ORDER BY 1',
  ])('have the same values, in the form of either side: %s', (text) => expectAlike(sides, text))

  it('of INTERSECT have the form of the side that one database expects to be the smaller', async () => {
    const forms = await rolledBack(sides.plain(), async (runner) => {
      await runner.query('CREATE TEMP TABLE many AS SELECT n + 0.0 AS v FROM generate_series(1, 2000) n')
      await runner.query('CREATE TEMP TABLE few AS SELECT n + 0.00 AS v FROM generate_series(1, 3) n')
      const form = async () => (await runner.query('TABLE many INTERSECT TABLE few ORDER BY 1'))[0].v
      const before = await form()
      await runner.query('ANALYZE many')
      await runner.query('ANALYZE few')
      return [before, await form()]
    })
    expect(forms).toEqual(['1.0', '1.00'])
  })
})
