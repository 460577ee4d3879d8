import { beforeAll, describe, expect, it } from 'vitest'
import { answersOf, nodeWrites } from '../../../src/planning/node-write'
import type { Arm } from '../../../src/query/arm-source'
import { loadParser } from '../../../src/sql/parser'
import type { Shard } from '../../../src/topology/shard'

const shard = (index: number, layout: Shard['layout'] = 'schema', node = index % 2 ? 'b' : 'a'): Shard => ({
  name: `user_0${index}`,
  group: 'user',
  label: `0${index}`,
  index,
  node,
  layout,
})

const shape = { hasOwnTypes: false, hasRules: () => false, maxArms: 128 }
const update = 'UPDATE "__shard__"."t" SET "n" = $1 WHERE "x" = $2'
const remove = 'DELETE FROM "__shard__"."t" WHERE "x" = $1'
const on = (text: string, parameters: readonly unknown[], ...shards: readonly Shard[]): readonly Arm[] =>
  shards.map((one) => ({ shard: one, text, parameters }))
const sameNode = (count: number, layout?: Shard['layout']): readonly Shard[] =>
  Array.from({ length: count }, (_, index) => shard(index, layout, 'a'))

beforeAll(loadParser)

describe('the statements of a write', () => {
  it('are one a node, of a query for each of its shards', () => {
    expect(nodeWrites(on(update, [7, 'y'], shard(0), shard(1), shard(2)), shape)).toEqual([
      {
        node: 'a',
        shards: ['user_00', 'user_02'],
        text: `WITH "__w0__" AS (UPDATE "user_00"."t" SET "n" = $1 WHERE "x" = $2
RETURNING "t".tableoid
), "__w1__" AS (UPDATE "user_02"."t" SET "n" = $3 WHERE "x" = $4
RETURNING "t".tableoid
) SELECT (SELECT count(*) FROM "__w0__") AS "n0", (SELECT count(*) FROM "__w1__") AS "n1"`,
        parameters: [7, 'y', 7, 'y'],
        united: { command: 'UPDATE', returning: undefined },
      },
      {
        node: 'b',
        shards: ['user_01'],
        text: 'UPDATE "user_01"."t" SET "n" = $1 WHERE "x" = $2',
        parameters: [7, 'y'],
        united: undefined,
      },
    ])
  })

  it('name the tables of the layout table, each under its own name', () => {
    const [write] = nodeWrites(on('DELETE FROM "__shard__"."t"', [], ...sameNode(2, 'table')), shape)
    expect(write?.text).toBe(`WITH "__w0__" AS (DELETE FROM "public"."t_00" AS "t"
RETURNING "t".tableoid
), "__w1__" AS (DELETE FROM "public"."t_01" AS "t"
RETURNING "t".tableoid
) SELECT (SELECT count(*) FROM "__w0__") AS "n0", (SELECT count(*) FROM "__w1__") AS "n1"`)
  })

  it('give the rows of a RETURNING with the place of their shard, and check that the types of the shards agree', () => {
    const [write] = nodeWrites(on(`${remove} RETURNING "id", "a" + 1 AS "b"`, ['y'], ...sameNode(3)), shape)
    expect(write?.united).toEqual({ command: 'DELETE', returning: ['id', 'b'] })
    expect(write?.text).toBe(`WITH "__w0__" AS (DELETE FROM "user_00"."t" WHERE "x" = $1 RETURNING "id", "a" + 1 AS "b"
, "t".tableoid AS "__of__"
), "__w1__" AS (DELETE FROM "user_01"."t" WHERE "x" = $2 RETURNING "id", "a" + 1 AS "b"
, "t".tableoid AS "__of__"
), "__w2__" AS (DELETE FROM "user_02"."t" WHERE "x" = $3 RETURNING "id", "a" + 1 AS "b"
, "t".tableoid AS "__of__"
), "__same__" AS (SELECT 1 FROM "__w0__", "__w1__", "__w2__" WHERE ${[
      'pg_catalog.array_ne(ARRAY["__w0__"."id"], ARRAY["__w1__"."id"])',
      'pg_catalog.array_ne(ARRAY["__w0__"."b"], ARRAY["__w1__"."b"])',
      'pg_catalog.array_ne(ARRAY["__w0__"."id"], ARRAY["__w2__"."id"])',
      'pg_catalog.array_ne(ARRAY["__w0__"."b"], ARRAY["__w2__"."b"])',
    ].join(
      ' OR ',
    )}) SELECT 0 AS "__arm__", "id", "b" FROM "__w0__" UNION ALL SELECT 1 AS "__arm__", "id", "b" FROM "__w1__" UNION ALL SELECT 2 AS "__arm__", "id", "b" FROM "__w2__"`)
  })

  it('have each shard’s own text and parameters', () => {
    const [a, b] = sameNode(2)
    if (!a || !b) throw new Error('There are two shards.')
    const [write] = nodeWrites(
      [
        { shard: a, text: 'DELETE FROM "__shard__"."t" WHERE "id" IN ($1, $2)', parameters: [1, 2] },
        { shard: b, text: 'DELETE FROM "__shard__"."t" WHERE "id" IN ($1)', parameters: [3] },
      ],
      shape,
    )
    expect(write?.text).toContain('"user_00"."t" WHERE "id" IN ($1, $2)')
    expect(write?.text).toContain('"user_01"."t" WHERE "id" IN ($3)')
    expect(write?.parameters).toEqual([1, 2, 3])
  })

  it('are frozen', () => {
    const writes = nodeWrites(on(update, [7, 'y'], shard(0), shard(1), shard(2)), shape)
    expect(Object.isFrozen(writes)).toBe(true)
    for (const write of writes)
      for (const part of [write, write.shards, write.parameters, write.united ?? Object.freeze({})])
        expect(Object.isFrozen(part)).toBe(true)
  })

  it('have no more shards than a text may have', () => {
    const writes = nodeWrites(on(update, [7, 'y'], ...sameNode(5)), { ...shape, maxArms: 2 })
    expect(writes.map(({ shards }) => shards.length)).toEqual([2, 2, 1])
  })

  it('have no more parameters than a statement may have', () => {
    const many = Array.from({ length: 30_000 }, (_, index) => index)
    const writes = nodeWrites(on(update, many, ...sameNode(5)), shape)
    expect(writes.map(({ shards, parameters }) => [shards.length, parameters.length])).toEqual([
      [2, 60_000],
      [2, 60_000],
      [1, 30_000],
    ])
  })

  it('take neighbours of one command and of one RETURNING only', () => {
    const [a, b, c, d] = sameNode(4)
    if (!a || !b || !c || !d) throw new Error('There are four shards.')
    const arms = [
      ...on(update, [1, 2], a),
      ...on(remove, [1], b),
      ...on(`${remove} RETURNING "id"`, [1], c),
      ...on(`${remove} RETURNING "no"`, [1], d),
    ]
    expect(nodeWrites(arms, shape).map(({ shards }) => shards)).toEqual(arms.map(({ shard: { name } }) => [name]))
  })

  const united: readonly string[] = [
    remove,
    update,
    `/* a comment */ ${update}`,
    `${update} -- at the end`,
    'UPDATE "__shard__"."t" SET "n" = 1 FROM "__shard__"."o" WHERE "o"."t" = "t"."id"',
    'DELETE FROM "__shard__"."t" AS "t" USING "__shard__"."o" WHERE EXISTS (SELECT 1 FROM "__shard__"."o")',
    'WITH "x" AS (SELECT 1 AS "id") UPDATE "__shard__"."t" SET "n" = 1 FROM "x" WHERE "x"."id" = "t"."id"',
    'WITH RECURSIVE "x" AS (SELECT 1 AS "id" UNION SELECT "id" + 1 FROM "x" WHERE "id" < 9) DELETE FROM "__shard__"."t" USING "x" WHERE "x"."id" = "t"."id"',
    'UPDATE "__shard__"."t" SET ("a", "b") = (SELECT 1, 2), "c" = DEFAULT',
    `${update} RETURNING "id", "t"."n" AS "m", "x"::text, old."n" AS "before"`,
    `${update} RETURNING CASE WHEN "n" > 1 THEN upper("x") ELSE 'none' END AS "y"`,
  ]
  it.each(united)('are one a node of %s', (text) => {
    expect(nodeWrites(on(text, [], ...sameNode(2)), shape)).toHaveLength(1)
  })

  const apart: readonly string[] = [
    'INSERT INTO "__shard__"."t" ("id") VALUES (1)',
    'INSERT INTO "__shard__"."t" ("id") SELECT 1 RETURNING "id"',
    'TRUNCATE "__shard__"."t"',
    'SELECT 1 FROM "__shard__"."t"',
    'MERGE INTO "__shard__"."t" USING "__shard__"."o" ON true WHEN MATCHED THEN DELETE',
    'no SQL at all',
    `${update}; ${remove}`,
    `${update};`,
    `UPDATE "__shard__"."t" SET "x" = ';'`,
    'DELETE FROM "__shard__"."t" WHERE CURRENT OF "c"',
    'UPDATE "__shard__"."t" SET "n" = 1 WHERE CURRENT OF "c"',
    'WITH "x" AS (DELETE FROM "__shard__"."o" RETURNING "id") UPDATE "__shard__"."t" SET "n" = 1 FROM "x"',
    'WITH "x" AS (UPDATE "__shard__"."o" SET "n" = 1 RETURNING "id") DELETE FROM "__shard__"."t" USING "x"',
    'WITH "x" AS (INSERT INTO "__shard__"."o" VALUES (1) RETURNING "id") DELETE FROM "__shard__"."t" USING "x"',
    'WITH "__w0__" AS (SELECT 1) DELETE FROM "__shard__"."t" USING "__w0__"',
    `${update} RETURNING *`,
    `${update} RETURNING "t".*`,
    `${update} RETURNING "id", ROW("t".*) AS "r"`,
    `${update} RETURNING "t"`,
    `${update} RETURNING "t"::text`,
    `${update} RETURNING old`,
    `${update} RETURNING row_to_json(new) IS NULL AS "r"`,
    `${update} RETURNING WITH (OLD AS "o") "o" IS NULL AS "r"`,
    'UPDATE "__shard__"."t" AS "u" SET "n" = 1 RETURNING ("u")."id"',
    `${update} RETURNING "id", "id"`,
    `${update} RETURNING "id", "n" AS "id"`,
    `${update} RETURNING pg_sleep(0)`,
    `${update} AND "x" IN (${Array.from({ length: 5_000 }, (_, index) => index).join(', ')})`,
    `${update} RETURNING NULL::"__shard__"."t_kind_enum" AS "k"`,
    'UPDATE "__shard__"."t" SET "n" = 1 WHERE "k" = $1::"__shard__"."t_kind_enum" RETURNING "id"',
  ]
  it.each(apart)('stay one a shard of %s', (text) => {
    const writes = nodeWrites(on(text, [], ...sameNode(2)), shape)
    expect(writes.map(({ shards, united: form }) => [shards, form])).toEqual([
      [['user_00'], undefined],
      [['user_01'], undefined],
    ])
  })

  it('stay one a shard where a RETURNING may give types of the shards', () => {
    const own = { ...shape, hasOwnTypes: true }
    expect(nodeWrites(on(`${update} RETURNING "id"`, [1, 2], ...sameNode(2)), own)).toHaveLength(2)
    expect(nodeWrites(on(update, [1, 2], ...sameNode(2)), own)).toHaveLength(1)
  })
})

