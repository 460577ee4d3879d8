import type { KeyRange, LowerBound, PivotValue } from './key-range'

/** A range, and how many rows it was counted to have. */
export interface CountedRange {
  readonly range: KeyRange
  readonly rows: number
}

/** What is known of one shard: its rows of the present block that can still be the page's first row. */
interface Reach {
  /** Rows of the block before the lower bound. */
  low: number
  /** No row from this place on can be the page's first. */
  high: number
}

/** The page's first row has this value in the present term; `offset` rows of the block come before it. */
interface Block {
  readonly kind: 'block'
  readonly value: PivotValue
  readonly offset: number
  readonly sizes: ReadonlyMap<number, number>
}

/** Where a page starts, as far as one term of the order tells. */
export type TermOutcome =
  | Block
  | {
      readonly kind: 'found'
      readonly bound: LowerBound
      readonly skip: number
      readonly near: CountedRange | undefined
    }
  | { readonly kind: 'beyond' }
  | { readonly kind: 'unsettled' }

/** The rows among which a page starts: they are equal in the leading terms. */
interface SearchedBlock {
  readonly shards: readonly number[]
  readonly equal: readonly PivotValue[]
  /** Rows that may be in it, by shard. */
  readonly sizes: ReadonlyMap<number, number>
}

/** What is known of the block in which the page starts, while the bounds close in. */
export class PageBounds {
  range: KeyRange
  private readonly equal: readonly PivotValue[]
  private readonly reaches: ReadonlyMap<number, Reach>

  constructor({ shards, equal, sizes }: SearchedBlock) {
    this.equal = equal
    this.range = { equal, nulls: 'none' }
    this.reaches = new Map(shards.map((shard) => [shard, { low: 0, high: sizes.get(shard) ?? 0 }]))
  }

  /** Rows of the block before the lower bound. */
  get rowsBefore(): number {
    return sum(Array.from(this.reaches.values(), ({ low }) => low))
  }

  /** Rows that are in question. */
  get span(): number {
    return sum(Array.from(this.reaches.values(), ({ low, high }) => Math.max(0, high - low)))
  }

  weights(): ReadonlyMap<number, number> {
    return new Map(Array.from(this.reaches, ([shard, { low, high }]) => [shard, high - low]))
  }

  /** Places whose sum is at most the width: each shard's part of it, by the number of its rows that are in question. */
  shares(width: number): ReadonlyMap<number, number> {
    const { span } = this
    return this.places((size) => Math.min(size - 1, Math.floor(width * (size / span))))
  }

  middles(): ReadonlyMap<number, number> {
    return this.places((size) => Math.floor(size / 2))
  }

  /** No row of the shard from this place of the range on can be the page's first. */
  endAt(shard: number, place: number): void {
    const reach = this.reaches.get(shard)
    if (reach && reach.low + place < reach.high) reach.high = reach.low + place
  }

  /** Rows of the shard before this place of the range are before the page. */
  startAt(shard: number, place: number): void {
    const reach = this.reaches.get(shard)
    if (reach) reach.low += place
  }

  /** Under an upper bound, the counts said that the page starts before it. */
  exhausted(): TermOutcome {
    return { kind: this.range.before === undefined ? 'beyond' : 'unsettled' }
  }

  /** The page starts `skip` rows after the lower bound. */
  foundAt(skip: number): TermOutcome {
    const { range } = this
    const near = range.before === undefined ? undefined : { range, rows: this.span }
    return { kind: 'found', bound: range.after === undefined ? {} : { after: range.after }, skip, near }
  }

  /** The page starts `skip` rows after the first of a value, before which there are `before` rows of the range. */
  foundFrom(pivot: string, { skip, before }: { readonly skip: number; readonly before: number }): TermOutcome {
    const { before: end } = this.range
    const range: KeyRange = { equal: this.equal, nulls: 'none', from: pivot, ...(end && { before: end }) }
    const near = end === undefined ? undefined : { range, rows: this.span - before }
    return { kind: 'found', bound: { from: pivot }, skip, near }
  }

  private places(of: (size: number) => number): ReadonlyMap<number, number> {
    const open = [...this.reaches].filter(([, { low, high }]) => high > low)
    return new Map(open.map(([shard, { low, high }]) => [shard, of(high - low)]))
  }
}

export function sum(numbers: Iterable<number>): number {
  let total = 0
  for (const one of numbers) total += one
  return total
}

/** A value of an order term, found at the place of the range that its shard was asked for. */
export interface Candidate {
  readonly shard: number
  readonly value: string
}

/**
 * Which candidates are counted, as parts of the weight before them. The outer two most often have the page's start
 * between them, and the others one of them close to it where shards are alike; the middle one halves what is left where
 * they are not. One scan counts all of them.
 */
const quantiles = [1 / 8, 3 / 8, 1 / 2, 5 / 8, 7 / 8]

/**
 * Chooses pivots among the shards' candidates, each weighted by the rows of its shard that are in question. A shard
 * that was asked and gave none stands after all others.
 *
 * @param candidates in the order of their term
 * @returns distinct values, ascending; at least one where there is a candidate
 */
export function pickPivots(
  candidates: readonly Candidate[],
  { weights, shards }: { weights: ReadonlyMap<number, number>; shards: readonly number[] },
): readonly string[] {
  const weightOf = (shard: number): number => weights.get(shard) ?? 0
  const total = shards.reduce((sum, shard) => sum + weightOf(shard), 0)
  const pivots: string[] = []
  let before = 0
  let next = 0
  for (const [index, { shard, value }] of candidates.entries()) {
    before += weightOf(shard)
    const isLast = index === candidates.length - 1
    const reached = quantiles.findIndex((quantile) => quantile * total > before)
    const passed = reached < 0 ? quantiles.length : reached
    if (passed === next && !(isLast && next < quantiles.length)) continue
    next = passed
    if (pivots.at(-1) !== value) pivots.push(value)
  }
  return Object.freeze(pivots)
}
