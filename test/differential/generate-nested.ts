import { type EntitySpec, keysOf, primaryOf, specs } from './columns'
import { conditionOn, conditions } from './generate-conditions'
import { expressionOf } from './generate-expressions'
import { columnAt } from './generate-selects'
import { numberOf } from './generate-windows'
import type { Clause, Fragment, Sql } from './operation'
import type { Rng } from './rng'
import { type Source, sqlSource, tableName } from './sources'
import { clause, fixed, fragment, inOrder, listed, query } from './sql-text'

/** A table `t` whose rows are read, and what a statement says of them. */
interface Outer {
  readonly spec: EntitySpec
  readonly source: Source
  /** Its primary key. */
  readonly ids: readonly string[]
  /** `SELECT`, `FROM` and `ORDER BY` of the primary keys. */
  readonly select: Clause
  readonly from: Clause
  readonly order: Clause
  readonly where: readonly Fragment[]
}

type Make = (rng: Rng, outer: Outer) => Sql

/** Statements with subqueries, common table expressions and lateral joins. */
export function makeSqlNested(rng: Rng, spec: EntitySpec, known: readonly EntitySpec[]): Sql {
  const source = sqlSource(spec, 't')
  const ids = primaryOf(spec).map(source.ref)
  const outer: Outer = {
    spec,
    source,
    ids,
    select: listed('SELECT', asOutputs(ids)),
    from: fixed(`FROM ${tableName(spec)} "t"`),
    order: listed('ORDER BY', ids),
    where: conditions(rng, source),
  }
  const related = spec.children !== undefined || spec.parent !== undefined
  const setting = known.find(({ name }) => name === 'Setting')
  const make = (one: Make) => () => one(rng, outer)
  return rng.weighted<Sql>([
    [2, make(compared)],
    [2, make(groupedTwice)],
    [2, make(numbered)],
    [1, make(pageWithin)],
    [3, make(selfTied)],
    [3, make(commonTwice)],
    [2, make(commonGroups)],
    [1, make(commonInside)],
    [1, make(inItself)],
    [related ? 3 : 0, make(exists)],
    [related ? 3 : 0, make(inRelated)],
    [related ? 3 : 0, make(selected)],
    [3, make(lateral)],
    [setting && setting !== spec ? 3 : 0, make(withUnsharded)],
  ])
}

const asOutputs = (texts: readonly string[], first = 0): readonly string[] =>
  texts.map((text, index) => `${text} AS "${columnAt(first + index)}"`)

const whereOf = (parts: readonly Fragment[]): Clause => clause('WHERE', ' AND ', parts)

const nested = (spec: EntitySpec, clauses: readonly Clause[]): Sql => query(spec, 'nested', clauses, inOrder)

const rows = ({ spec, select, from, order, where }: Outer, condition: Fragment): Sql =>
  nested(spec, [select, from, whereOf([condition, ...where]), order])

/** Conditions as one text behind others that stay. */
const withMore = (sql: string, more: readonly Fragment[], end = ''): Fragment =>
  fragment(
    `${[sql, ...more.map((one) => one.sql)].join(' AND ')}${end}`,
    more.flatMap((one) => one.of),
  )

/** With a subquery that asks nothing of the outer query. */
const compared: Make = (rng, outer) => {
  const inner = `FROM ${tableName(outer.spec)} "s"`
  return rows(
    outer,
    rng.weighted<Fragment>([
      [
        3,
        () =>
          fragment(
            `"t"."count" ${rng.pick(['>=', '<', '='])} (SELECT ${rng.pick(['max', 'min', 'avg'])}("s"."count") ${inner})`,
          ),
      ],
      [
        2,
        () => {
          const [one] = conditions(rng, sqlSource(outer.spec, 's'))
          const operator = rng.pick(['>= ALL', '<> ALL', '= ANY', '> ANY', '< ALL'])
          return fragment(`"t"."count" ${operator} (SELECT "s"."count" ${inner} WHERE ${one?.sql ?? 'true'})`, one?.of)
        },
      ],
    ]),
  )
}

