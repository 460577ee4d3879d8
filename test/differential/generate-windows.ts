import { type Kind, keysOf, primaryOf } from './columns'
import { conditionOn } from './generate-conditions'
import { type Expression, expressionOf, loose } from './generate-expressions'
import type { Rng } from './rng'
import type { Source } from './sources'

const numbers = new Set<Kind>(['smallint', 'int', 'bigint', 'numeric', 'price'])

/** Where the rows of a window lie. */
interface Rows {
  /** Any of the tables that are read. */
  readonly source: Source
  /** Columns that tell every row of the query from every other. */
  readonly unique: readonly string[]
}

/** A function over a window. One whose value hangs on the place of a row has a window in total order. */
export function windowOf(rng: Rng, rows: Rows): Expression {
  return rng.weighted<Expression>([
    [3, () => ranked(rng, rows)],
    [5, () => placed(rng, rows)],
    [5, () => aggregated(rng, rows)],
  ])
}

/** The number of a row among those of its partition: `row_number`, or one that gives rows of one value one number. */
export function numberOf(rng: Rng, rows: Rows): string {
  return rng.oneIn(2)
    ? `row_number() ${over(rng, rows, [...termsOf(rng, rows, 2), ...totalTerms(rng, rows)])}`
    : `${rng.pick(['rank', 'dense_rank'])}() ${over(rng, rows, termsOf(rng, rows, 2))}`
}

const over = (rng: Rng, rows: Rows, order: readonly string[], frame = ''): string => {
  const partition = partitionOf(rng, rows)
  const parts = [
    ...(partition.length > 0 ? [`PARTITION BY ${partition.join(', ')}`] : []),
    ...(order.length > 0 ? [`ORDER BY ${order.join(', ')}`] : []),
    ...(frame === '' ? [] : [frame]),
  ]
  return `OVER ( ${parts.join(' ')} )`
}

/** None, the shard key, something else, or both. */
function partitionOf(rng: Rng, { source }: Rows): readonly string[] {
  const keys = keysOf(source.spec).map(source.ref)
  const other = (): string => expressionOf(rng, source).sql
  return rng.weighted<readonly string[]>([
    [2, () => []],
    [2, () => keys],
    [3, () => [other()]],
    [1, () => [...keys, other()]],
    [1, () => [other(), other()]],
  ])
}

const term = (rng: Rng, sql: string): string =>
  `${sql} ${rng.pick(['ASC', 'DESC', 'ASC NULLS FIRST', 'DESC NULLS LAST'])}`

const termsOf = (rng: Rng, { source }: Rows, most: number): readonly string[] =>
  Array.from({ length: rng.int(most + 1) }, () => term(rng, expressionOf(rng, source).sql))

const totalTerms = (rng: Rng, { unique }: Rows): readonly string[] => unique.map((sql) => term(rng, sql))

function ranked(rng: Rng, rows: Rows): Expression {
  const name = rng.pick(['rank', 'dense_rank', 'percent_rank', 'cume_dist'])
  return { sql: `${name}() ${over(rng, rows, termsOf(rng, rows, 2))}`, of: [] }
}

function placed(rng: Rng, rows: Rows): Expression {
  const order = [...termsOf(rng, rows, 1), ...totalTerms(rng, rows)]
  const value = expressionOf(rng, rows.source).sql
  const by = rng.oneIn(2) ? '' : `, ${rng.int(4)}`
  const call = rng.pick([
    'row_number()',
    'row_number()',
    `ntile(${1 + rng.int(4)})`,
    `lag( ${value} ${by})`,
    `lead( ${value} ${by})`,
    `first_value( ${value} )`,
    `last_value( ${value} )`,
    `nth_value( ${value} , ${1 + rng.int(3)})`,
  ])
  const frame = /_value/.test(call) && rng.oneIn(2) ? `ROWS BETWEEN ${rng.pick(rowBounds)}` : ''
  return { sql: `${call} ${over(rng, rows, order, frame)}`, of: [] }
}

const rowBounds = [
  'UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING',
  'CURRENT ROW AND UNBOUNDED FOLLOWING',
  '1 PRECEDING AND 1 FOLLOWING',
  '2 PRECEDING AND 1 PRECEDING',
  'UNBOUNDED PRECEDING AND CURRENT ROW',
] as const

/** Rows of one value come and go together. */
const peerFrames = [
  '',
  '',
  'RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW',
  'RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING',
  'RANGE UNBOUNDED PRECEDING EXCLUDE CURRENT ROW',
  'RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE GROUP',
  'RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE TIES',
] as const

/** An aggregate over a window. */
function aggregated(rng: Rng, rows: Rows): Expression {
  const { source } = rows
  const made = windowAggregate(rng, source)
  const condition = rng.oneIn(5) ? conditionOn(rng, source, rng.pick(source.spec.columns)) : undefined
  const call = condition ? `${made.sql} FILTER (WHERE ${condition.sql} )` : made.sql
  const window = rng.weighted<string>([
    [2, () => over(rng, rows, [], rng.pick(peerFrames))],
    [3, () => over(rng, rows, termsOf(rng, rows, 2), rng.pick(peerFrames))],
    [
      2,
      () =>
        over(rng, rows, [...termsOf(rng, rows, 1), ...totalTerms(rng, rows)], `ROWS BETWEEN ${rng.pick(rowBounds)}`),
    ],
    [
      1,
      () =>
        over(
          rng,
          rows,
          [term(rng, expressionOf(rng, source).sql)],
          `GROUPS BETWEEN ${rng.pick(['1 PRECEDING AND 1 FOLLOWING', 'CURRENT ROW AND 2 FOLLOWING'])}`,
        ),
    ],
    [1, () => over(rng, rows, [term(rng, countOf(source))], 'RANGE BETWEEN 1 PRECEDING AND 2 FOLLOWING')],
  ])
  return { ...made, sql: `${call} ${window}`, of: condition?.of ?? [] }
}

const countOf = ({ spec, ref }: Source): string => {
  const column = spec.columns.find(({ path }) => path === 'count') ?? primaryOf(spec)[0]
  return column ? ref(column) : '1'
}

function windowAggregate(rng: Rng, source: Source): Expression {
  const number = source.spec.columns.filter(({ kind }) => numbers.has(kind))
  const column = rng.pick(number)
  const [any, double] = [expressionOf(rng, source), source.spec.columns.find(({ kind }) => kind === 'double')]
  const extreme = rng.pick(number)
  return rng.weighted<Expression>([
    [3, () => ({ sql: 'count(*)', of: [] })],
    [1, () => ({ sql: `count( ${any.sql} )`, of: [] })],
    [4, () => ({ sql: `${rng.pick(['sum', 'avg'])}( ${source.ref(column)} )`, of: [] })],
    [
      2,
      () => ({
        sql: `${rng.pick(['min', 'max'])}( ${source.ref(extreme)} )`,
        of: [],
        isLoose: loose.has(extreme.kind),
      }),
    ],
    [
      double ? 1 : 0,
      () => ({ sql: `sum( ${double ? source.ref(double) : '1'} )`, of: [], isClose: true, isLoose: true }),
    ],
  ])
}
