import { type EntitySpec, primaryOf } from './columns'
import { conditions } from './generate-conditions'
import type { Clause, Sql } from './operation'
import type { Rng } from './rng'
import { sqlSource, tableName } from './sources'
import { clause, fixed, fragment, inOrder, listed, query } from './sql-text'

/** Rows of the unsharded table with a question of each to all rows of a sharded one, and queries of WITH that nothing names. */
export function makeBeside(rng: Rng, spec: EntitySpec): Sql {
  const inner = sqlSource(spec, 't')
  const [more] = rng.oneIn(2) ? conditions(rng, inner) : []
  const asked = `FROM ${tableName(spec)} "t" WHERE "t"."count" = "s"."count"${more ? ` AND ${more.sql}` : ''}`
  const of = more?.of ?? []
  const rows = (text: string) => query(spec, 'beside', [fixed(text, of), listed('ORDER BY', ['1', '2'])], inOrder)
  const joined = asked.slice(asked.indexOf(' WHERE ') + 7)
  return rng.pick([
    () => rows(`SELECT "s"."id", (SELECT count(*) ${asked}) AS "n" FROM "setting" "s"`),
    () =>
      rows(`SELECT "s"."id", "s"."word" FROM "setting" "s" WHERE ${rng.pick(['', 'NOT '])}EXISTS (SELECT * ${asked})`),
    () =>
      rows(
        `SELECT "id", "count" FROM "setting" "s" WHERE "count" <= (SELECT avg("t"."count") ${asked.replace('=', '>=')})`,
      ),
    () =>
      rows(
        `SELECT "s"."id", count("t"."count") AS "n" FROM "setting" "s" LEFT JOIN ${tableName(spec)} "t" ON ${joined} GROUP BY "s"."id"`,
      ),
    () => {
      const tail = rng.pick([
        'SELECT "n", 1 AS "one" FROM "x" UNION SELECT "count", 2 FROM "setting"',
        'SELECT "id", "count" FROM "setting"',
      ])
      const names = `"unused" AS (SELECT * FROM ${tableName(spec)}), "x" AS (SELECT "t"."count" AS "n" FROM ${tableName(spec)} "t")`
      return query(spec, 'beside', [fixed(`WITH ${names} ${tail}`), listed('ORDER BY', ['1', '2'])], inOrder)
    },
  ])()
}

/**
 * Aggregates over rows that a sharded and the unsharded table make together, of columns of either; and such that a subquery
 * over the other table gives.
 */
export function makeBesideAggregate(rng: Rng, spec: EntitySpec): Sql {
  const source = sqlSource(spec, 't')
  const ids = [...primaryOf(spec).map(source.ref), '"s"."id"'].join(', ')
  const [more] = rng.oneIn(2) ? conditions(rng, source) : []
  const where = clause('WHERE', ' AND ', more ? [more] : [])
  const rows = (clauses: readonly Clause[]) => query(spec, 'beside', clauses, inOrder)
  const on = `ON "s"."count" ${rng.pick(['=', '=', '>='])} "t"."count"`
  const [of, joined] = rng.pick([
    ['t', `${tableName(spec)} "t" JOIN "setting" "s" ${on}`],
    ['t', `${tableName(spec)} "t" LEFT JOIN "setting" "s" ${on}`],
    ['s', `"setting" "s" LEFT JOIN ${tableName(spec)} "t" ${on}`],
    ['s', `"setting" "s" JOIN ${tableName(spec)} "t" ${on}`],
    ['t', `${tableName(spec)} "t" CROSS JOIN "setting" "s"`],
  ] as const)
  const aggregate = (): string => rng.pick(aggregatesOver(ids))
  const from = fixed(`FROM ${joined}`)
  return rng.pick([
    () => rows([fixed(`SELECT ${aggregate()} AS "a", ${aggregate()} AS "b", count(*) AS "n"`), from, where]),
    () =>
      rows([
        fixed(`SELECT "${rng.pick(['s', 't'])}"."count" AS "k", ${aggregate()} AS "a", ${aggregate()} AS "b"`),
        from,
        where,
        fixed(`GROUP BY 1 HAVING count(*) > ? ORDER BY 1 ${rng.pick(['', 'DESC'])}`, [rng.int(3)]),
      ]),
    () =>
      rows([
        fixed(`SELECT ${ids}, sum("s"."id") OVER (PARTITION BY "${of}"."count" ORDER BY ${ids}) AS "w"`),
        from,
        where,
        fixed(`ORDER BY ${ids} LIMIT 20`),
      ]),
    // An aggregate of the outer query's column is the outer query's.
    () => {
      const [inner, outer] = rng.oneIn(4)
        ? ['"setting" "s"', `${tableName(spec)} "t"`]
        : [`${tableName(spec)} "t"`, '"setting" "s"']
      const [alias] = outer.slice(-2)
      const call = rng.pick([
        `max("${alias}"."count")`,
        `count(DISTINCT "${alias}"."count")`,
        `JSON_ARRAYAGG("${alias}"."count" ORDER BY "${alias}"."count")`,
      ])
      const isGrouped = rng.oneIn(2)
      return {
        ...rows([
          fixed(
            `SELECT ${isGrouped ? `"${alias}"."count" % 3` : '1'} AS "k", (SELECT ${call} FROM ${inner} LIMIT 1) AS "a" FROM ${outer}`,
          ),
          fixed(isGrouped ? 'GROUP BY 1 ORDER BY 1' : ''),
        ]),
        method: 'sql.outer',
      }
    },
    // Columns of the inner table without an alias.
    () =>
      rows([
        fixed(`SELECT count(*) AS "n", sum("t"."count") AS "a" FROM ${tableName(spec)} "t"`),
        clause(
          'WHERE',
          ' AND ',
          [
            fragment(
              `"t"."count" ${rng.pick(['>=', '<'])} (SELECT ${rng.pick(['avg', 'min', 'max'])}("id") FROM "setting" WHERE "setting"."count" = "t"."count")`,
            ),
            ...(more ? [more] : []),
          ],
          true,
        ),
      ]),
    () =>
      rows([
        fixed(
          `SELECT "s"."id", (SELECT ${rng.pick(['sum("t"."count" + "s"."id"::int8)', 'count("s"."word")', 'JSON_ARRAYAGG("t"."count" ORDER BY 1)'])} FROM ${tableName(spec)} "t" WHERE "t"."count" = "s"."count") AS "a" FROM "setting" "s" ORDER BY 1`,
        ),
      ]),
  ])()
}

