import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ShardedError } from '../../../src/errors/sharded-error'
import { compareRows } from '../../../src/merging/comparator'
import type { SortKind, SortTerm } from '../../../src/merging/sort-term'
import { ranksFor, referenceRows, rowsFor, sortTerms } from './reference-order'

const term = (kind: SortKind, options: Partial<SortTerm> = {}): SortTerm => ({
  column: '__k0',
  kind,
  descending: false,
  nullsFirst: false,
  ...options,
})

const sorted = (terms: readonly SortTerm[], values: readonly unknown[]): unknown[] =>
  values
    .map((value) => ({ __k0: value }))
    .sort(
      compareRows(terms, [
        new Map([
          ['ä', 1],
          ['z', 2],
          ['a', 0],
        ]),
      ]),
    )
    .map((row) => row.__k0)

const codeOf = (action: () => unknown): string | undefined => {
  try {
    action()
  } catch (error) {
    return error instanceof ShardedError ? error.code : String(error)
  }
  return undefined
}

describe('compareRows', () => {
  it.each<[SortKind, readonly unknown[], readonly unknown[]]>([
    ['integer', [10, 9, -1, -10], [-10, -1, 9, 10]],
    [
      'integer',
      ['9223372036854775807', '9', '-9223372036854775808', '10', '-9'],
      ['-9223372036854775808', '-9', '9', '10', '9223372036854775807'],
    ],
    [
      'numeric',
      ['NaN', '10', '9.5', 'Infinity', '-0.01', '-Infinity', '0.000'],
      ['-Infinity', '-0.01', '0.000', '9.5', '10', 'Infinity', 'NaN'],
    ],
    [
      'float',
      [Number.NaN, 1, Number.POSITIVE_INFINITY, -1, Number.NEGATIVE_INFINITY],
      [Number.NEGATIVE_INFINITY, -1, 1, Number.POSITIVE_INFINITY, Number.NaN],
    ],
    ['boolean', [true, false], [false, true]],
    ['codepoints', ['\u{1F600}', '\uFF5E', 'a', 'Z', ''], ['', 'Z', 'a', '\uFF5E', '\u{1F600}']],
    ['ranked', ['z', 'ä', 'a'], ['a', 'ä', 'z']],
  ])('sorts %s %j', (kind, values, expected) => {
    expect(sorted([term(kind)], values)).toEqual(expected)
    expect(sorted([term(kind, { descending: true })], values)).toEqual([...expected].reverse())
  })

  it('sorts bytes as unsigned, a prefix first', () => {
    const values = [[255], [1, 0], [127], [1], []].map((bytes) => Buffer.from(bytes))
    expect(sorted([term('bytes')], values)).toEqual([[], [1], [1, 0], [127], [255]].map((bytes) => Buffer.from(bytes)))
  })

  it.each([
    [false, false, [1, 2, null, null]],
    [false, true, [null, null, 1, 2]],
    [true, false, [2, 1, null, null]],
    [true, true, [null, null, 2, 1]],
  ])('puts NULLs where it is told: descending %s, nullsFirst %s', (descending, nullsFirst, expected) => {
    expect(sorted([term('integer', { descending, nullsFirst })], [2, null, 1, null])).toEqual(expected)
  })

  it('holds equal what PostgreSQL holds equal', () => {
    const compare = (kind: SortKind, a: unknown, b: unknown) => compareRows([term(kind)])({ __k0: a }, { __k0: b })
    expect(compare('numeric', '1.0', '1')).toBe(0)
    expect(compare('float', -0, 0)).toBe(0)
    expect(compare('float', Number.NaN, Number.NaN)).toBe(0)
    expect(compare('integer', 7, '7')).toBe(0)
  })

  it.each<[SortKind, unknown]>([
    ['integer', 2 ** 53],
    ['integer', Number.NaN],
    ['numeric', 1.5],
    ['float', '1.5'],
    ['boolean', 't'],
    ['bytes', '\\x00'],
    ['codepoints', 1],
    ['ranked', 'absent'],
  ])('refuses a value that is not in the form of %s: %j', (kind, value) => {
    const compare = compareRows([term(kind)], [new Map([['a', 0]])])
    expect(codeOf(() => compare({ __k0: value }, { __k0: value }))).toBe('MERGE_ORDER')
  })

  it('refuses an integer that a number cannot hold on either side', () => {
    const compare = compareRows([term('integer')])
    for (const other of [1, '1']) {
      expect(codeOf(() => compare({ __k0: 2 ** 53 }, { __k0: other }))).toBe('MERGE_ORDER')
      expect(codeOf(() => compare({ __k0: other }, { __k0: 2 ** 53 }))).toBe('MERGE_ORDER')
    }
  })

  it('refuses rows without the column, beside a NULL too', () => {
    const compare = compareRows([term('integer')])
    expect(codeOf(() => compare({}, { __k0: 1 }))).toBe('MERGE_ORDER')
    expect(codeOf(() => compare({ __k0: null }, {}))).toBe('MERGE_ORDER')
    expect(codeOf(() => compare({}, {}))).toBe('MERGE_ORDER')
  })

  it('refuses a ranked term without ranks when it is built', () => {
    expect(codeOf(() => compareRows([term('ranked')]))).toBe('MERGE_ORDER')
  })

  it('agrees with the reference order, and is antisymmetric and transitive', () => {
    const threeRows = sortTerms.chain((terms) => fc.tuple(fc.constant(terms), rowsFor(terms, 6)))
    fc.assert(
      fc.property(threeRows, ([terms, rows]) => {
        const compare = compareRows(terms, ranksFor(terms))
        const reference = referenceRows(terms)
        for (const a of rows) {
          expect(compare(a, a)).toBe(0)
          for (const b of rows) {
            expect(Math.sign(compare(a, b))).toBe(Math.sign(reference(a, b)))
            expect(Math.sign(compare(a, b)) + Math.sign(compare(b, a))).toBe(0)
            for (const c of rows) {
              if (compare(a, b) <= 0 && compare(b, c) <= 0) expect(compare(a, c)).toBeLessThanOrEqual(0)
            }
          }
        }
      }),
      { numRuns: 300 },
    )
  })
})
