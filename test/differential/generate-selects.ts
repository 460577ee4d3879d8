import { type EntitySpec, primaryOf, specs } from './columns'
import { conditions } from './generate-conditions'
import { aggregateOf, type Expression, expressionOf, havingOf } from './generate-expressions'
import { windowOf } from './generate-windows'
import type { Fragment, RawComparison } from './operation'
import type { Rng } from './rng'
import type { Source } from './sources'

/** A select of raw rows, before it is written as a query builder or as SQL. */
export interface SelectModel {
  readonly source: Source
  readonly join?: JoinModel
  readonly isDistinct: boolean
  readonly distinctOn: readonly Fragment[]
  /** Named `c0`, `c1`, … */
  readonly selects: readonly Fragment[]
  readonly where: readonly Fragment[]
  readonly groupBy: readonly Fragment[]
  readonly having: readonly Fragment[]
  readonly orderBy: readonly OrderModel[]
  readonly limit?: number
  readonly offset?: number
  /** The page goes on to the last row that sorts as its last. Only SQL can say so. */
  readonly withTies?: boolean
  readonly compare: RawComparison
}

export interface JoinModel {
  readonly source: Source
  readonly isInner: boolean
  /** The relation of the first source that is joined. */
  readonly property: string
  /** Of the children's side, whichever that is. */
  readonly foreignKey: string
  readonly isToMany: boolean
  readonly on: readonly Fragment[]
}

export interface OrderModel {
  readonly sql: string
  readonly direction: 'ASC' | 'DESC'
  readonly nulls?: 'NULLS FIRST' | 'NULLS LAST'
}

type MakeSource = (spec: EntitySpec, alias: string) => Source

export const columnAt = (index: number): string => `c${index}`

/** A select of any kind. */
export function makeSelectModel(rng: Rng, spec: EntitySpec, makeSource: MakeSource): SelectModel {
  const source = makeSource(spec, 't')
  const join = rng.oneIn(5) ? makeJoin(rng, spec, makeSource) : undefined
  const where = conditions(rng, source)
  const base = { source, where, ...(join && { join }) }
  return rng.weighted<SelectModel>([
    [6, () => grouped(rng, base)],
    [4, () => ungrouped(rng, base)],
    [4, () => listed(rng, base)],
    [2, () => distinct(rng, base)],
    [1, () => distinctOn(rng, base)],
    [3, () => windowed(rng, base)],
    [2, () => bySets(rng, base)],
  ])
}

type Base = Pick<SelectModel, 'source' | 'where' | 'join'>

/** A select whose page is not cut between rows that sort alike. */
export function makeTiedModel(rng: Rng, spec: EntitySpec, makeSource: MakeSource): SelectModel {
  const source = makeSource(spec, 't')
  const join = rng.oneIn(5) ? makeJoin(rng, spec, makeSource) : undefined
  const base: Base = { source, where: conditions(rng, source), ...(join && { join }) }
  const limit = rng.pick([0, 1, 1, 2, 2, 3, 5, 10, 1000])
  return rng.weighted<SelectModel>([
    [4, () => ({ ...tiedRows(rng, base), limit, withTies: true })],
    [2, () => ({ ...sortedOnly(rng, base), limit, withTies: true })],
    [2, () => ({ ...tiedGroups(rng, base), limit, withTies: true })],
  ])
}

/** Which rows these are is sure, their order among those that sort alike is not. */
function tiedRows(rng: Rng, base: Base): SelectModel {
  const isDistinct = rng.oneIn(5)
  const sorts = unique(times(1 + rng.int(2), () => expressionOf(rng, anySource(rng, base))))
  const shown = times(rng.int(3), () => expressionOf(rng, anySource(rng, base)))
  const selects = unique([...sorts, ...shown, ...(isDistinct ? [] : primariesOf(base))])
  return {
    ...base,
    ...nothing,
    isDistinct,
    selects,
    orderBy: sorts.map(({ sql }, index) => order(rng, rng.oneIn(2) ? columnNameAt(index) : sql)),
    compare: comparisonOf(isDistinct ? selects : [], false),
  }
}

/** Rows that sort alike are alike, so that some may be left out before the page. */
function sortedOnly(rng: Rng, base: Base): SelectModel {
  const selects = unique(times(1 + rng.int(2), () => expressionOf(rng, anySource(rng, base))))
  return {
    ...base,
    ...nothing,
    selects,
    orderBy: selects.map((_, index) => order(rng, columnNameAt(index))),
    ...(rng.oneIn(2) && { offset: rng.pick([0, 1, 2, 5, 60]) }),
    compare: comparisonOf(selects, true),
  }
}

function tiedGroups(rng: Rng, base: Base): SelectModel {
  const groups = unique(times(1 + rng.int(2), () => expressionOf(rng, anySource(rng, base))))
  const selects = [...groups, { sql: 'count(*)', of: [] }]
  return {
    ...base,
    ...nothing,
    selects,
    groupBy: groups.map(({ sql, of }) => ({ sql, of })),
    having: rng.oneIn(4) ? [havingOf(rng, base.source)] : [],
    orderBy: [order(rng, columnNameAt(groups.length))],
    compare: comparisonOf(selects, false),
  }
}

