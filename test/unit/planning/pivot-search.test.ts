import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { KeyRange, PivotValue } from '../../../src/planning/key-range'
import {
  type PivotAnswer,
  type PivotOutcome,
  type PivotQuestion,
  type RangeCount,
  searchPivot,
} from '../../../src/planning/pivot-search'
import type { PivotTerm } from '../../../src/query/page-query'

/** A row is the values of its order terms; texts of numbers, compared as numbers. */
type Tuple = readonly PivotValue[]

const maxRounds = 32

/** Shards in memory: answers as databases would. */
class Shards {
  asked: PivotQuestion[] = []

  constructor(
    readonly rows: readonly (readonly Tuple[])[],
    readonly terms: readonly PivotTerm[],
  ) {}

  compareValues(level: number, a: PivotValue, b: PivotValue): number {
    const term = this.terms[level]
    if (a === b) return 0
    if (a === null) return term?.nullsFirst ? -1 : 1
    if (b === null) return term?.nullsFirst ? 1 : -1
    return (Number(a) - Number(b)) * (term?.descending ? -1 : 1)
  }

  compare = (a: Tuple, b: Tuple): number => {
    for (const level of this.terms.keys()) {
      const order = this.compareValues(level, a[level] ?? null, b[level] ?? null)
      if (order !== 0) return order
    }
    return 0
  }

  within(range: KeyRange, shard: number): Tuple[] {
    const level = range.equal.length
    const rows = (this.rows[shard] ?? []).filter((row) => {
      if (!range.equal.every((value, at) => value === row[at])) return false
      const value = row[level]
      if (value === undefined) return true
      if (range.nulls === 'only') return value === null
      if (value === null) return range.nulls === 'any'
      if (range.after !== undefined && this.compareValues(level, value, range.after) <= 0) return false
      if (range.from !== undefined && this.compareValues(level, value, range.from) < 0) return false
      return range.before === undefined || this.compareValues(level, value, range.before) < 0
    })
    return rows.sort(this.compare)
  }

  answer(question: PivotQuestion): PivotAnswer {
    this.asked.push(question)
    const { range } = question
    const level = range.equal.length
    if (question.kind === 'sample') {
      const candidates = [...question.positions].flatMap(([shard, position]) => {
        const value = this.within(range, shard)[position]?.[level]
        return value === undefined || value === null ? [] : [{ shard, value }]
      })
      return { kind: 'sample', candidates: candidates.sort((a, b) => this.compareValues(level, a.value, b.value)) }
    }
    const counts = new Map<number, RangeCount>()
    for (const shard of question.shards) {
      const rows = this.within(range, shard)
      const count = (keep: (order: number) => boolean) =>
        question.pivots.map(
          (pivot) => rows.filter((row) => keep(this.compareValues(level, row[level] ?? null, pivot))).length,
        )
      counts.set(shard, {
        below: count((order) => order < 0),
        ...(question.whole.has(shard) && { whole: rows.length }),
      })
    }
    return { kind: 'count', counts }
  }

  search(offset: number, reach: number): PivotOutcome {
    const shards = [...this.rows.keys()]
    const search = searchPivot({ offset, shards, terms: this.terms, reach, maxRounds })
    let step = search.next()
    while (!step.done) step = search.next(this.answer(step.value))
    return step.value
  }

  /** The page that follows from an outcome. */
  page(outcome: PivotOutcome, limit: number): readonly Tuple[] {
    if (outcome.kind !== 'found') return []
    const all = outcome.ranges.map((range) =>
      [...this.rows.keys()].flatMap((shard) => this.within(range, shard)).sort(this.compare),
    )
    return all.flat().slice(outcome.skip, outcome.skip + limit)
  }
}

const termArb = fc.record({ descending: fc.boolean(), nullsFirst: fc.boolean(), nullable: fc.boolean() })

const worldArb = fc
  .tuple(fc.array(termArb, { minLength: 0, maxLength: 2 }), fc.integer({ min: 1, max: 40 }), fc.boolean())
  .chain(([others, spread, clustered]) => {
    const terms: PivotTerm[] = [...others, { descending: false, nullsFirst: false, nullable: false }]
    const tuple = fc.tuple(
      ...terms.map((term) => {
        const number = fc.integer({ min: 0, max: spread }).map(String)
        return term.nullable ? fc.option(number, { nil: null, freq: 4 }) : number
      }),
    )
    const shard = fc.array(tuple, { maxLength: 60 })
    return fc.record({
      terms: fc.constant(terms),
      shards: fc.array(shard, { minLength: 1, maxLength: 6 }),
      clustered: fc.constant(clustered),
    })
  })

