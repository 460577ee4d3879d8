import { type EntitySpec, primaryOf } from './columns'
import { conditions } from './generate-conditions'
import { columnAt } from './generate-selects'
import type { Clause, Fragment, Sql } from './operation'
import type { Rng } from './rng'
import { type Source, sqlSource, tableName } from './sources'
import { clause, fixed, fragment, inOrder, listed, query } from './sql-text'

/** Two tables whose rows meet on `count`, which is the shard key of neither. */
interface Pair {
  readonly t: Source
  readonly u: Source
  /** Conditions on each. */
  readonly onT: readonly Fragment[]
  readonly onU: readonly Fragment[]
}

type Make = (rng: Rng, pair: Pair) => Sql

const meets = fragment('"t"."count" = "u"."count"')

/** Statements that are not local to a shard: they are answered from copies of the rows that they need. */
export function makeSqlGather(rng: Rng, spec: EntitySpec, known: readonly EntitySpec[]): Sql {
  const t = sqlSource(spec, 't')
  const u = sqlSource(rng.pick(known), 'u')
  const pair = { t, u, onT: conditions(rng, t), onU: conditions(rng, u) }
  const make = (one: Make) => () => one(rng, pair)
  return rng.weighted<Sql>([
    [5, make(joined)],
    [3, make(asked)],
    [2, make(grouped)],
    [2, make(lateral)],
    [2, make(counted)],
    [2, make(merged)],
    [2, make(either)],
    [2, make(besideHome)],
    [2, make(withinWithin)],
  ])
}

const and = (parts: readonly Fragment[]): Fragment =>
  fragment(
    parts.length > 0 ? parts.map(({ sql }) => sql).join(' AND ') : 'true',
    parts.flatMap(({ of }) => of),
  )

const idsOf = ({ spec, ref }: Source): readonly string[] => primaryOf(spec).map(ref)

/** Columns of enums, of which each group's shards have types of their own. */
const enumsOf = ({ spec, ref }: Source): readonly string[] =>
  spec.columns.filter(({ kind }) => kind === 'enum').map(ref)

const outputs = (ids: readonly string[]): Clause =>
  listed(
    'SELECT',
    ids.map((id, index) => `${id} AS "${columnAt(index)}"`),
  )

const where = (parts: readonly Fragment[]): Clause => clause('WHERE', ' AND ', parts)

const from = ({ t, u }: Pair, join: string, on: Fragment): Clause =>
  fixed(`FROM ${tableName(t.spec)} "t" ${join} ${tableName(u.spec)} "u" ON ${on.sql}`, on.of)

/** Of a side that may have no row, conditions stand in ON, in WHERE, or in both. */
const joined: Make = (rng, pair) => {
  const { t, u, onT, onU } = pair
  const join = rng.pick(['JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN'])
  const inOn = rng.oneIn(2) ? onU : []
  const ids = [...idsOf(t), ...idsOf(u)]
  const enums = rng.oneIn(2) ? [...enumsOf(t), ...enumsOf(u)] : []
  return query(
    t.spec,
    'gather',
    [
      outputs([...ids, ...enums]),
      from(pair, join, and([meets, ...inOn])),
      where([...onT, ...(inOn.length > 0 && rng.oneIn(2) ? [] : onU)]),
      listed('ORDER BY', rng.oneIn(2) ? [...enums, ...ids] : ids),
      fixed(rng.pick(['', 'LIMIT 40', 'LIMIT 15 OFFSET 5'])),
    ],
    inOrder,
  )
}

/** A subquery that asks of each row. */
const asked: Make = (rng, { t, u, onT, onU }) => {
  const table = tableName(u.spec)
  const within = and([meets, ...onU])
  const condition = rng.pick([
    fragment(`EXISTS (SELECT FROM ${table} "u" WHERE ${within.sql})`, within.of),
    fragment(`NOT EXISTS (SELECT FROM ${table} "u" WHERE ${within.sql})`, within.of),
    fragment(`"t"."count" IN (SELECT "u"."count" FROM ${table} "u" WHERE ${and(onU).sql})`, and(onU).of),
    fragment(`"t"."count" NOT IN (SELECT "u"."count" FROM ${table} "u" WHERE ${and(onU).sql})`, and(onU).of),
    fragment(`("t"."count" < 2 OR EXISTS (SELECT FROM ${table} "u" WHERE ${within.sql}))`, within.of),
  ])
  const ids = idsOf(t)
  return query(
    t.spec,
    'gather',
    [
      outputs(ids),
      fixed(`FROM ${tableName(t.spec)} "t"`),
      where([condition, ...onT]),
      listed('ORDER BY', ids),
      fixed(rng.pick(['', 'LIMIT 30'])),
    ],
    inOrder,
  )
}

