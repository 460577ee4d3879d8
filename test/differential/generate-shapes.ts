import { type EntitySpec, keysOf, primaryOf } from './columns'
import { conditions } from './generate-conditions'
import { columnAt } from './generate-selects'
import type { Clause, Fragment, Sql } from './operation'
import type { Rng } from './rng'
import { sqlSource, tableName } from './sources'
import { clause, fixed, fragment, inOrder, listed, query } from './sql-text'

/** The table `t`, its primary key, and a condition. */
interface Shape {
  readonly spec: EntitySpec
  readonly table: string
  readonly ids: readonly string[]
  readonly names: readonly string[]
  readonly where: Clause
}

type Make = (rng: Rng, shape: Shape) => readonly Clause[]

/** Statements of the shapes that shards got wrong: each maker meets one class. */
export function makeSqlShape(rng: Rng, spec: EntitySpec): Sql {
  const source = sqlSource(spec, 't')
  const ids = primaryOf(spec).map(source.ref)
  const where = (parts: readonly Fragment[]): Clause => clause('WHERE', ' AND ', parts)
  const shape: Shape = {
    spec,
    table: `${tableName(spec)} "t"`,
    ids,
    names: ids.map((_, index) => columnAt(index)),
    where: where(conditions(rng, source)),
  }
  const [method, make] = rng.pick(makers)
  return query(spec, method, make(rng, shape), inOrder)
}

const outputs = ({ ids, names }: Shape): readonly string[] => ids.map((id, index) => `${id} AS "${names[index]}"`)

/** Aggregates of SQL/JSON, which are no function calls. */
const jsonAggregate: Make = (rng, { table, ids, where }) => {
  const list = `JSON_ARRAYAGG("t"."count" ORDER BY ${ids.join(', ')}${rng.pick(['', ' NULL ON NULL', ' RETURNING jsonb'])})`
  const object = `JSON_OBJECTAGG(concat_ws('-', ${ids.join(', ')}) : "t"."count" RETURNING jsonb)`
  const aggregate = rng.pick([list, object, `${list} FILTER (WHERE "t"."count" > 2)`])
  return rng.oneIn(2)
    ? [fixed(`SELECT ${aggregate}, count(*) AS "n" FROM ${table}`), where]
    : [fixed(`SELECT "t"."count" % 3 AS "k", ${aggregate} AS "j" FROM ${table}`), where, fixed('GROUP BY 1 ORDER BY 1')]
}

/** Volatile functions, of which only the number of values is sure. */
const volatile: Make = (rng, { table, where }) => {
  const call = rng.pick(['random()', 'gen_random_uuid()', "clock_timestamp() + random() * interval '1 year'"])
  return [
    fixed(
      rng.pick([
        `SELECT count(DISTINCT ${call}) AS "n" FROM ${table}`,
        `SELECT count(DISTINCT (SELECT ${call})) AS "n" FROM ${table}`,
        `SELECT count(DISTINCT "x"."r") AS "n" FROM (SELECT ${call} AS "r") "x" CROSS JOIN ${table}`,
        `SELECT count(DISTINCT "r") AS "n" FROM (VALUES (${call})) "v"("r") CROSS JOIN ${table}`,
      ]),
    ),
    where,
  ]
}

const volatileRows: Make = (rng, { table, where }) => [
  fixed(
    `SELECT count(*) AS "n" FROM (SELECT ${rng.pick(['DISTINCT random()', '"t"."count", random() AS "r"'])} FROM ${table}`,
  ),
  where,
  fixed(rng.pick([') "x"', 'ORDER BY random() LIMIT 7) "x"'])),
]

/** The time and the user, which all shards have from one. */
const clock: Make = (rng, { table, where }) => {
  const call = rng.pick([
    'now()',
    'CURRENT_TIMESTAMP',
    'statement_timestamp()',
    'pg_backend_pid()',
    `'now'::timestamptz`,
  ])
  return rng.oneIn(2)
    ? [fixed(`SELECT count(DISTINCT "n") AS "n" FROM (SELECT ${call} AS "n" FROM ${table}`), where, fixed(') "x"')]
    : [
        fixed(`SELECT count(*) AS "n", ${call} = ${call} AS "same" FROM ${table}`),
        where,
        fixed('GROUP BY 2 ORDER BY 1'),
      ]
}