/** @param ids of one row of the join */
const aggregatesOver = (ids: string): readonly string[] => [
  'sum("s"."id")',
  'avg("s"."count")',
  'min("s"."word")',
  'count(DISTINCT "s"."id")',
  'sum("t"."count")',
  'avg("t"."count")',
  'max("t"."count")',
  'count(DISTINCT "t"."count")',
  'sum("t"."count"::int8 + "s"."id")',
  'count(*) FILTER (WHERE "s"."id" > "t"."count")',
  'stddev("s"."id")',
  `array_agg("s"."id" ORDER BY ${ids})`,
  `string_agg("s"."word", ',' ORDER BY ${ids})`,
  `JSON_ARRAYAGG("s"."word" ORDER BY ${ids})`,
  `JSON_ARRAYAGG("t"."count" ORDER BY ${ids} RETURNING jsonb)`,
  `JSON_OBJECTAGG(concat_ws('-', ${ids}) : "s"."name" RETURNING jsonb)`,
]

/** Writes of the unsharded table from a sharded one, and of a sharded one by what all rows say. */
export function makeBesideWrite(rng: Rng, spec: EntitySpec): Sql {
  const table = tableName(spec)
  const [id] = primaryOf(spec)
  const write = (clauses: readonly Clause[]): Sql => ({
    do: 'sql',
    entity: spec.name,
    method: 'sql.beside',
    isWrite: true,
    compare: { rows: 'set', close: [], loose: [] },
    clauses,
  })
  const few = rng.int(6)
  return rng.pick([
    () =>
      write([
        fixed(`UPDATE "setting" "s" SET "count" = (SELECT count(*) FROM ${table} "t" WHERE "t"."count" = "s"."count")`),
      ]),
    () =>
      write([
        fixed(`DELETE FROM "setting" "s" USING ${table} "t" WHERE "t"."count" = "s"."count" AND "t"."count" > ?`, [
          few,
        ]),
      ]),
    () =>
      write([
        fixed('INSERT INTO "setting" ("id", "count", "name")'),
        fixed(
          `SELECT 100000 + max("t"."count"), "t"."count", 'made' FROM ${table} "t" WHERE "t"."count" > ? GROUP BY "t"."count"`,
          [few],
        ),
        fixed('ON CONFLICT ("id") DO NOTHING'),
      ]),
    () =>
      write([
        fixed(
          `UPDATE ${table} SET "count" = (SELECT ${rng.pick(['count(*)', 'max("count")', 'sum("count") % 10'])} FROM ${table})`,
        ),
        clause('WHERE', '', [fragment(`"count" < ?`, [few])]),
        clause('RETURNING', '', id ? [fragment(`"${id.path}"`)] : []),
      ]),
  ])()
}