const primariesOf = ({ source, join }: Base): readonly Fragment[] =>
  [source, ...(join ? [join.source] : [])].flatMap(({ spec, ref }) =>
    primaryOf(spec).map((column) => ({ sql: ref(column), of: [] })),
  )

const nothing = { isDistinct: false, distinctOn: [], groupBy: [], having: [], orderBy: [] } as const

/** Columns of the joined table are used as well. */
const anySource = (rng: Rng, { source, join }: Base): Source => (join && rng.oneIn(2) ? join.source : source)

const times = <T>(count: number, make: () => T): readonly T[] => Array.from({ length: count }, make)

/** Rows of groups. In order only where it is total, and only then a page. */
function grouped(rng: Rng, base: Base): SelectModel {
  const groups = unique(times(1 + rng.int(2), () => expressionOf(rng, anySource(rng, base))))
  const aggregates = [
    ...times(1 + rng.int(3), () => aggregateOf(rng, anySource(rng, base))),
    ...(rng.oneIn(6) ? [windowOfGroups(rng, groups)] : []),
  ]
  const shown = rng.oneIn(6) ? [] : groups
  const selects = [...shown, ...aggregates]
  const having = rng.oneIn(3) ? [havingOf(rng, base.source)] : []
  const isOrdered = rng.oneIn(2)
  const first = aggregates.findIndex((one) => !one.isClose && one.of.length === 0)
  const byAggregate = isOrdered && first >= 0 && rng.oneIn(2)
  const byOrdinal = groups === shown && rng.oneIn(4)
  const orderBy = isOrdered
    ? [
        ...(byAggregate ? [order(rng, columnNameAt(shown.length + first))] : []),
        ...groups.map(({ sql }, index) => order(rng, byOrdinal ? String(index + 1) : sql)),
      ]
    : []
  return {
    ...base,
    ...nothing,
    selects,
    groupBy: groups.map(({ sql, of }, index) => (byOrdinal ? { sql: String(index + 1), of: [] } : { sql, of })),
    having,
    orderBy,
    ...(isOrdered && page(rng)),
    compare: comparisonOf(selects, isOrdered),
  }
}

/** A window over the groups. */
function windowOfGroups(rng: Rng, groups: readonly Expression[]): Expression {
  const total = groups.map(({ sql }) => `${sql} ${rng.pick(['ASC', 'DESC'])}`).join(', ')
  const [first] = groups
  return {
    sql: rng.pick([
      `rank() OVER ( ORDER BY count(*) DESC )`,
      `sum(count(*)) OVER ()`,
      `row_number() OVER ( ORDER BY count(*) , ${total} )`,
      `lag(count(*)) OVER ( ORDER BY ${total} )`,
      `sum(count(*)) OVER ( ORDER BY ${total} )`,
      `max(count(*)) OVER ( PARTITION BY ${first?.sql} )`,
    ]),
    of: [],
  }
}

