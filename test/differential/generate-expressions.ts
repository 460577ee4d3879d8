import { collations } from './collations'
import { type ColumnSpec, type Kind, primaryOf } from './columns'
import { conditionOn } from './generate-conditions'
import type { Fragment } from './operation'
import type { Rng } from './rng'
import type { Source } from './sources'

/** Something that a statement selects. */
export interface Expression extends Fragment {
  /** Floats that are added up: any last digits will do. */
  readonly isClose?: boolean
  /** Any of several equal values will do. */
  readonly isLoose?: boolean
}

const wholes = new Set<Kind>(['smallint', 'int', 'bigint'])
const numbers = new Set<Kind>(['smallint', 'int', 'bigint', 'numeric', 'price'])
/** Kinds in which values that look different are equal. */
export const loose = new Set<Kind>(['numeric', 'double', 'real', 'interval', 'numerics'])
/** Lists of lists must be of one length. */
const lists = new Set<Kind>(['tags', 'integers', 'numerics'])
const unbounded = new Set<Kind>(['boolean', 'uuid', 'json', 'range'])

/** A column, or something made of one. */
export function expressionOf(rng: Rng, source: Source): Expression {
  const column = rng.pick(source.spec.columns)
  const name = source.ref(column)
  const plain: Expression = { sql: name, of: [], isLoose: loose.has(column.kind) }
  if (rng.oneIn(2)) return plain
  const exact = (...texts: readonly string[]): Expression => ({ sql: rng.pick(texts), of: [] })
  switch (column.kind) {
    case 'text':
      return exact(
        `lower( ${name} )`,
        `length( ${name} )`,
        `substr( ${name} , 1, 1)`,
        `coalesce( ${name} , '-')`,
        `${name} || '!'`,
        `${name} COLLATE ${rng.pick(collations)}`,
        `${name} COLLATE ${rng.pick(collations)}`,
        `lower( ${name} ) COLLATE ${rng.pick(collations)}`,
      )
    case 'char':
      return exact(`${name} IS NULL`, `${name} COLLATE ${rng.pick(collations)}`)
    case 'int':
    case 'smallint':
    case 'bigint':
      return exact(
        `${name} % 3`,
        `${name} / 2`,
        `${name} > 2`,
        `CASE WHEN ${name} > 2 THEN 'many' WHEN ${name} IS NULL THEN NULL ELSE 'few' END`,
        `CAST( ${name} AS text)`,
      )
    case 'timestamp':
      return exact(`date_trunc('month', ${name} )`, `extract(year from ${name} )`, `CAST( ${name} AS date)`)
    case 'timestamptz':
      return exact(
        `date_trunc('month', ${name} )`,
        `extract(year from ${name} )`,
        `CAST( ${name} AS date)`,
        // What the session says is in these.
        `extract(hour from ${name} )`,
        `to_char( ${name} , 'HH24:MI TZ')`,
        `CAST( ${name} AS text)`,
      )
    case 'double':
    case 'interval':
    case 'bytes':
      return exact(`CAST( ${name} AS text)`)
    case 'date':
      return exact(`date_trunc('quarter', ${name} )`, `extract(month from ${name} )`)
    case 'boolean':
      return exact(`${name} IS TRUE`, `NOT ${name}`)
    case 'json':
      return exact(`${name} ->> 'a'`, `${name} IS NULL`)
    case 'tags':
    case 'integers':
      return exact(`cardinality( ${name} )`, `${name} IS NULL`)
    default:
      return exact(`${name} IS NULL`)
  }
}

/** An aggregate over the rows of the source. */
export function aggregateOf(rng: Rng, source: Source): Expression {
  const made = plainAggregate(rng, source)
  if (!rng.oneIn(5)) return made
  const condition = conditionOn(rng, source, rng.pick(source.spec.columns))
  return { ...made, sql: `${made.sql} FILTER (WHERE ${condition.sql} )`, of: [...made.of, ...condition.of] }
}

