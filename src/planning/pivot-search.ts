import type { PivotTerm } from '../query/page-query'
import { type KeyRange, type PivotValue, rangesFrom } from './key-range'
import { type Candidate, type CountedRange, PageBounds, pickPivots, sum, type TermOutcome } from './page-bounds'

/** Asks each shard for the value of the range's next term at a place of the range, counted from 0. */
export interface SampleQuestion {
  readonly kind: 'sample'
  readonly range: KeyRange
  readonly positions: ReadonlyMap<number, number>
}

/** Asks each shard how many rows of the range sort before each of the pivots. */
export interface CountQuestion {
  readonly kind: 'count'
  readonly range: KeyRange
  /** Ascending in the order of the term; none: only the whole range is counted. */
  readonly pivots: readonly string[]
  readonly shards: readonly number[]
  /** Shards whose whole range is counted besides. */
  readonly whole: ReadonlySet<number>
}

export type PivotQuestion = SampleQuestion | CountQuestion

/** The values found, sorted in the order of the term; a shard whose range ends before the place gives none. */
export interface SampleAnswer {
  readonly kind: 'sample'
  readonly candidates: readonly Candidate[]
}

export interface RangeCount {
  /** Per pivot: rows of the range that sort before it. */
  readonly below: readonly number[]
  /** Rows of the range, where they were asked for. */
  readonly whole?: number
}

export interface CountAnswer {
  readonly kind: 'count'
  readonly counts: ReadonlyMap<number, RangeCount>
}

export type PivotAnswer = SampleAnswer | CountAnswer

export interface PivotSearchInput {
  /** Rows before the page. */
  readonly offset: number
  readonly shards: readonly number[]
  /** The order; rows that it does not tell apart are one rank. */
  readonly terms: readonly PivotTerm[]
  /** How many rows before the page may be left to the merge: the search ends where no more are. */
  readonly reach: number
  /** The most rounds, of a sample and a count each. */
  readonly maxRounds: number
}

export type PivotOutcome =
  /** The page starts `skip` rows after the start of the first of these ranges, which follow each other. */
  | {
      readonly kind: 'found'
      readonly ranges: readonly KeyRange[]
      readonly skip: number
      /** The start of the ranges up to a value that is known to come soon: far fewer rows to sort, where they do. */
      readonly near?: CountedRange
      readonly rounds: number
    }
  /** There are no more rows than the offset. */
  | { readonly kind: 'beyond'; readonly rounds: number }
  /** The rounds are used up: rows that are written meanwhile can move the goal. */
  | { readonly kind: 'unsettled'; readonly rounds: number }

type Asking<T> = Generator<PivotQuestion, T, PivotAnswer>

/**
 * Finds the start of a page without reading what is before it: candidates are sampled from the shards, all shards count
 * how many of their rows sort before them, and the bounds close in. Works on one term of the order at a time: where one
 * value alone holds the offset, it becomes a condition and the next term decides.
 *
 * A generator that asks questions and is given the answers: it knows no database, and its first question can be shown
 * without running it. Exact for rows that do not change meanwhile; otherwise the page starts where it started for a part
 * of the questions, and is sorted and without gaps all the same.
 *
 * @example
 * const search = searchPivot({ offset: 100_000, shards, terms, reach: 1_000, maxRounds: 32 })
 * for (let step = search.next(); ; step = search.next(await answer(step.value))) if (step.done) return step.value
 */
export function* searchPivot(input: PivotSearchInput): Asking<PivotOutcome> {
  const { terms, shards } = input
  const equal: PivotValue[] = []
  const rounds = { left: input.maxRounds }
  const used = (): number => input.maxRounds - rounds.left
  let { offset } = input
  let sizes: ReadonlyMap<number, number> = new Map(shards.map((shard) => [shard, offset + 1]))
  while (equal.length < terms.length && offset > input.reach) {
    const result = yield* searchTerm({ input, equal, offset, sizes, rounds })
    if (result.kind === 'found') {
      const { bound, skip, near } = result
      return { kind: 'found', ranges: rangesFrom(equal, bound, terms), skip, ...(near && { near }), rounds: used() }
    }
    if (result.kind !== 'block') {
      // A block was counted to reach past the offset: that it does not any more is the doing of others.
      const kind = equal.length > 0 ? 'unsettled' : result.kind
      return { kind, rounds: used() }
    }
    equal.push(result.value)
    offset = result.offset
    sizes = result.sizes
  }
  return { kind: 'found', ranges: rangesFrom(equal, undefined, terms), skip: offset, rounds: used() }
}

interface TermSearch {
  readonly input: PivotSearchInput
  readonly equal: readonly PivotValue[]
  readonly offset: number
  readonly sizes: ReadonlyMap<number, number>
  readonly rounds: { left: number }
}

