import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ShardedError } from '../../../src/errors/sharded-error'
import { compareRows } from '../../../src/merging/comparator'
import { mergeSorted, type SortedSource } from '../../../src/merging/merge-sorted'
import type { Row } from '../../../src/merging/row'
import { ranksFor, referenceRows, rowsFor, sortTerms } from './reference-order'

const compare = compareRows([{ column: '__k0', kind: 'integer', descending: false, nullsFirst: false }])
const source = (name: string, ...keys: readonly number[]): SortedSource => ({
  rows: keys.map((key, index) => ({ __k0: key, id: `${name}${index}` })),
})
const ids = (rows: readonly Row[]): unknown[] => rows.map(({ id }) => id)

const detailsOf = (action: () => unknown): unknown => {
  try {
    return action()
  } catch (error) {
    return error instanceof ShardedError ? { code: error.code, ...error.details } : error
  }
}

describe('mergeSorted', () => {
  it('merges, and gives ties to the earlier source', () => {
    const sources = [source('a', 1, 2, 2), source('b'), source('c', 0, 2, 9), source('d', 2)]
    expect(ids(mergeSorted({ sources, compare }))).toEqual(['c0', 'a0', 'a1', 'a2', 'c1', 'd0', 'c2'])
    expect(ids(mergeSorted({ sources, compare, offset: 2, limit: 3 }))).toEqual(['a1', 'a2', 'c1'])
  })

  it('gives nothing for no sources, no limit and an offset past the end', () => {
    expect(mergeSorted({ sources: [], compare })).toEqual([])
    expect(mergeSorted({ sources: [source('a', 1)], compare, limit: 0 })).toEqual([])
    expect(mergeSorted({ sources: [source('a', 1)], compare, offset: 1 })).toEqual([])
  })

  it('refuses counts that are none', () => {
    for (const count of [-1, 0.5, Number.NaN]) {
      expect(() => mergeSorted({ sources: [], compare, offset: count })).toThrow(RangeError)
      expect(() => mergeSorted({ sources: [], compare, limit: count })).toThrow(RangeError)
    }
  })

  it('equals the stable sort of all rows, sliced', () => {
    const cases = sortTerms.chain((terms) =>
      fc.record({
        terms: fc.constant(terms),
        sources: fc.array(rowsFor(terms, 12), { maxLength: 9 }),
        offset: fc.option(fc.nat(20), { nil: undefined }),
        limit: fc.option(fc.nat(40), { nil: undefined }),
        verify: fc.constantFrom('visited' as const, 'all' as const),
      }),
    )
    fc.assert(
      fc.property(cases, ({ terms, sources, offset = 0, limit, verify }) => {
        const reference = referenceRows(terms)
        const named = sources.map((rows, index) => ({
          rows: [...rows].sort(reference).map((row, position) => ({ ...row, id: `${index}:${position}` })),
        }))
        const expected = named.flatMap(({ rows }): Row[] => rows).sort(reference)
        const merged = mergeSorted({
          sources: named,
          compare: compareRows(terms, ranksFor(terms)),
          offset,
          limit,
          verify,
        })
        expect(merged).toEqual(expected.slice(offset, limit === undefined ? undefined : offset + limit))
      }),
      { numRuns: 1000 },
    )
  })

  it('reads only the rows it takes and one ahead of each source', () => {
    const read: string[] = []
    const watched = (name: string, ...keys: readonly number[]): SortedSource => ({
      rows: new Proxy(source(name, ...keys).rows, {
        get: (rows, key) => {
          if (/^\d+$/.test(String(key))) read.push(`${name}${String(key)}`)
          return Reflect.get(rows, key)
        },
      }),
    })
    mergeSorted({ sources: [watched('a', 1, 3, 5, 7), watched('b', 2, 4, 6, 8)], compare, offset: 1, limit: 2 })
    expect(read).toEqual(['a0', 'b0', 'a1', 'b1'])
  })

  it('refuses a source that is not sorted, and says where', () => {
    const sources = [source('a', 1, 2, 3), source('b', 1, 5, 4)]
    expect(detailsOf(() => mergeSorted({ sources, compare }))).toEqual({ code: 'MERGE_ORDER', source: 1, position: 2 })
    expect(detailsOf(() => mergeSorted({ sources: [source('a', 2, 1)], compare }))).toEqual({
      code: 'MERGE_ORDER',
      source: 0,
      position: 1,
    })
  })

  it('sees disorder beyond the page only where all rows are to be verified', () => {
    const page = { sources: [source('a', 1, 5, 2), source('b', 3, 4)], compare, limit: 2 }
    expect(ids(mergeSorted(page))).toEqual(['a0', 'b0'])
    const expected = { code: 'MERGE_ORDER', source: 0, position: 2 }
    expect(detailsOf(() => mergeSorted({ ...page, verify: 'all' }))).toEqual(expected)
  })

  it('finds any inversion when all rows are taken', () => {
    const disordered = fc.array(fc.array(fc.nat(3), { maxLength: 5 }), { maxLength: 4 })
    fc.assert(
      fc.property(disordered, (keys) => {
        const sources = keys.map((list, index) => source(String(index), ...list))
        const isSorted = keys.every((list) => list.every((key, index) => index === 0 || (list[index - 1] ?? 0) <= key))
        const outcome = detailsOf(() => mergeSorted({ sources, compare }))
        expect(Array.isArray(outcome)).toBe(isSorted)
      }),
    )
  })
})