/** Groups of a derived table. */
const groupedTwice: Make = (rng, { spec, where }) => {
  const table = tableName(spec)
  return rng.oneIn(2)
    ? nested(spec, [
        fixed(`SELECT "x"."c1", count(*) AS "n" FROM (SELECT "t"."count" AS "c1" FROM ${table} "t"`),
        whereOf(where),
        fixed(') "x" GROUP BY "x"."c1" ORDER BY "x"."c1"'),
      ])
    : nested(spec, [
        fixed(`SELECT "x"."n", count(*) AS "m" FROM (SELECT "t"."count" AS "c1", count(*) AS "n" FROM ${table} "t"`),
        whereOf(where),
        fixed('GROUP BY 1) "x" GROUP BY 1 ORDER BY 1'),
      ])
}

/** The first rows of each partition. */
const numbered: Make = (rng, { spec, source, ids, where }) => {
  const number = numberOf(rng, { source, unique: ids })
  const outputs = asOutputs([...ids, expressionOf(rng, source).sql])
  const names = outputs.map((_, index) => `"x"."${columnAt(index)}"`)
  const inner = [
    fixed(`SELECT ${[...outputs, `${number} AS "rn"`].join(', ')} FROM ${tableName(spec)} "t"`),
    whereOf(where),
  ]
  const last = rng.pick(['<= 2', '= 1', 'BETWEEN 2 AND 3', '> 3', '% 2 = 0'])
  const more = rng.oneIn(4) ? [fragment(`${names[0]} IS NOT NULL`)] : []
  const asked = [
    whereOf([{ ...fragment(`"x"."rn" ${last}`) }, ...more]),
    listed('ORDER BY', names.slice(0, ids.length)),
    clause('LIMIT', '', rng.oneIn(4) ? [fragment('?', [1 + rng.int(5)])] : []),
  ]
  const shown = `${names.join(', ')}, "x"."rn"`
  return {
    ...(rng.oneIn(2)
      ? nested(spec, [fixed(`SELECT ${shown} FROM (`), ...inner, fixed(') "x"'), ...asked])
      : nested(spec, [fixed('WITH "x" AS ('), ...inner, fixed(`) SELECT ${shown} FROM "x"`), ...asked])),
    method: 'sql.window',
  }
}

/** A page of rows, of which the outer query takes some. */
const pageWithin: Make = (rng, { spec, source, ids, where }) => {
  const sort = `${expressionOf(rng, source).sql} ${rng.pick(['ASC', 'DESC'])}`
  return nested(spec, [
    fixed(`SELECT count(*) AS "c0", max("x"."count") AS "c1" FROM (SELECT "t".* FROM ${tableName(spec)} "t"`),
    whereOf(where),
    fixed(`ORDER BY ${[sort, ...ids].join(', ')} LIMIT ? OFFSET ?) "x"`, [rng.int(12), rng.int(4)]),
    whereOf(rng.oneIn(2) ? [fragment('"x"."count" > ?', [rng.int(6)])] : []),
  ])
}

/** With a subquery over the same table, tied to the outer query by the shard key or the primary key. */
const selfTied: Make = (rng, outer) => {
  const { spec, source } = outer
  const inner = sqlSource(spec, 's')
  const columns = rng.oneIn(2) && keysOf(spec).length > 0 ? keysOf(spec) : primaryOf(spec)
  const ties = columns.map((column) => `${inner.ref(column)} = ${source.ref(column)}`)
  const more = conditions(rng, inner).slice(0, 1)
  const asked = withMore(ties.join(' AND '), more, ')')
  const from = `FROM ${tableName(spec)} "s" WHERE`
  const head = rng.pick([
    `EXISTS (SELECT 1 ${from}`,
    `NOT EXISTS (SELECT 1 ${from} "s"."count" > "t"."count" AND`,
    `"t"."count" >= (SELECT avg("s"."count") ${from}`,
    `"t"."count" = ANY (SELECT "s"."count" ${from}`,
    `(SELECT count(*) ${from} "s"."count" <= "t"."count" AND`,
  ])
  const tail = head.startsWith('(SELECT count') ? ' > 1' : ''
  return rows(outer, fragment(`${head} ${asked.sql}${tail}`, asked.of))
}