/** Rows of several groupings at once. */
function bySets(rng: Rng, base: Base): SelectModel {
  const groups = unique(times(1 + rng.int(3), () => expressionOf(rng, anySource(rng, base))))
  const texts = groups.map(({ sql }, index) =>
    rng.weighted<string>([
      [6, () => sql],
      [1, () => String(index + 1)],
    ]),
  )
  const [first = '', ...others] = texts
  const list = texts.join(', ')
  const sets = rng.weighted<string>([
    [3, () => `ROLLUP ( ${list} )`],
    [2, () => `CUBE ( ${list} )`],
    [3, () => `GROUPING SETS (( ${list} ), ( ${first} ), ())`],
    [1, () => `GROUPING SETS (${texts.map((one) => `( ${one} )`).join(', ')}, ())`],
    [1, () => `${first} , ROLLUP ( ${others.join(', ') || first} )`],
  ])
  // The same set twice gives each of its groups twice.
  const isSure = others.length > 0
  const which: Expression = { sql: `GROUPING( ${groups.map(({ sql }) => sql).join(', ')} )`, of: [] }
  const aggregates = times(1 + rng.int(2), () => aggregateOf(rng, anySource(rng, base)))
  const selects = [...groups, which, ...aggregates]
  // PostgreSQL 18 takes a column under two collations for one where it sorts grouping sets: its rows come in no order.
  const columns = groups.map(({ sql }) => sql.replace(/ COLLATE "[^"]+"/, ''))
  const isOrdered = isSure && rng.oneIn(2) && new Set(columns).size === columns.length
  return {
    ...base,
    ...nothing,
    selects,
    groupBy: [{ sql: sets, of: [] }],
    having: rng.oneIn(4) ? [havingOf(rng, base.source)] : [],
    orderBy: isOrdered ? [groups.length, ...groups.keys()].map((index) => order(rng, columnNameAt(index))) : [],
    ...(isOrdered && page(rng)),
    compare: comparisonOf(selects, isOrdered),
  }
}

/** Rows with functions over windows. */
function windowed(rng: Rng, base: Base): SelectModel {
  const unique = primariesOf(base).map(({ sql }) => sql)
  const rows = () => ({ source: anySource(rng, base), unique })
  const windows = times(1 + rng.int(2), () => windowOf(rng, rows()))
  const plain = times(rng.int(2), () => expressionOf(rng, anySource(rng, base)))
  const selects = [...windows, ...plain]
  const isOrdered = !rng.oneIn(3)
  const first = windows.findIndex((one) => !one.isClose)
  const byWindow = first >= 0 && rng.oneIn(3) ? [order(rng, columnNameAt(first))] : []
  return {
    ...base,
    ...nothing,
    selects,
    orderBy: isOrdered ? [...byWindow, ...unique.map((sql) => order(rng, sql))] : [],
    ...(isOrdered && page(rng)),
    compare: comparisonOf(windows, isOrdered),
  }
}

const columnNameAt = (index: number): string => `"${columnAt(index)}"`

/** One row. */
function ungrouped(rng: Rng, base: Base): SelectModel {
  const selects = times(1 + rng.int(4), () => aggregateOf(rng, anySource(rng, base)))
  const having = rng.oneIn(8) ? [havingOf(rng, base.source)] : []
  return { ...base, ...nothing, selects, having, compare: comparisonOf(selects, true) }
}

/** Rows as they are. */
function listed(rng: Rng, base: Base): SelectModel {
  const selects = times(1 + rng.int(3), () => expressionOf(rng, anySource(rng, base)))
  const isOrdered = !rng.oneIn(3)
  const chosen = isOrdered && !rng.oneIn(3) ? times(1 + rng.int(2), () => expressionOf(rng, anySource(rng, base))) : []
  const orderBy = isOrdered ? unique([...chosen, ...primariesOf(base)]).map(({ sql }) => order(rng, sql)) : []
  return {
    ...base,
    ...nothing,
    selects,
    orderBy,
    ...(isOrdered && page(rng)),
    compare: { ...comparisonOf([], isOrdered) },
  }
}

function distinct(rng: Rng, base: Base): SelectModel {
  const selects = unique(times(1 + rng.int(2), () => expressionOf(rng, anySource(rng, base))))
  const isOrdered = rng.oneIn(2)
  return {
    ...base,
    ...nothing,
    isDistinct: true,
    selects,
    orderBy: isOrdered ? selects.map((_, index) => order(rng, columnNameAt(index))) : [],
    ...(isOrdered && page(rng)),
    compare: comparisonOf(selects, isOrdered),
  }
}

/** The first row of each value. */
function distinctOn(rng: Rng, base: Base): SelectModel {
  const on = expressionOf(rng, base.source)
  const others = times(1 + rng.int(2), () => expressionOf(rng, base.source))
  const { join: _, ...alone } = base
  const selects = [on, ...others]
  const primaries = primaryOf(base.source.spec).map(base.source.ref)
  return {
    ...alone,
    ...nothing,
    distinctOn: [on],
    selects,
    orderBy: unique([on, ...primaries.map((sql) => ({ sql, of: [] }))]).map(({ sql }) => order(rng, sql)),
    ...page(rng),
    compare: comparisonOf([], true),
  }
}

function page(rng: Rng): Pick<SelectModel, 'limit' | 'offset'> {
  return {
    ...(rng.oneIn(2) && { limit: rng.pick([0, 1, 2, 3, 5, 10, 40]) }),
    ...(rng.oneIn(3) && { offset: rng.pick([0, 1, 2, 5, 20, 60]) }),
  }
}

const order = (rng: Rng, sql: string): OrderModel => ({
  sql,
  direction: rng.pick(['ASC', 'DESC'] as const),
  ...(rng.oneIn(3) && { nulls: rng.pick(['NULLS FIRST', 'NULLS LAST'] as const) }),
})

const comparisonOf = (selects: readonly Expression[], isOrdered: boolean): RawComparison => {
  const named = (has: (one: Expression) => boolean | undefined) =>
    selects.flatMap((one, index) => (has(one) ? [columnAt(index)] : []))
  return {
    rows: isOrdered ? 'ordered' : 'set',
    close: named((one) => one.isClose),
    loose: named((one) => one.isLoose),
  }
}

function unique<T extends Fragment>(list: readonly T[]): readonly T[] {
  return [...new Map(list.map((one) => [one.sql, one])).values()]
}

/** A join along a relation, with more conditions or not. */
export function makeJoin(rng: Rng, spec: EntitySpec, makeSource: MakeSource): JoinModel | undefined {
  const relation = spec.children ?? spec.parent
  if (!relation) return undefined
  const other = specs[relation.entity]
  const source = makeSource(other, 'j')
  const foreignKey = spec.children?.foreignKey ?? other.children?.foreignKey ?? ''
  return {
    source,
    isInner: rng.oneIn(2),
    property: relation.property,
    foreignKey,
    isToMany: spec.children !== undefined,
    on: rng.oneIn(3) ? conditions(rng, source).slice(0, 1) : [],
  }
}
