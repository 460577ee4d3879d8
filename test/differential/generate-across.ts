import { type EntitySpec, primaryOf } from './columns'
import { conditions } from './generate-conditions'
import type { Clause, Fragment, Sql } from './operation'
import type { Rng } from './rng'
import { sqlSource, tableName } from './sources'
import { clause, fixed, fragment } from './sql-text'

const joinedBy = (parts: readonly Fragment[]): Fragment =>
  fragment(
    parts.map(({ sql }) => sql).join(' AND '),
    parts.flatMap(({ of }) => of),
  )

/**
 * Rows that are changed, or removed, by rows of any table, of the same group or of another. Where several rows of the others meet a row,
 * all of them say the same of it.
 */
export function makeSqlAcross(rng: Rng, spec: EntitySpec, known: readonly EntitySpec[]): Sql {
  const t = sqlSource(spec, 't')
  const other = () => (rng.oneIn(4) ? spec : rng.pick(known))
  const [ofU, ofV] = [other(), other()]
  const u = sqlSource(ofU, 'u')
  const onU = conditions(rng, u)
  const onT = conditions(rng, t)
  const table = tableName(spec)
  const [first, second] = [tableName(ofU), tableName(ofV)]
  const meets = fragment('"u"."count" = "t"."count"')
  const where = (parts: readonly Fragment[]): Clause => clause('WHERE', ' AND ', parts, true)
  const returning = (more: readonly string[] = []): Clause =>
    clause(
      'RETURNING',
      ', ',
      rng.oneIn(2) ? [] : [...primaryOf(spec).map(t.ref), ...more].map((name) => fragment(name)),
    )
  const write = (clauses: readonly Clause[]): Sql => ({
    do: 'sql',
    entity: spec.name,
    method: 'sql.across',
    isWrite: true,
    compare: { rows: 'set', close: [], loose: [] },
    clauses,
  })
  const update = (set: string): Clause => fixed(`UPDATE ${table} "t" SET "count" = ${set}`)
  const grouped = (): Sql => {
    const rows = onU.length > 0 ? ` WHERE ${joinedBy(onU).sql}` : ''
    return write([
      update(rng.pick(['"x"."n"', '"t"."count" + "x"."n"', '"x"."m" % 9'])),
      fixed(
        `FROM (SELECT "u"."count" AS "c", count(*) AS "n", max("u"."count") AS "m" FROM ${first} "u"${rows} GROUP BY 1) "x"`,
        joinedBy(onU).of,
      ),
      where([fragment('"x"."c" = "t"."count"'), ...onT]),
      returning(['"x"."n"']),
    ])
  }
  const met = (): Sql =>
    write([
      update(rng.pick(['("t"."count" + 1) % 7', '"u"."count" + 1'])),
      fixed(`FROM ${first} "u"`),
      where([meets, ...onU, ...onT]),
      returning(['"u"."count" AS "m"']),
    ])
  const joined = (): Sql => {
    const join = rng.pick(['JOIN', 'LEFT JOIN'])
    return write([
      update('("t"."count" + 2) % 7'),
      // Which rows' counts are added to is the planner's choice, and the largest int has no next one.
      fixed(`FROM ${first} "u" ${join} ${second} "v" ON "v"."count" = "u"."count"::int8 + 1`),
      where([meets, ...onU, ...(join === 'LEFT JOIN' && rng.oneIn(2) ? [fragment('"v"."count" IS NULL')] : [])]),
      returning(),
    ])
  }
  const asked = (): Sql =>
    write([
      update(
        `(SELECT coalesce(max("u"."count"), 3) FROM ${first} "u" JOIN ${second} "v" ON "v"."count" = "u"."count"${rng.pick(['', ' WHERE "u"."count" < "t"."count"'])})`,
      ),
      where([...onT, fragment('"t"."count" < ?', [1 + rng.int(8)])]),
      returning(),
    ])
  const removed = (): Sql =>
    write([
      fixed(`DELETE FROM ${table} "t" USING ${first} "u"`),
      where([meets, ...onU, ...onT, fragment('"t"."count" > ?', [rng.int(8)])]),
      returning(['"u"."count" AS "m"']),
    ])
  const withNamed = (): Sql =>
    write([
      fixed(
        `WITH "x" AS (SELECT DISTINCT "u"."count" FROM ${first} "u" WHERE ${joinedBy([...onU, fragment('"u"."count" < ?', [rng.int(9)])]).sql})`,
        [...joinedBy(onU).of, rng.int(9)],
      ),
      fixed(`DELETE FROM ${table} "t" USING "x"`),
      where([fragment('"x"."count" = "t"."count"'), ...onT]),
      returning(),
    ])
  return rng.weighted<Sql>([
    [3, grouped],
    [4, met],
    [2, joined],
    [2, asked],
    [2, removed],
    [1, withNamed],
  ])
}