const materialized = (rng: Rng): string => rng.pick(['', '', '', 'MATERIALIZED ', 'NOT MATERIALIZED '])

/** A common table expression that is read twice. */
const commonTwice: Make = (rng, { spec, source, ids, where }) => {
  const names = ids.map((_, index) => columnAt(index))
  const shown = expressionOf(rng, source).sql
  const common = [
    fixed(`WITH "x" AS ${materialized(rng)}(`),
    listed('SELECT', [...asOutputs(ids), `"t"."count" AS "k"`, `${shown} AS "v"`]),
    fixed(`FROM ${tableName(spec)} "t"`),
    whereOf(where),
    fixed(')'),
  ]
  const on = names.map((name) => `"a"."${name}" = "b"."${name}"`).join(' AND ')
  const order = `ORDER BY ${names.map((name) => `"a"."${name}"`).join(', ')}`
  const list = names.map((name) => `"a"."${name}"`).join(', ')
  const tail = rng.pick([
    `SELECT ${list}, "b"."v" FROM "x" "a" JOIN "x" "b" ON ${on} ${order}`,
    `SELECT ${list}, "b"."v" FROM "x" "a" LEFT JOIN "x" "b" ON ${on} AND "b"."k" > 2 ${order}`,
    `SELECT ${list} FROM "x" "a" WHERE "a"."k" = (SELECT max("x"."k") FROM "x") ${order}`,
    `SELECT ${list} FROM "x" "a" WHERE "a"."k" IN (SELECT "x"."k" FROM "x" GROUP BY 1 HAVING count(*) > 1) ${order}`,
    `SELECT (SELECT count(*) FROM "x") AS "c0", (SELECT max("k") FROM "x" WHERE "k" < 5) AS "c1"`,
    `SELECT ${list}, (SELECT count(*) FROM "x") AS "n" FROM "x" "a" ${order} LIMIT 3`,
  ])
  return nested(spec, [...common, fixed(tail)])
}

/** Groups that are read once or twice. */
const commonGroups: Make = (rng, { spec, where }) =>
  rng.oneIn(2)
    ? nested(spec, [
        fixed(`WITH "x" AS (SELECT * FROM ${tableName(spec)} "t"`),
        whereOf(where),
        fixed(`) SELECT "count", count(*) AS "n" FROM "x" GROUP BY 1 ORDER BY 1`),
      ])
    : nested(spec, [
        fixed(
          `WITH "x" AS ${materialized(rng)}(SELECT "t"."count" AS "k", count(*) AS "n" FROM ${tableName(spec)} "t"`,
        ),
        whereOf(where),
        fixed('GROUP BY 1)'),
        fixed(
          rng.pick([
            'SELECT "a"."k", "a"."n", "b"."k" AS "l" FROM "x" "a" LEFT JOIN "x" "b" ON "b"."n" = "a"."n" AND "b"."k" > "a"."k" ORDER BY 1, 3',
            'SELECT "a"."k", "a"."n" FROM "x" "a" WHERE "a"."n" = (SELECT max("n") FROM "x") ORDER BY 1',
            ', "y" AS (SELECT "n", count(*) AS "m" FROM "x" GROUP BY 1) SELECT "x"."k", "y"."m" FROM "x" JOIN "y" ON "y"."n" = "x"."n" ORDER BY 1',
            'SELECT count(*) AS "c0", sum("n") AS "c1" FROM "x"',
          ]),
        ),
      ])

/** A common table expression within a subquery, and one of groups beside the table itself. */
const commonInside: Make = (rng, outer) =>
  rows(
    outer,
    fragment(
      rng.pick([
        `"t"."count" IN (WITH "x" AS (SELECT "s"."count" AS "k" FROM ${tableName(outer.spec)} "s") SELECT "k" FROM "x" GROUP BY 1 HAVING count(*) > ?)`,
        `"t"."count" > (WITH "x" AS (SELECT "s"."count" AS "k" FROM ${tableName(outer.spec)} "s") SELECT avg("k") FROM "x" WHERE "k" > ?)`,
      ]),
      [rng.int(3)],
    ),
  )