const grouped: Make = (rng, pair) =>
  query(
    pair.t.spec,
    'gather',
    [
      fixed(`SELECT "t"."count" AS "k", count(*) AS "n", ${rng.pick(['max', 'min', 'sum'])}("u"."count") AS "a"`),
      from(pair, rng.pick(['JOIN', 'LEFT JOIN']), and([meets, ...pair.onU])),
      where(pair.onT),
      fixed(`GROUP BY "t"."count" ${rng.pick(['', 'HAVING count(*) > 3'])} ORDER BY 1`),
    ],
    inOrder,
  )

const lateral: Make = (rng, pair) => {
  const { t, u, onT, onU } = pair
  const ids = idsOf(t)
  const own = idsOf(u)
  const within = and([meets, ...onU])
  const inner = `(SELECT ${own[0]} AS "i" FROM ${tableName(u.spec)} "u" WHERE ${within.sql} ORDER BY ${own.join(', ')} LIMIT ${rng.pick([1, 2])})`
  return query(
    t.spec,
    'gather',
    [
      fixed(`SELECT ${ids.join(', ')}, "l"."i" AS "l"`),
      fixed(
        `FROM ${tableName(t.spec)} "t" ${rng.pick(['JOIN LATERAL', 'LEFT JOIN LATERAL'])} ${inner} "l" ON true`,
        within.of,
      ),
      where(onT),
      fixed(`ORDER BY ${ids.join(', ')}, "l"."i" LIMIT 40`),
    ],
    inOrder,
  )
}

/** A value of each row that a subquery gives. */
const counted: Make = (rng, { t, u, onT, onU }) => {
  const ids = idsOf(t)
  const within = and([fragment(`"u"."count" ${rng.pick(['=', '=', '>'])} "t"."count"`), ...onU])
  return query(
    t.spec,
    'gather',
    [
      fixed(
        `SELECT ${ids.join(', ')}, (SELECT count(*) FROM ${tableName(u.spec)} "u" WHERE ${within.sql}) AS "n"`,
        within.of,
      ),
      fixed(`FROM ${tableName(t.spec)} "t"`),
      where(onT),
      fixed(`ORDER BY ${ids.join(', ')} LIMIT 30`),
    ],
    inOrder,
  )
}

/** A column that a join by USING makes of two: by itself, and as what a subquery gives. */
const merged: Make = (rng, { t, u, onT, onU }) => {
  const ids = idsOf(t)
  const [ofT, ofU] = [tableName(t.spec), tableName(u.spec)]
  const join = rng.pick(['JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN', 'FULL JOIN'])
  // Each side has values that the other lacks.
  const some = and([fragment('"u"."count" < 4'), ...onU])
  const joined = `(SELECT "u"."count" FROM ${ofU} "u" WHERE ${some.sql}) "b" ${join} (SELECT "v"."count" FROM ${ofT} "v" WHERE "v"."count" > 2) "c" USING ("count")`
  const clauses: readonly Clause[] = rng.oneIn(3)
    ? [fixed(`SELECT "count" AS "k", count(*) AS "n" FROM ${joined} GROUP BY 1 ORDER BY 1`, some.of)]
    : [
        outputs(ids),
        fixed(`FROM ${ofT} "t"`),
        where([
          fragment(`"t"."count" ${rng.pick(['IN', 'IN', 'NOT IN'])} (SELECT "count" FROM ${joined})`, some.of),
          ...onT,
        ]),
        listed('ORDER BY', ids),
      ]
  return query(t.spec, 'gather', clauses, inOrder)
}