/** A constant behind an alias or an ordinal orders nothing, and is no ordinal. */
const constant: Make = (rng, shape) => {
  const value = rng.pick(['2', '1', `'x'`, 'NULL', 'true', '2.5'])
  const term = `${rng.pick(['"k"', '1'])} ${rng.pick(['ASC', 'DESC'])}`
  const distinct = rng.pick(['', '', 'DISTINCT', 'DISTINCT ON ("k")', `DISTINCT ON ("k", ${shape.ids.join(', ')})`])
  return [
    listed(`SELECT ${distinct}`, [`${value} AS "k"`, ...outputs(shape)]),
    fixed(`FROM ${shape.table}`),
    shape.where,
    listed('ORDER BY', [term, ...shape.ids]),
    clause('LIMIT', '', rng.oneIn(2) ? [fragment('?', [1 + rng.int(6)])] : []),
  ]
}

/** `*` over VALUES, a CTE, a function, the unsharded table, and within a query. */
const star: Make = (rng, shape) => {
  const rows = rng.pick([
    `(VALUES (1, 'a'), (2, 'b'), (3, NULL)) "v"("vn", "vs") ON "v"."vn" = "x"."count"`,
    `generate_series(1, 3) "g" ON "g" = "x"."count"`,
    `generate_series(1, 3) WITH ORDINALITY "g"("gv", "go") ON "g"."gv" = "x"."count"`,
    `jsonb_each_text('{"1": 2, "3": 4}') "j" ON "j"."key" = "x"."count"::text`,
    `(SELECT * FROM (VALUES (1), (2)) "w") "u"("un") ON "u"."un" = "x"."count"`,
  ])
  const head = rng.pick(['*', '"x".*, 1 AS "one"'])
  return [
    fixed(`SELECT ${head} FROM (`),
    listed('SELECT', [...outputs(shape), '"t"."count"']),
    fixed(`FROM ${shape.table}`),
    shape.where,
    fixed(`) "x" ${rng.pick(['JOIN', 'LEFT JOIN'])} ${rows}`),
    listed('ORDER BY', [
      ...shape.names.map((name) => `"x"."${name}"`),
      ...(head === '*' ? [String(shape.names.length + 2)] : []),
    ]),
  ]
}

/** Columns that a join makes of two. */
const using: Make = (rng, shape) => {
  const side = (name: string, more: string, last: readonly Clause[]): readonly Clause[] => [
    fixed('('),
    listed('SELECT', [...outputs(shape), `"t"."count" AS "${more}"`]),
    fixed(`FROM ${shape.table}`),
    ...last,
    fixed(`) "${name}"`),
  ]
  const list = shape.names.map((name) => `"${name}"`).join(', ')
  const [word, condition] = rng.pick([
    ['JOIN', `USING (${list})`],
    ['LEFT JOIN', `USING (${list})`],
    ['RIGHT JOIN', `USING (${list})`],
    ['FULL JOIN', `USING (${list})`],
    ['NATURAL LEFT JOIN', ''],
    ['NATURAL RIGHT JOIN', ''],
  ] as const)
  const half = clause('WHERE', '', [fragment(`"t"."count" ${rng.pick(['> 3', '<= 3'])}`)], true)
  return [
    fixed('SELECT * FROM'),
    ...side('a', 'm', [shape.where]),
    fixed(word),
    ...side('b', 'n', [half]),
    fixed(condition),
    listed(
      'ORDER BY',
      shape.names.map((name) => `"${name}"`),
    ),
  ]
}

/** Locks, with a page and without one. */
const lock: Make = (rng, shape) => [
  listed('SELECT', outputs(shape)),
  fixed(`FROM ${shape.table}`),
  shape.where,
  listed('ORDER BY', shape.ids),
  clause('LIMIT', '', rng.oneIn(2) ? [fragment('?', [1 + rng.int(6)])] : []),
  fixed(rng.pick(['FOR UPDATE', 'FOR NO KEY UPDATE NOWAIT', 'FOR SHARE', 'FOR UPDATE SKIP LOCKED'])),
]

/** Locks beside the unsharded table, whose rows cannot be locked where they are sent to shards. */
const lockBeside: Make = (rng, shape) => [
  listed('SELECT', outputs(shape)),
  fixed(`FROM ${shape.table} JOIN "setting" "s" ON "s"."count" = "t"."count"`),
  shape.where,
  listed('ORDER BY', [...shape.ids, '"s"."id"']),
  fixed(
    rng.pick(['FOR UPDATE OF "t"', 'FOR UPDATE OF "t"', 'FOR SHARE OF "t" NOWAIT', 'FOR UPDATE', 'FOR UPDATE OF "s"']),
  ),
]

