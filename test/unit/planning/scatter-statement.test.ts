import { describe, expect, it } from 'vitest'
import { armTag, bindShardNames, physicalName } from '../../../src/planning/bind-shard-names'
import { explain } from '../../../src/planning/explain-plan'
import { buildNodeStatements, renumberParameters } from '../../../src/planning/scatter-statement'
import type { Shard } from '../../../src/topology/shard'

const shard = (index: number, layout: Shard['layout'] = 'schema', node = index % 2 ? 'b' : 'a'): Shard => ({
  name: `user_0${index}`,
  group: 'user',
  label: `0${index}`,
  index,
  node,
  layout,
})

describe('bindShardNames', () => {
  it.each([
    ['SELECT 1', 'SELECT 1', 'SELECT 1'],
    ['FROM "__shard__"."order" "o"', 'FROM "user_01"."order" "o"', 'FROM "public"."order_01" "o"'],
    ['"__shard__"."a""b"', '"user_01"."a""b"', '"public"."a""b_01"'],
    [`'"__shard__"."x"' "__shard__"."x"`, `'"__shard__"."x"' "user_01"."x"`, `'"__shard__"."x"' "public"."x_01"`],
    [`'it''s "__shard__"."x"'`, `'it''s "__shard__"."x"'`, `'it''s "__shard__"."x"'`],
    [
      '/* "__shard__"."x" */ "__shard__"."x"',
      '/* "__shard__"."x" */ "user_01"."x"',
      '/* "__shard__"."x" */ "public"."x_01"',
    ],
    [`SELECT ${armTag}`, 'SELECT 1', 'SELECT 1'],
    ['"o"."__shard__"', '"o"."__shard__"', '"o"."__shard__"'],
  ])('of %s', (text, schema, table) => {
    expect(bindShardNames(text, shard(1))).toBe(schema)
    expect(bindShardNames(text, shard(1, 'table'))).toBe(table)
  })

  it('names tables in both layouts', () => {
    expect(physicalName('t', shard(3))).toEqual({ schema: 'user_03', name: 't' })
    expect(physicalName('t', shard(3, 'table'))).toEqual({ schema: 'public', name: 't_03' })
  })
})

describe('renumberParameters', () => {
  it.each([
    ['$1 = $2 AND $10', 3, '$4 = $5 AND $13'],
    [`'$1' "$1" /* $1 */ $1`, 1, `'$1' "$1" /* $1 */ $2`],
    [`'it''s $1' $1`, 2, `'it''s $1' $3`],
    [String.raw`E'it\'s $1' $1`, 2, String.raw`E'it\'s $1' $3`],
    ['$q$ $1 $q$ || $1', 2, '$q$ $1 $q$ || $3'],
    ['a$1 = $1 -- $1\n', 2, 'a$1 = $3 -- $1\n'],
    ['/* /* $1 */ $1 */ $1', 2, '/* /* $1 */ $1 */ $3'],
    ['$1', 0, '$1'],
  ])('of %s by %i', (text, offset, expected) => {
    expect(renumberParameters(text, offset)).toBe(expected)
  })
})