const inItself: Make = (rng, outer) => {
  const [id = ''] = outer.ids
  const inner = `(SELECT ${id.replace('"t"', '"s"')} FROM ${tableName(outer.spec)} "s" WHERE "s"."count" > ?)`
  return rows(outer, fragment(`${id} ${rng.pick(['IN', 'IN', 'NOT IN', '= ANY'])} ${inner}`, [rng.int(5)]))
}

/** The table `c` of the other side of the relation, and the columns that tie it to `t`. */
interface Related {
  readonly inner: Source
  readonly mine: string
  readonly theirs: string
}

function relatedOf({ spec, source }: Outer): Related {
  const relation = spec.children ?? spec.parent
  const other = specs[relation?.entity ?? spec.name]
  const inner = sqlSource(other, 'c')
  const [parent, child] = spec.children ? [source, inner] : [inner, source]
  const [id] = primaryOf(parent.spec)
  const foreignKey = `"${child.alias}"."${parent.spec.children?.foreignKey}"`
  const primary = id ? parent.ref(id) : ''
  return spec.children ? { inner, mine: primary, theirs: foreignKey } : { inner, mine: foreignKey, theirs: primary }
}

const exists: Make = (rng, outer) => {
  const { inner, mine, theirs } = relatedOf(outer)
  const head = `${rng.oneIn(3) ? 'NOT ' : ''}EXISTS (SELECT 1 FROM ${tableName(inner.spec)} "c" WHERE`
  return rows(outer, withMore(`${head} ${theirs} = ${mine}`, conditions(rng, inner).slice(0, 2), ')'))
}

const inRelated: Make = (rng, outer) => {
  const { inner, mine, theirs } = relatedOf(outer)
  const more = conditions(rng, inner).slice(0, 2)
  // A NULL of any shard makes `NOT IN` unknown, and a subquery that is tied by another column cannot be asked of all.
  const isNullable = [inner, outer.source].some(({ spec, ref }) =>
    spec.columns.some((column) => column.nullable && [mine, theirs].includes(ref(column))),
  )
  const operators = ['IN', 'IN', '= ANY', 'NOT IN', '<> ALL']
  const headOf = (list: readonly string[]) =>
    `${mine} ${rng.pick(list)} (SELECT ${theirs} FROM ${tableName(inner.spec)} "c"`
  const head = headOf(operators)
  return rows(
    outer,
    rng.weighted<Fragment>([
      [3, () => withMore(`${head} WHERE true`, more, ')')],
      [
        1,
        () =>
          withMore(
            `${headOf(isNullable ? operators.slice(0, 3) : operators)} WHERE "c"."count" >= "t"."count"`,
            more,
            ')',
          ),
      ],
      [1, () => withMore(`${head} WHERE ${theirs} = ${mine}`, more, ')')],
    ]),
  )
}

/** Subqueries that give columns. */
const selected: Make = (rng, outer) => {
  const { spec, ids, from, where, order } = outer
  const { inner, mine, theirs } = relatedOf(outer)
  const tie = `FROM ${tableName(inner.spec)} "c" WHERE ${theirs} = ${mine}`
  const [one] = conditions(rng, inner)
  const more = one ? ` AND ${one.sql}` : ''
  const key = primaryOf(inner.spec).map(inner.ref).join(', ')
  const subquery = rng.pick([
    `(SELECT count(*) ${tie}${more})`,
    `(SELECT max("c"."count") ${tie}${more})`,
    `(SELECT string_agg("c"."count"::text, ',' ORDER BY ${key}) ${tie}${more})`,
    `ARRAY(SELECT "c"."count" ${tie}${more} ORDER BY 1)`,
    `(SELECT "c"."count" ${tie}${more} ORDER BY ${key} DESC LIMIT 1)`,
    `EXISTS (SELECT 1 ${tie}${more})`,
  ])
  const isSorted = rng.oneIn(3)
  return nested(spec, [
    clause(
      'SELECT',
      ', ',
      [...asOutputs(ids).map((sql) => fragment(sql)), fragment(`${subquery} AS "n"`, one?.of)],
      true,
    ),
    from,
    whereOf(where),
    isSorted ? listed('ORDER BY', [`"n" ${rng.pick(['ASC', 'DESC'])}`, ...ids]) : order,
  ])
}