/** A bare name in ON, that a neighbour of the join has as well: its key. */
const neighbour: Make = (rng, shape) => {
  const source = sqlSource(shape.spec, 't')
  const [key = '"t"."count"'] = keysOf(shape.spec).map(source.ref)
  const name = key.slice('"t".'.length)
  return [
    listed('SELECT', [...outputs(shape), '"vn"']),
    fixed(
      `FROM ${shape.table}, (VALUES (1), (2)) "one" ${rng.pick(['JOIN', 'LEFT JOIN'])} (VALUES (1, 2), (2, 3)) "v"("vn", ${name}) ON ${name} = ${rng.pick([2, 3])} AND "vn" = "one"."column1"`,
    ),
    shape.where,
    listed('ORDER BY', [...shape.ids, '"one"."column1"']),
  ]
}

/** Grouping sets with the empty one, beside a subquery, over rows or none. */
const emptySet: Make = (rng, { spec, table, where }) => [
  fixed(
    `SELECT "t"."count" % 2 AS "k", count(*) AS "n", (SELECT count(*) FROM ${tableName(spec)} "s") AS "c" FROM ${table}`,
  ),
  rng.oneIn(2) ? where : fixed('WHERE "t"."count" < -1000'),
  fixed(`GROUP BY ${rng.pick(['CUBE (1)', 'ROLLUP (1)', 'GROUPING SETS ((1), ())'])} ORDER BY 1, 2`),
]

/** An alias that is the name of an input column: GROUP BY means the column, DISTINCT ON and ORDER BY the output. */
const aliasOfColumn: Make = (rng, { table, ids, where }) => {
  const inner = [fixed(`FROM (SELECT ${ids.join(' , ')} , "t"."count" AS "k", "t"."small" AS "s" FROM ${table}`), where]
  const value = rng.pick(['"x"."k" % 3', '-"x"."k"', '"x"."s"'])
  return rng.oneIn(2)
    ? [
        fixed(`SELECT ${value} AS "k", count(*) AS "n"`),
        ...inner,
        fixed(`) "x" GROUP BY "k"${value.includes('s') ? ', "x"."s"' : ''} ORDER BY 1, 2`),
      ]
    : [fixed(`SELECT DISTINCT ON ("k") ${value} AS "k", "x"."s" AS "v"`), ...inner, fixed(') "x" ORDER BY "k", 2')]
}

/** A column with and without its qualifier beside grouping sets. */
const spelledSets: Make = (rng, { table, where }) => {
  const [one, two] = rng.oneIn(2) ? ['"t"."small"', '"small"'] : ['"small"', '"t"."small"']
  const set = rng.pick([`ROLLUP (${two})`, `CUBE (${two})`, `GROUPING SETS ((${two}), ())`, two])
  const grouping = set === two ? '0' : `GROUPING(${one})`
  return [
    fixed(`SELECT ${one} AS "k", ${grouping} AS "g", count(*) AS "n" FROM ${table}`),
    where,
    fixed(`GROUP BY ${set} ORDER BY 1, 2, 3`),
  ]
}

/** Columns that tell a row's place in a file. */
const systemColumn: Make = (rng, { table, ids, where }) => [
  fixed(
    `SELECT ${rng.pick(['count(DISTINCT "t"."ctid")', 'count(*) FILTER (WHERE "t"."xmin" IS NULL)', `count(${ids[0]})`])} AS "n" FROM ${table}`,
  ),
  where,
]

/** What shards need no way to get right: one database refuses it. */
const mistake: Make = (rng, shape) => [
  listed(`SELECT ${rng.pick(['', 'DISTINCT'])}`, [...outputs(shape), '"t"."count" AS "k"', '"t"."count" + 1 AS "k"']),
  fixed(`FROM ${shape.table}`),
  shape.where,
  fixed(`ORDER BY ${rng.pick(['"k"', '17', `'x'`])}`),
]

const makers: readonly (readonly [method: string, make: Make])[] = [
  ['json', jsonAggregate],
  ['volatile', volatile],
  ['volatile', volatileRows],
  ['clock', clock],
  ['constant', constant],
  ['star', star],
  ['using', using],
  ['lock', lock],
  ['lockBeside', lockBeside],
  ['neighbour', neighbour],
  ['sets', emptySet],
  ['alias', aliasOfColumn],
  ['sets', spelledSets],
  ['system', systemColumn],
  ['mistake', mistake],
]
