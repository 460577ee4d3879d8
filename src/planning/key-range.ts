import type { PivotColumn, PivotTerm } from '../query/page-query'

/** The value of an order term as the database writes it in text; null is NULL. */
export type PivotValue = string | null

/**
 * Rows that are equal in the leading terms of the order and, in the next one, within bounds or NULL.
 * Bounds are in the direction of the order: under DESC, `after` 5 means less than 5.
 */
export interface KeyRange {
  /** The values of the leading terms. */
  readonly equal: readonly PivotValue[]
  /** NULLs of the next term: only those, none of them, or them with the values. */
  readonly nulls: 'only' | 'none' | 'any'
  /** Leaves out the value itself. */
  readonly after?: string
  /** Takes in the value itself. */
  readonly from?: string
  /** Leaves out the value itself. */
  readonly before?: string
}

export type LowerBound = Pick<KeyRange, 'after' | 'from'>

/**
 * All rows from a place in the order on, as disjoint ranges in the order of the page: the expansion of
 * `(a, b, …) > (x, y, …)` that is right with NULLs and mixed directions, and whose parts an index can each serve.
 *
 * @param bound on the term after the equal ones; undefined: all rows that are equal in those
 * @example
 * rangesFrom(['7'], { after: '3' }, terms) // a = 7 and b > 3; then, where b can be NULL and sorts them last, a = 7 and
 *                                          // b is null; then a > 7; …
 */
export function rangesFrom(
  equal: readonly PivotValue[],
  bound: LowerBound | undefined,
  terms: readonly PivotTerm[],
): readonly KeyRange[] {
  const ranges: KeyRange[] = bound
    ? [Object.freeze({ equal, nulls: 'none', ...bound }), ...nullsAfter(equal, terms)]
    : [Object.freeze({ equal, nulls: 'any' })]
  for (let level = equal.length - 1; level >= 0; level--) {
    const value = equal[level]
    const prefix = equal.slice(0, level)
    if (value !== null && value !== undefined) {
      ranges.push(Object.freeze({ equal: prefix, nulls: 'none', after: value }), ...nullsAfter(prefix, terms))
    } else if (terms[level]?.nullsFirst) {
      ranges.push(Object.freeze({ equal: prefix, nulls: 'none' }))
    }
  }
  return Object.freeze(ranges)
}

function nullsAfter(equal: readonly PivotValue[], terms: readonly PivotTerm[]): readonly KeyRange[] {
  const term = terms[equal.length]
  return term?.nullable && !term.nullsFirst ? [Object.freeze({ equal, nulls: 'only' })] : []
}

/**
 * The conditions of a range in SQL, on the columns as they are, so that indexes serve and the database compares.
 *
 * @param bind gives the SQL of a parameter that holds a text
 * @example rangeConditions({ equal: ['7'], nulls: 'none', after: '3' }, columns, bind)
 * // ['"t"."a" = CAST(:p0 AS integer)', '"t"."b" > CAST(:p1 AS integer)']
 */
export function rangeConditions(
  range: KeyRange,
  columns: readonly PivotColumn[],
  bind: (text: string) => string,
): readonly string[] {
  const conditions = range.equal.flatMap((value, level) => {
    const column = columns[level]
    if (!column) return []
    return value === null ? `${column.expression} IS NULL` : compareTo(column, { operator: '=', value }, bind)
  })
  const next = columns[range.equal.length]
  if (!next) return conditions
  if (range.nulls === 'only') return [...conditions, `${next.expression} IS NULL`]
  const bounds: string[] = []
  if (range.after !== undefined) bounds.push(compareTo(next, { operator: '>', value: range.after }, bind))
  if (range.from !== undefined) bounds.push(compareTo(next, { operator: '>=', value: range.from }, bind))
  if (range.before !== undefined) bounds.push(compareTo(next, { operator: '<', value: range.before }, bind))
  if (bounds.length === 0 && next.nullable && range.nulls === 'none') bounds.push(`${next.expression} IS NOT NULL`)
  return [...conditions, ...bounds]
}

const mirrored = { '=': '=', '<': '>', '<=': '>=', '>': '<', '>=': '<=' } as const

interface Bound {
  readonly operator: keyof typeof mirrored
  readonly value: string
}

/** `column operator value`, the operator meant in the direction of the order. */
export function compareTo(
  { expression, castTo, descending }: PivotColumn,
  { operator, value }: Bound,
  bind: (text: string) => string,
): string {
  return `${expression} ${descending ? mirrored[operator] : operator} CAST(${bind(value)} AS ${castTo})`
}