/** A subquery in FROM that reads the rows of each row. */
const lateral: Make = (rng, outer) => {
  const { spec, source, ids, where } = outer
  const isSelf = !(spec.children ?? spec.parent) || rng.oneIn(4)
  const inner = isSelf ? sqlSource(spec, 'c') : relatedOf(outer).inner
  const ties = isSelf
    ? keysOf(spec).length > 0
      ? keysOf(spec).map((column) => `${inner.ref(column)} = ${source.ref(column)}`)
      : [`"c"."count" = "t"."count"`]
    : [`${relatedOf(outer).theirs} = ${relatedOf(outer).mine}`]
  const [more] = conditions(rng, inner)
  const from = `FROM ${tableName(inner.spec)} "c" WHERE ${[...ties, ...(more ? [more.sql] : [])].join(' AND ')}`
  const keys = primaryOf(inner.spec).map(inner.ref)
  const outputs = keys.map((key, index) => `${key} AS "k${index}"`)
  const sort = `${expressionOf(rng, inner).sql} ${rng.pick(['ASC', 'DESC'])}`
  const isAggregate = rng.oneIn(3)
  const subquery = isAggregate
    ? `SELECT count(*) AS "k0", max("c"."count") AS "m" ${from}`
    : `SELECT ${outputs.join(', ')}, "c"."count" AS "m" ${from} ORDER BY ${[sort, ...keys].join(', ')} LIMIT ${1 + rng.int(3)}`
  const [word, on] = rng.pick([
    ['JOIN LATERAL', 'ON true'],
    ['LEFT JOIN LATERAL', 'ON true'],
    ['LEFT JOIN LATERAL', 'ON "x"."m" > 2'],
    ['CROSS JOIN LATERAL', ''],
    [', LATERAL', ''],
  ] as const)
  const order = isAggregate ? ids : [...ids, ...keys.map((_, index) => `"x"."k${index}"`)]
  return nested(spec, [
    listed('SELECT', [...asOutputs(ids), '"x"."k0"', '"x"."m"']),
    fixed(`FROM ${tableName(spec)} "t" ${word} (${subquery}) "x" ${on}`, more?.of),
    whereOf(where),
    listed('ORDER BY', order),
    clause('LIMIT', '', rng.oneIn(4) ? [fragment('?', [rng.int(9)])] : []),
  ])
}

/** Beside the table that is not sharded. */
const withUnsharded: Make = (rng, outer) => {
  const { spec, ids, where } = outer
  const [one] = [conditionOn(rng, sqlSource(specs.Setting, 's'), rng.pick(specs.Setting.columns))]
  return rng.weighted<Sql>([
    [
      2,
      () =>
        nested(spec, [
          listed('SELECT', [...asOutputs(ids), '"s"."id"', '"s"."word"']),
          fixed(
            `FROM ${tableName(spec)} "t" ${rng.pick(['JOIN', 'LEFT JOIN'])} "setting" "s" ON "s"."count" = "t"."count"`,
          ),
          whereOf(where),
          listed('ORDER BY', [...ids, '"s"."id"']),
        ]),
    ],
    [
      1,
      () =>
        rows(
          outer,
          fragment(
            `"t"."count" ${rng.pick(['IN', 'NOT IN'])} (SELECT "s"."count" FROM "setting" "s" WHERE ${one.sql})`,
            one.of,
          ),
        ),
    ],
    [
      1,
      () =>
        rows(
          outer,
          fragment(
            `${rng.pick(['', 'NOT '])}EXISTS (SELECT 1 FROM "setting" "s" WHERE "s"."count" = "t"."count" AND ${one.sql})`,
            one.of,
          ),
        ),
    ],
  ])
}
