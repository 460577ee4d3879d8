import { type EntitySpec, primaryOf } from './columns'
import { conditions } from './generate-conditions'
import type { Call, Clause, Operation, Sql } from './operation'
import type { Rng } from './rng'
import { columnName, sqlSource, tableName } from './sources'
import { clause, fixed, fragment, inOrder, listed } from './sql-text'

/** Some values that rows have, too. */
const values = ['a', 'B', 'é', "o'clock", 'back\\slash', '10']
const zones = ['Asia/Tokyo', 'UTC', 'America/St_Johns', 'Europe/Rome']
const names = ['one', '"Two"', 'three'] as const

/** A setting that nobody has set is null in one session and empty in another. */
const own = "nullif(current_setting('app.own', true), '')"

/**
 * Operations of one transaction that say something of its session, between others: settings, modes, and savepoints that are
 * set, returned to and released. What is read and written depends on what was said last and not undone.
 */
export function makeSession(rng: Rng, known: readonly EntitySpec[], makeInner: () => Operation): readonly Operation[] {
  const isolated = rng.oneIn(4) ? [said(rng, known, `SET TRANSACTION ISOLATION LEVEL ${rng.pick(levels)}`)] : []
  if (rng.oneIn(8)) return [...isolated, ...makeReadOnly(rng, known)]
  const operations: Operation[] = [...isolated, setting(rng, known)]
  let savepoints: readonly string[] = []
  for (let left = 4 + rng.int(5); left > 0; left -= 1) {
    const [name = '', depth] = [savepoints[rng.int(savepoints.length)], savepoints.length]
    const place = savepoints.lastIndexOf(name)
    const step = rng.weighted<() => void>([
      [3, () => () => operations.push(setting(rng, known))],
      [4, () => () => operations.push(asked(rng, rng.pick(known)))],
      [2, () => () => operations.push(written(rng, rng.pick(known)))],
      [2, () => () => operations.push(makeInner())],
      [
        2,
        () => () => {
          const added = rng.pick(names)
          operations.push(said(rng, known, `SAVEPOINT ${added}`))
          savepoints = [...savepoints, added]
        },
      ],
      [
        depth > 0 ? 3 : 0,
        () => () => {
          operations.push(said(rng, known, `ROLLBACK TO ${rng.pick(['', 'SAVEPOINT '])}${name}`))
          savepoints = savepoints.slice(0, place + 1)
          operations.push(asked(rng, rng.pick(known)))
        },
      ],
      [
        depth > 0 ? 1 : 0,
        () => () => {
          operations.push(said(rng, known, `RELEASE ${rng.pick(['', 'SAVEPOINT '])}${name}`))
          savepoints = savepoints.slice(0, place)
        },
      ],
    ])
    step()
  }
  return operations
}

const levels = ['REPEATABLE READ', 'SERIALIZABLE']

/** Reads, and a write that is an error, before or behind others. */
const makeReadOnly = (rng: Rng, known: readonly EntitySpec[]): readonly Operation[] => [
  ...(rng.oneIn(2) ? [asked(rng, rng.pick(known))] : []),
  said(rng, known, 'SET TRANSACTION READ ONLY'),
  asked(rng, rng.pick(known)),
  ...(rng.oneIn(2) ? [written(rng, rng.pick(known))] : []),
]

const sql = (spec: EntitySpec, clauses: readonly Clause[]): Sql => ({
  do: 'sql',
  entity: spec.name,
  method: 'sql.session',
  isWrite: true,
  compare: inOrder,
  clauses,
})

const said = (rng: Rng, known: readonly EntitySpec[], text: string): Sql => sql(rng.pick(known), [fixed(text)])

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