describe('a table with rules', () => {
  it('is written by a statement of its own', () => {
    const hasRules = ({ name }: Shard, table: string): boolean => name === 'user_01' && table === 't'
    const shards = (text: string) =>
      nodeWrites(on(text, [1, 2], ...sameNode(4)), { ...shape, hasRules }).map((write) => write.shards)
    expect(shards(update)).toEqual([['user_00'], ['user_01'], ['user_02', 'user_03']])
    expect(shards('DELETE FROM "__shard__"."o"')).toHaveLength(1)
  })
})

describe('the answers of a united statement', () => {
  it('are how many rows each shard has written', () => {
    expect(answersOf(['a', 'b'], { command: 'UPDATE', returning: undefined }, [{ n0: '3', n1: 0n }])).toEqual([
      { command: 'UPDATE', rowCount: 3, rows: [] },
      { command: 'UPDATE', rowCount: 0, rows: [] },
    ])
  })

  it('are the rows of each shard, in their order', () => {
    const rows = [
      { __arm__: 1, id: 5 },
      { __arm__: 0, id: 3 },
      { __arm__: 1, id: 4 },
    ]
    expect(answersOf(['a', 'b', 'c'], { command: 'DELETE', returning: ['id'] }, rows)).toEqual([
      { command: 'DELETE', rowCount: 1, rows: [{ id: 3 }] },
      { command: 'DELETE', rowCount: 2, rows: [{ id: 5 }, { id: 4 }] },
      { command: 'DELETE', rowCount: 0, rows: [] },
    ])
  })

  it('are refused where a row is of no shard', () => {
    expect(() => answersOf(['a'], { command: 'DELETE', returning: ['id'] }, [{ __arm__: 'x', id: 1 }])).toThrow(
      RangeError,
    )
  })
})