function* searchTerm(search: TermSearch): Asking<TermOutcome> {
  const term = search.input.terms[search.equal.length]
  if (!term?.nullable) return yield* searchValues(search)
  if (!term.nullsFirst) {
    const result = yield* searchValues(search)
    return result.kind === 'beyond' ? yield* enterNulls(search) : result
  }
  const nulls = yield* countWhole(search, 'only')
  const before = sum(nulls.values())
  if (search.offset < before) return { kind: 'block', value: null, offset: search.offset, sizes: nulls }
  const sizes = new Map(Array.from(search.sizes, ([shard, size]) => [shard, size - (nulls.get(shard) ?? 0)]))
  return yield* searchValues({ ...search, offset: search.offset - before, sizes })
}

/** All rows with a value are before the page: it starts among those without, if there are enough. */
function* enterNulls(search: TermSearch): Asking<TermOutcome> {
  const values = yield* countWhole(search, 'none')
  const nulls = yield* countWhole(search, 'only')
  const offset = search.offset - sum(values.values())
  // Rows came meanwhile: the page is among the values again.
  if (offset < 0) return { kind: 'unsettled' }
  if (offset >= sum(nulls.values())) return { kind: 'beyond' }
  return { kind: 'block', value: null, offset, sizes: nulls }
}

function* searchValues(search: TermSearch): Asking<TermOutcome> {
  const { input, offset, rounds } = search
  const bounds = new PageBounds({ shards: input.shards, equal: search.equal, sizes: search.sizes })
  let halving = false
  for (;;) {
    const width = offset - bounds.rowsBefore
    if (width <= input.reach) return bounds.foundAt(width)
    if (rounds.left === 0) return { kind: 'unsettled' }
    rounds.left--
    const { span } = bounds
    const positions = halving ? bounds.middles() : bounds.shares(width)
    if (positions.size === 0) return bounds.exhausted()
    const { candidates } = yield* ask<SampleAnswer>({ kind: 'sample', range: bounds.range, positions })
    if (candidates.length === 0) {
      if (sum(positions.values()) <= width) return bounds.exhausted()
      for (const [shard, position] of positions) bounds.endAt(shard, position)
      continue
    }
    const outcome = yield* countCandidates(search, bounds, { candidates, sampled: [...positions.keys()], width })
    if (outcome) return outcome
    // Shares of the offset land near it where the shards are alike; where they are not, halves close in for certain.
    halving = bounds.span > span / 2
  }
}

/** What a round has sampled. */
interface Sampled {
  readonly candidates: readonly Candidate[]
  readonly sampled: readonly number[]
  /** Rows between the lower bound and the page. */
  readonly width: number
}

/** Has all shards count their rows before the candidates, and closes the bounds in. @returns what ends the search */
function* countCandidates(
  { input, equal }: TermSearch,
  bounds: PageBounds,
  { candidates, sampled, width }: Sampled,
): Asking<TermOutcome | undefined> {
  const ended = new Set(sampled.filter((shard) => candidates.every((one) => one.shard !== shard)))
  const pivots = pickPivots(candidates, { weights: bounds.weights(), shards: sampled })
  const { range } = bounds
  const { counts } = yield* ask<CountAnswer>({ kind: 'count', range, pivots, shards: input.shards, whole: ended })
  for (const shard of ended) {
    const whole = counts.get(shard)?.whole
    if (whole !== undefined) bounds.endAt(shard, whole)
  }
  const belowPivot = (at: number) => sum(Array.from(counts.values(), ({ below }) => below[at] ?? 0))
  const at = pivots.findLastIndex((_, index) => belowPivot(index) <= width)
  const pivot = pivots[at]
  const next = pivots[at + 1]
  if (next !== undefined) {
    for (const [shard, { below }] of counts) bounds.endAt(shard, below[at + 1] ?? 0)
    bounds.range = { ...bounds.range, before: next }
  }
  if (pivot === undefined) return undefined
  const before = belowPivot(at)
  const skip = width - before
  if (skip <= input.reach) return bounds.foundFrom(pivot, { skip, before })
  const equals = yield* countWhole({ input, equal: [...equal, pivot] }, 'any')
  if (sum(equals.values()) > skip) return { kind: 'block', value: pivot, offset: skip, sizes: equals }
  for (const [shard, { below }] of counts) bounds.startAt(shard, (below[at] ?? 0) + (equals.get(shard) ?? 0))
  bounds.range = { ...bounds.range, after: pivot }
  return undefined
}

function* countWhole(
  { input, equal }: Pick<TermSearch, 'input' | 'equal'>,
  nulls: KeyRange['nulls'],
): Asking<ReadonlyMap<number, number>> {
  const { counts } = yield* ask<CountAnswer>({
    kind: 'count',
    range: { equal, nulls },
    pivots: [],
    shards: input.shards,
    whole: new Set(input.shards),
  })
  return new Map(Array.from(counts, ([shard, { whole = 0 }]) => [shard, whole]))
}

function* ask<Answer extends PivotAnswer>(question: PivotQuestion & { kind: Answer['kind'] }): Asking<Answer> {
  const answer = yield question
  if (answer.kind !== question.kind) throw new TypeError(`A ${question.kind} was answered with a ${answer.kind}.`)
  // The kinds were just compared; TypeScript does not carry that over to the generic.
  return answer as Answer
}