describe('buildNodeStatements', () => {
  const text = 'SELECT * FROM "__shard__"."t" WHERE x = $1'
  const arms = [0, 1, 2, 3].map((index) => ({ shard: shard(index), text, parameters: [7] }))
  const shape = { order: [], limit: undefined, sharedParameters: true, maxArms: 128 }

  it('makes each cut of the same arms anew', () => {
    const onOne = arms.map((arm) => ({ ...arm, shard: { ...arm.shard, node: 'a' } }))
    const ends = [
      { ...shape, offset: 0 },
      { ...shape, offset: 40 },
      { ...shape, offset: 0, limit: 50 },
      { ...shape, offset: 40, limit: 50 },
      { ...shape, order: [{ column: '__k0', descending: false, nullsFirst: false }], offset: 40, limit: 50 },
    ].map((one) => buildNodeStatements(onOne, one)[0]?.text.replace(/^.*\)/, ''))
    expect(ends).toEqual([
      '',
      ' OFFSET 40',
      ' LIMIT 50',
      ' LIMIT 10 OFFSET 40',
      ' ORDER BY "__k0" ASC NULLS LAST LIMIT 10 OFFSET 40',
    ])
  })

  it('makes one a node, with an order and a limit over the arms', () => {
    const order = [{ column: '__k0', descending: true, nullsFirst: true }]
    expect(buildNodeStatements(arms, { ...shape, order, limit: 5 })).toEqual([
      {
        node: 'a',
        shards: ['user_00', 'user_02'],
        text: '(SELECT * FROM "user_00"."t" WHERE x = $1) UNION ALL (SELECT * FROM "user_02"."t" WHERE x = $1) ORDER BY "__k0" DESC NULLS FIRST LIMIT 5',
        parameters: [7],
      },
      expect.objectContaining({ node: 'b', shards: ['user_01', 'user_03'] }),
    ])
  })

  it('sends one arm as it is', () => {
    expect(buildNodeStatements(arms.slice(0, 1), { ...shape, limit: 5 })[0]?.text).toBe(
      'SELECT * FROM "user_00"."t" WHERE x = $1',
    )
  })

  it('numbers the parameters on where arms have their own', () => {
    const [statement] = buildNodeStatements(arms, { ...shape, sharedParameters: false })
    expect(statement?.text).toContain('x = $1) UNION ALL')
    expect(statement?.text).toContain('x = $2)')
    expect(statement?.parameters).toEqual([7, 7])
  })

  it('splits at the most arms, and at the protocol’s most parameters', () => {
    const many = Array.from({ length: 5 }, (_, index) => ({
      shard: shard(index, 'schema', 'a'),
      text,
      parameters: [1],
    }))
    expect(buildNodeStatements(many, { ...shape, maxArms: 2 }).map(({ shards }) => shards.length)).toEqual([2, 2, 1])
    const wide = many.map((arm) => ({ ...arm, parameters: Array.from({ length: 30_000 }, () => 1) }))
    const split = buildNodeStatements(wide, { ...shape, sharedParameters: false })
    expect(split.map(({ parameters }) => parameters.length)).toEqual([60_000, 60_000, 30_000])
    expect(buildNodeStatements(wide, shape)).toHaveLength(1)
  })

  it('gives one text for one template, and other parameters with it', () => {
    const [first] = buildNodeStatements(arms, shape)
    const others = arms.map((arm) => ({ ...arm, parameters: [8] }))
    const [second] = buildNodeStatements(others, shape)
    expect(second).toEqual({ ...first, parameters: [8] })
    const narrower = buildNodeStatements(arms.slice(0, 3), shape)
    expect(narrower[1]).toEqual({
      node: 'b',
      shards: ['user_01'],
      text: text.replace('"__shard__"', '"user_01"'),
      parameters: [7],
    })
    const tables = arms.map((arm) => ({ ...arm, shard: shard(arm.shard.index, 'table') }))
    expect(buildNodeStatements(tables, shape)[0]?.text).toContain('"public"."t_00"')
    expect(buildNodeStatements(arms, { ...shape, limit: 9 })[0]?.text).toMatch(/ LIMIT 9$/)
  })

  it('gives frozen data', () => {
    const [statement] = buildNodeStatements(arms, shape)
    for (const value of [statement, statement?.shards, statement?.parameters]) expect(Object.isFrozen(value)).toBe(true)
  })
})

describe('explain', () => {
  it('says a thing a line', () => {
    const plan = explain({
      entity: 'User',
      operation: 'find',
      shards: ['user_00'],
      reason: 'so it is',
      statements: [{ node: 'a', shards: ['user_00'], text: 'SELECT $1', parameters: [5n] }],
      steps: ['take 2 rows'],
    })
    expect(plan.text).toBe(
      'find User\nroute: user_00\n  because so it is\nnode a [1 shard(s)]: SELECT $1 -- ["5"]\nhere: take 2 rows',
    )
    expect(Object.isFrozen(plan)).toBe(true)
  })
})