function setting(rng: Rng, known: readonly EntitySpec[]): Sql {
  const value = rng.pick(values)
  return rng.weighted<Sql>([
    [2, () => said(rng, known, `SET LOCAL app.own = ${literal(value)}`)],
    [2, () => sql(rng.pick(known), [fixed(`SELECT set_config('app.own', ?, true) AS "v"`, [value])])],
    [1, () => said(rng, known, `SELECT set_config('TimeZone', ${literal(rng.pick(zones))}, true)`)],
    [1, () => said(rng, known, `SET LOCAL TIME ZONE ${literal(rng.pick(zones))}`)],
    [0.5, () => said(rng, known, 'RESET TimeZone')],
  ])
}

/** A read whose answer the session decides. */
function asked(rng: Rng, spec: EntitySpec): Operation {
  const source = sqlSource(spec, 't')
  const from = fixed(`FROM ${tableName(spec)} "t"`)
  const where = clause('WHERE', ' AND ', conditions(rng, source))
  const ids = primaryOf(spec).map(source.ref)
  const instant = spec.columns.find(({ kind }) => kind === 'timestamptz')
  const at = instant && source.ref(instant)
  const text = textOf(spec)
  const zoned: (readonly [number, () => Operation])[] = at
    ? [
        [
          2,
          () =>
            sql(spec, [
              listed('SELECT', [...ids, `to_char(${at}, 'YYYY-MM-DD HH24:MI TZ') AS "v"`]),
              from,
              where,
              listed('ORDER BY', ids),
            ]),
        ],
        [
          2,
          () =>
            sql(spec, [
              fixed(`SELECT date_trunc('day', ${at}) AS "d", count(*) AS "n"`),
              from,
              where,
              fixed('GROUP BY 1 ORDER BY 1'),
            ]),
        ],
      ]
    : []
  return rng.weighted<Operation>([
    ...zoned,
    [
      3,
      () =>
        sql(spec, [
          fixed(`SELECT ${own} AS "v", current_setting('TimeZone') AS "z", count(*) AS "n"`),
          from,
          where,
          fixed('GROUP BY 1, 2'),
        ]),
    ],
    [1, () => sql(spec, [fixed(`SELECT ${own} AS "v", current_setting('TimeZone') AS "z"`)])],
    [1, () => sql(spec, [fixed('SELECT count(*) AS "n"'), from, fixed(`WHERE ${source.ref(text)} = ${own}`)])],
    [1, () => call(spec, 'count', [{ where: { [text.path]: ofOwn } }])],
    [
      1,
      () =>
        call(spec, 'find', [
          {
            where: { [text.path]: ofOwn },
            order: Object.fromEntries(primaryOf(spec).map(({ path }) => [path, 'ASC'])),
          },
        ]),
    ],
  ])
}

const ofOwn = { $: 'raw', sql: `{} = ${own}`, of: {} } as const

/** A write that stores what the session says, or chooses rows by it. */
function written(rng: Rng, spec: EntitySpec): Operation {
  const source = sqlSource(spec, 't')
  const text = textOf(spec)
  const value = `coalesce(${own}, 'none')`
  return rng.weighted<Operation>([
    [
      2,
      () =>
        sql(spec, [
          fixed(`UPDATE ${tableName(spec)} "t" SET "${columnName(text.path)}" = ${value}`),
          clause('WHERE', ' AND ', [fragment('"t"."count" > ?', [rng.int(6)]), ...conditions(rng, source)], true),
        ]),
    ],
    [1, () => call(spec, 'update', [{ count: rng.int(6) }, { [text.path]: { $: 'sql', v: value } }])],
    [1, () => call(spec, 'update', [{ [text.path]: ofOwn }, { count: rng.int(6) }])],
  ])
}

const call = (spec: EntitySpec, method: string, args: Call['args']): Call => ({
  do: 'call',
  entity: spec.name,
  method,
  args,
  compare: 'exact',
})

/** A column of text that is no key. */
function textOf(spec: EntitySpec) {
  const column = spec.columns.find(({ path }) => path === 'word') ?? spec.columns.find(({ path }) => path === 'name')
  if (!column) throw new RangeError(`${spec.name} has no word.`)
  return column
}
