import { collations } from './collations'
import type { ColumnSpec, Kind } from './columns'
import type { Data } from './data'
import { poolOf } from './generate-where'
import type { Fragment } from './operation'
import type { Rng } from './rng'
import type { Source } from './sources'

const wholes = new Set<Kind>(['smallint', 'int', 'bigint'])
const texts = new Set<Kind>(['text', 'char'])
const ordered = new Set<Kind>([
  'smallint',
  'int',
  'bigint',
  'numeric',
  'price',
  'double',
  'date',
  'timestamp',
  'timestamptz',
  'text',
  'char',
  'enum',
  'uuid',
  'money',
  'interval',
  'time',
  'timetz',
  'bytes',
  'inet',
  'range',
  'integers',
  'numerics',
])

/** What a parameter for the column may be: numbers as texts too, and no transformer helps. */
function parameterFor(rng: Rng, column: ColumnSpec): Data {
  const value = column.kind === 'price' ? rng.pick<Data>(['0', '1.50', '-0.99', '0.1']) : rng.pick(poolOf(column))
  return typeof value === 'number' && rng.oneIn(3) ? String(value) : value
}

/** A condition on one column, as SQL. */
export function conditionOn(rng: Rng, source: Source, column: ColumnSpec): Fragment {
  const name = source.ref(column)
  const value = (): Data => parameterFor(rng, column)
  const list = Array.from({ length: 1 + rng.int(5) }, value)
  const nulls: Fragment = { sql: `${name} IS ${rng.oneIn(2) ? 'NOT ' : ''}NULL`, of: [] }
  if (column.kind === 'json')
    return rng.oneIn(3) ? nulls : { sql: `${name} @> CAST(? AS jsonb)`, of: [JSON.stringify(rng.pick(poolOf(column)))] }
  if (column.kind === 'tags')
    return rng.oneIn(3)
      ? nulls
      : { sql: `${name} ${rng.pick(['&&', '@>', '<@', '>'])} CAST(? AS text[])`, of: [value()] }
  if (column.kind === 'real') return rng.oneIn(3) ? nulls : { sql: `${name} > 0`, of: [] }
  const often = column.isKey || column.isLookedUp ? 6 : 2
  return rng.weighted<Fragment>([
    [often, () => ({ sql: `${name} = ?`, of: [value()] })],
    [1, () => ({ sql: `? = ${name}`, of: [value()] })],
    [often, () => ({ sql: `${name} IN (${list.map(() => '?').join(', ')})`, of: list })],
    [1, () => ({ sql: `${name} NOT IN (${list.map(() => '?').join(', ')})`, of: list })],
    [1, () => ({ sql: `${name} <> ?`, of: [value()] })],
    [1, () => ({ sql: `${name} IS ${rng.oneIn(2) ? 'NOT ' : ''}DISTINCT FROM ?`, of: [value()] })],
    [column.nullable ? 2 : 0.3, () => nulls],
    ...(ordered.has(column.kind)
      ? [
          [3, () => ({ sql: `${name} ${rng.pick(['<', '<=', '>', '>='])} ?`, of: [value()] })] as const,
          [2, () => ({ sql: `${name} BETWEEN ? AND ?`, of: [value(), value()] })] as const,
        ]
      : []),
    ...(texts.has(column.kind)
      ? [
          [
            2,
            () => ({ sql: `${name} ${rng.pick(['LIKE', 'ILIKE'])} ?`, of: [rng.pick(['a%', '%é%', '_', '%'])] }),
          ] as const,
          [
            1.5,
            () => ({
              sql: `${name} COLLATE ${rng.pick(collations)} ${rng.pick(['<', '<=', '>', '>=', '=', '<>'])} ?`,
              of: [value()],
            }),
          ] as const,
          [0.5, () => ({ sql: `${name} > ? COLLATE ${rng.pick(collations)}`, of: [value()] })] as const,
          [
            0.5,
            () => ({
              sql: `${name} COLLATE ${rng.pick(collations)} BETWEEN ? AND ?`,
              of: [value(), value()],
            }),
          ] as const,
          [1, () => ({ sql: `lower(${name}) = ?`, of: [rng.pick(['a', 'b', 'é'])] })] as const,
        ]
      : []),
    ...(wholes.has(column.kind)
      ? [
          [2, () => ({ sql: `${name} = ${rng.int(9)}`, of: [] })] as const,
          [1, () => ({ sql: `${name} % 3 = ${rng.int(3)}`, of: [] })] as const,
          [1, () => ({ sql: `${name} IN (1, 2, ${rng.int(40)})`, of: [] })] as const,
        ]
      : []),
  ])
}

/** Conditions that all hold; some are of several parts. */
export function conditions(rng: Rng, source: Source): readonly Fragment[] {
  const { columns } = source.spec
  const keys = columns.filter((column) => column.isKey)
  const one = (): Fragment =>
    conditionOn(rng, source, rng.oneIn(4) && keys.length > 0 ? rng.pick(keys) : rng.pick(columns))
  const made: Fragment[] = []
  if (rng.oneIn(3)) for (const column of keys) made.push(conditionOn(rng, source, column))
  for (let n = rng.pick([0, 0, 1, 1, 1, 2]); n > 0; n -= 1) {
    made.push(
      rng.weighted<Fragment>([
        [6, one],
        [1, () => joined('OR', one(), one())],
        [1, () => joined('AND', one(), one())],
        [1, () => negated(one())],
        [1, () => joined('OR', joined('AND', one(), one()), negated(one()))],
      ]),
    )
  }
  return made
}

const joined = (word: string, a: Fragment, b: Fragment): Fragment => ({
  sql: `( ${a.sql} ${word} ${b.sql} )`,
  of: [...a.of, ...b.of],
})

const negated = ({ sql, of }: Fragment): Fragment => ({ sql: `NOT ( ${sql} )`, of })