describe('the search for the start of a page', () => {
  it('finds the page that sorting all rows gives', () => {
    fc.assert(
      fc.property(
        worldArb,
        fc.integer({ min: 0, max: 400 }),
        fc.integer({ min: 0, max: 8 }),
        ({ terms, shards, clustered }, at, reach) => {
          // Clustered shards follow each other: the worst case of equal shares.
          const world = clustered ? redistribute(shards, terms) : shards
          const all = new Shards(world, terms)
          const sorted = world.flat().sort(all.compare)
          for (const offset of new Set([at % (sorted.length + 3), 0, sorted.length - 1, sorted.length])) {
            if (offset < 0) continue
            const outcome = all.search(offset, reach)
            const expected = sorted.slice(offset, offset + 5)
            expect(outcome.kind === 'unsettled').toBe(false)
            expect(all.page(outcome, 5)).toEqual(expected)
            if (outcome.kind === 'beyond') expect(offset).toBeGreaterThanOrEqual(sorted.length)
            // Ties in all terms are one rank: nothing tells them apart.
            if (outcome.kind === 'found' && terms.length === 1 && new Set(sorted.map(String)).size === sorted.length)
              expect(outcome.skip).toBeLessThanOrEqual(reach)
          }
        },
      ),
      { numRuns: 600 },
    )
  })

  const unique: readonly PivotTerm[] = [{ descending: false, nullsFirst: false, nullable: false }]
  const even = (shards: number, each: number): Tuple[][] =>
    Array.from({ length: shards }, (_, shard) =>
      Array.from({ length: each }, (_, row) => [String(((row * shards + shard) * 7919) % (shards * each + 1))]),
    )

  it('takes one round where shards are alike', () => {
    const all = new Shards(even(8, 500), unique)
    expect(all.search(1_500, 200)).toMatchObject({ kind: 'found', rounds: 1 })
    expect(all.asked.map(({ kind }) => kind)).toEqual(['sample', 'count'])
  })

  it('takes few rounds where all rows are on one shard, or shards follow each other', () => {
    const one = [...Array.from({ length: 7 }, (): Tuple[] => []), even(1, 4_000)[0] ?? []]
    expect(new Shards(one, unique).search(3_000, 50)).toMatchObject({ kind: 'found', rounds: 2 })
    const apart = Array.from({ length: 8 }, (_, shard) =>
      Array.from({ length: 500 }, (_, row): Tuple => [String(shard * 500 + row)]),
    )
    const outcome = new Shards(apart, unique).search(2_345, 50)
    expect(outcome).toMatchObject({ kind: 'found' })
    expect(outcome.rounds).toBeLessThanOrEqual(6)
  })

  it('descends into the next term where one value holds the offset', () => {
    const terms = [{ descending: true, nullsFirst: true, nullable: true }, ...unique]
    const rows = Array.from({ length: 4 }, (_, shard) =>
      Array.from({ length: 300 }, (_, row): Tuple => [row % 3 === 0 ? null : '7', String(row * 4 + shard)]),
    )
    const outcome = new Shards(rows, terms).search(900, 20)
    expect(outcome).toMatchObject({ kind: 'found', ranges: [{ equal: ['7'] }, { equal: [], after: '7' }] })
    expect(new Shards(rows, terms).search(200, 20)).toMatchObject({
      ranges: [{ equal: [null] }, { equal: [], nulls: 'none' }],
    })
  })

  it('ends, unsettled, where the rows never hold still', () => {
    const all = new Shards(even(4, 500), unique)
    const search = searchPivot({ offset: 1_000, shards: [0, 1, 2, 3], terms: unique, reach: 10, maxRounds: 5 })
    let questions = 0
    let step = search.next()
    while (!step.done) {
      questions++
      const answer = all.answer(step.value)
      if (answer.kind === 'count')
        for (const [shard] of answer.counts)
          (answer.counts as Map<number, RangeCount>).set(shard, {
            below: [9_999, 9_999, 9_999, 9_999, 9_999],
          })
      step = search.next(answer)
    }
    expect(step.value.kind).toBe('unsettled')
    expect(questions).toBeLessThanOrEqual(10)
  })
})

function redistribute(
  shards: readonly (readonly Tuple[])[],
  terms: readonly PivotTerm[],
): readonly (readonly Tuple[])[] {
  const sorted = shards.flat().sort(new Shards(shards, terms).compare)
  let from = 0
  return shards.map(({ length }) => {
    from += length
    return sorted.slice(from - length, from)
  })
}