/** Alternatives, of which each says something of both tables: what they imply of one is asked of its rows. */
const either: Make = (rng, { t, u }) => {
  const ids = [...idsOf(t), ...idsOf(u)]
  const meetsWithin = rng.oneIn(2)
  const branch = (): Fragment =>
    and([...(meetsWithin ? [meets] : []), ...conditions(rng, t), ...(rng.oneIn(3) ? [] : conditions(rng, u))])
  const [a, b] = [branch(), branch()]
  const whole = fragment(`(${a.sql} OR ${b.sql})`, [...a.of, ...b.of])
  return query(
    t.spec,
    'gather',
    [
      outputs(ids),
      fixed(`FROM ${tableName(t.spec)} "t", ${tableName(u.spec)} "u"`),
      where([...(meetsWithin ? [] : [meets]), whole]),
      listed('ORDER BY', ids),
      fixed('LIMIT 40'),
    ],
    inOrder,
  )
}

/** The unsharded table says which rows of sharded ones matter, or is asked for by their values. */
const besideHome: Make = (rng, { t, u, onT, onU }) => {
  const [ofT, ofU] = [tableName(t.spec), tableName(u.spec)]
  const ofS = fragment(rng.pick(['"s"."id" < 4', '"s"."count" IN (1, 3)', '("s"."id" = 2 OR "s"."count" > 2)', 'true']))
  const ids = [...idsOf(t), '"s"."id"']
  const all = [...ids, ...idsOf(u)]
  const within = and([meets, fragment('"u"."count" = "s"."count"'), ...onU])
  const clauses = rng.pick<readonly Clause[]>([
    [
      outputs(all),
      fixed(
        `FROM ${ofT} "t" JOIN "setting" "s" ON "s"."count" = "t"."count" ${rng.pick(['JOIN', 'LEFT JOIN'])} ${ofU} "u" ON "u"."count" = "s"."count"`,
      ),
      where([ofS, ...onT]),
      listed('ORDER BY', all),
      fixed('LIMIT 40'),
    ],
    [
      outputs(ids),
      fixed(`FROM "setting" "s" LEFT JOIN ${ofT} "t" ON "t"."count" = "s"."count"`),
      where([ofS, fragment(`${rng.pick(['', 'NOT '])}EXISTS (SELECT FROM ${ofU} "u" WHERE ${within.sql})`, within.of)]),
      listed('ORDER BY', ids),
    ],
    [
      fixed('SELECT "s"."id", "s"."word" FROM "setting" "s"'),
      where([
        ofS,
        fragment(
          `"s"."count" < (SELECT count(*) FROM ${ofT} "t" WHERE "t"."count" = "s"."count" AND EXISTS (SELECT FROM ${ofU} "u" WHERE ${within.sql}))`,
          within.of,
        ),
      ]),
      fixed('ORDER BY 1'),
    ],
  ])
  return query(t.spec, 'gather', clauses, inOrder)
}

/** What is apart in a query that is apart itself, of a sharded table or the unsharded one; both may read the same rows. */
const withinWithin: Make = (rng, { t, u, onT, onU }) => {
  const [ofT, ofU] = [tableName(t.spec), tableName(u.spec)]
  const ids = idsOf(t)
  const inner = `${rng.pick(['avg', 'min', 'max'])}("v"."count") FROM ${ofT} "v" WHERE "v"."count" ${rng.pick(['=', '<'])} "u"."count"`
  const asked = and([
    rng.pick([
      fragment(`"u"."count" >= (SELECT ${inner})`),
      fragment(`"u"."count" IN (SELECT "v"."count" FROM ${ofT} "v" WHERE "v"."count" > 1)`),
    ]),
    ...onU,
  ])
  const condition = (column: string) =>
    fragment(`${column} IN (SELECT "u"."count" FROM ${ofU} "u" WHERE ${asked.sql})`, asked.of)
  const clauses = rng.pick<readonly Clause[]>([
    [
      outputs(ids),
      fixed(`FROM ${ofT} "t"`),
      where([condition('"t"."count"'), ...onT]),
      listed('ORDER BY', ids),
      fixed('LIMIT 30'),
    ],
    [fixed('SELECT "s"."id", "s"."word" FROM "setting" "s"'), where([condition('"s"."count"')]), fixed('ORDER BY 1')],
  ])
  return query(t.spec, 'gather', clauses, inOrder)
}
