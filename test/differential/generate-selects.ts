import { type EntitySpec, primaryOf, specs } from './columns'
import { conditions } from './generate-conditions'
import { aggregateOf, type Expression, expressionOf, havingOf } from './generate-expressions'
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
  ])
}

type Base = Pick<SelectModel, 'source' | 'where' | 'join'>

const nothing = { isDistinct: false, distinctOn: [], groupBy: [], having: [], orderBy: [] } as const

/** Columns of the joined table are used as well. */
const anySource = (rng: Rng, { source, join }: Base): Source => (join && rng.oneIn(2) ? join.source : source)

const times = <T>(count: number, make: () => T): readonly T[] => Array.from({ length: count }, make)

/** Rows of groups. In order only where it is total, and only then a page. */
function grouped(rng: Rng, base: Base): SelectModel {
  const groups = unique(times(1 + rng.int(2), () => expressionOf(rng, anySource(rng, base))))
  const aggregates = times(1 + rng.int(3), () => aggregateOf(rng, anySource(rng, base)))
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
  const primaries = [base.source, ...(base.join ? [base.join.source] : [])].flatMap(({ spec, ref }) =>
    primaryOf(spec).map(ref),
  )
  const orderBy = isOrdered
    ? unique([...chosen, ...primaries.map((sql) => ({ sql, of: [] }))]).map(({ sql }) => order(rng, sql))
    : []
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