function plainAggregate(rng: Rng, source: Source): Expression {
  const { columns } = source.spec
  const some = (accepts: (column: ColumnSpec) => boolean): ColumnSpec | undefined => {
    const list = columns.filter(accepts)
    return list.length > 0 ? rng.pick(list) : undefined
  }
  const of = (sql: string, more: Omit<Expression, 'sql' | 'of'> = {}): Expression => ({ sql, of: [], ...more })
  const count = (): Expression => of('count(*)')
  const over = (column: ColumnSpec | undefined, make: (name: string, kind: Kind) => Expression) => (): Expression =>
    column ? make(source.ref(column), column.kind) : count()
  const tie = primaryOf(source.spec)
    .map((column) => `, ${source.ref(column)}`)
    .join(' ')
  const direction = rng.pick(['ASC', 'DESC', 'ASC NULLS FIRST', 'DESC NULLS LAST'])
  const number = some(({ kind }) => numbers.has(kind))
  const float = some(({ kind }) => kind === 'double')
  const any = some(() => true)
  const flat = some(({ kind }) => !lists.has(kind))
  const text = some(({ kind }) => kind === 'text')
  const collation = rng.pick(collations)
  return rng.weighted<Expression>([
    [3, count],
    [2, over(any, (name) => of(`count( ${name} )`))],
    [3, over(any, (name) => of(`count(DISTINCT ${name} )`))],
    [4, over(number, (name) => of(`${rng.pick(['sum', 'avg'])}( ${name} )`))],
    [
      1,
      over(number, (name, kind) => of(`${rng.pick(['sum', 'avg'])}(DISTINCT ${name} )`, { isLoose: loose.has(kind) })),
    ],
    [2, over(float, (name) => of(`${rng.pick(['sum', 'avg'])}( ${name} )`, { isClose: true, isLoose: true }))],
    [
      1,
      over(
        some(({ kind }) => kind === 'money'),
        (name) => of(`sum( ${name} )`),
      ),
    ],
    [
      1,
      over(
        some(({ kind }) => kind === 'interval'),
        (name) => of(`sum( ${name} )`),
      ),
    ],
    [
      4,
      over(
        some(({ kind }) => !unbounded.has(kind)),
        (name, kind) => of(`${rng.pick(['min', 'max'])}( ${name} )`, { isLoose: loose.has(kind) }),
      ),
    ],
    [
      2,
      over(flat, (name, kind) =>
        of(`array_agg( ${name} ORDER BY ${name} ${direction} ${tie} )`, { isLoose: loose.has(kind) }),
      ),
    ],
    [1, over(flat, (name, kind) => of(`array_agg(DISTINCT ${name} ORDER BY ${name} )`, { isLoose: loose.has(kind) }))],
    [
      2,
      over(
        some(({ kind }) => kind === 'text'),
        (name) => of(`string_agg( ${name} , ',' ORDER BY ${name} ${direction} ${tie} )`),
      ),
    ],
    [
      1,
      over(
        some(({ kind }) => kind === 'text'),
        (name) => of(`string_agg(DISTINCT ${name} , '|' ORDER BY ${name} )`),
      ),
    ],
    [
      2,
      over(text, (name) =>
        of(
          rng.pick([
            `min( ${name} COLLATE ${collation} )`,
            `max( ${name} COLLATE ${collation} )`,
            `string_agg( ${name} , ',' ORDER BY ${name} COLLATE ${collation} ${direction} ${tie} )`,
            `array_agg(DISTINCT ${name} COLLATE ${collation} ORDER BY ${name} COLLATE ${collation} )`,
            `percentile_disc(0.5) WITHIN GROUP (ORDER BY ${name} COLLATE ${collation} )`,
          ]),
        ),
      ),
    ],
    [
      1,
      over(
        some(({ kind }) => kind === 'boolean'),
        (name) => of(`${rng.pick(['bool_and', 'bool_or', 'every'])}( ${name} )`),
      ),
    ],
    [
      2,
      over(number, (name) =>
        of(`${rng.pick(['stddev', 'variance', 'stddev_pop', 'var_pop', 'stddev_samp', 'var_samp'])}( ${name} )`),
      ),
    ],
    [1, over(float, (name) => of(`${rng.pick(['stddev', 'variance'])}( ${name} )`, { isClose: true, isLoose: true }))],
    [
      1,
      over(
        some(({ kind }) => kind === 'int' || kind === 'double'),
        (name) =>
          of(`percentile_cont(${rng.pick(['0', '0.5', '0.9'])}) WITHIN GROUP (ORDER BY ${name} )`, {
            isClose: true,
            isLoose: true,
          }),
      ),
    ],
    [
      1,
      over(any, (name, kind) =>
        of(`${rng.pick(['percentile_disc(0.5)', 'percentile_disc(1)', 'mode()'])} WITHIN GROUP (ORDER BY ${name} )`, {
          isLoose: loose.has(kind),
        }),
      ),
    ],
    [
      1,
      over(
        some(({ kind }) => wholes.has(kind)),
        (name) => of(`${rng.pick(['bit_and', 'bit_or'])}( ${name} )`),
      ),
    ],
  ])
}

/** A condition on groups. */
export function havingOf(rng: Rng, source: Source): Fragment {
  return rng.weighted<Fragment>([
    [3, () => ({ sql: 'count(*) > ?', of: [rng.int(4)] })],
    [1, () => ({ sql: `count(*) BETWEEN ? AND ?`, of: [1, 1 + rng.int(4)] })],
    [2, () => ({ sql: `sum( ${countOf(source)} ) > ?`, of: [rng.int(12)] })],
    // As a bigint: whether PostgreSQL comes to a group behind a LIMIT, and to its overflow, is its plan's to say.
    [1, () => ({ sql: `max( ${countOf(source)} )::int8 - min( ${countOf(source)} ) > 1`, of: [] })],
    [1, () => ({ sql: `avg( ${countOf(source)} ) >= ?`, of: ['2.5'] })],
    [1, () => ({ sql: `count(DISTINCT ${countOf(source)} ) > 1`, of: [] })],
  ])
}

function countOf({ spec, ref }: Source): string {
  const column = spec.columns.find(({ path }) => path === 'count')
  if (!column) throw new RangeError(`${spec.name} has no count.`)
  return ref(column)
}
