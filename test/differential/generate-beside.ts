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
