import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { combineAverage, combineCounts, combineExtreme, combineSum } from '../../../src/merging/combine-aggregate'
import { decimal, referenceDecimals } from './reference-order'

describe('combineCounts', () => {
  it('adds beyond 2^53', () => {
    expect(combineCounts(['9007199254740992', '1', '0'])).toBe(9007199254740993n)
    expect(combineCounts([])).toBe(0n)
  })

  it.each(['', '-1', '1.0', '0x1', ' 1'])('refuses %j', (value) => {
    expect(() => combineCounts(['1', value])).toThrow(TypeError)
  })
})

describe('combineSum', () => {
  it('is null when all are null, and passes over nulls', () => {
    expect(combineSum([], 'exact')).toBeNull()
    expect(combineSum([null, null], 'exact')).toBeNull()
    expect(combineSum([null, null], 'float')).toBeNull()
    expect(combineSum([null, '9223372036854775807', '1'], 'exact')).toBe('9223372036854775808')
    expect(combineSum([null, 0.5, 0.25], 'float')).toBe(0.75)
  })

  it('keeps the scale of exact sums, and adds small integers', () => {
    expect(combineSum(['0.10', '-0.1', null], 'exact')).toBe('0.00')
    expect(combineSum([1, '2.5'], 'exact')).toBe('3.5')
  })

  it('handles NaN and infinities as PostgreSQL', () => {
    expect(combineSum(['Infinity', '-Infinity', '1'], 'exact')).toBe('NaN')
    expect(combineSum([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY], 'float')).toBeNaN()
    expect(combineSum([Number.POSITIVE_INFINITY, 1], 'float')).toBe(Number.POSITIVE_INFINITY)
  })

  it('refuses an overflow of finite floats, and inexact forms', () => {
    const max = Number.MAX_VALUE
    expect(() => combineSum([max, max], 'float')).toThrow(expect.objectContaining({ code: 'SCATTER_UNSUPPORTED' }))
    expect(() => combineSum([-max, -max], 'float')).toThrow(expect.objectContaining({ code: 'SCATTER_UNSUPPORTED' }))
    expect(() => combineSum([1.5], 'exact')).toThrow(TypeError)
    expect(() => combineSum(['1.5'], 'float')).toThrow(TypeError)
    expect(() => combineSum(['1e5'], 'exact')).toThrow(TypeError)
  })
})

describe('combineExtreme', () => {
  it('compares by kind, NaN greatest, passing over nulls', () => {
    expect(combineExtreme(['9', null, '10'], 'MAX', 'numeric')).toBe('10')
    expect(combineExtreme(['9', null, '10'], 'MIN', 'integer')).toBe('9')
    expect(combineExtreme([1, Number.NaN], 'MAX', 'float')).toBeNaN()
    expect(combineExtreme([Number.NaN, 1], 'MIN', 'float')).toBe(1)
    expect(combineExtreme(['\u{1F600}', '\uFF5E'], 'MAX', 'codepoints')).toBe('\u{1F600}')
    expect(combineExtreme([null, null], 'MIN', 'numeric')).toBeNull()
  })

  it('keeps the last of values that compare equal', () => {
    expect(combineExtreme(['1', '1.0'], 'MIN', 'numeric')).toBe('1.0')
    expect(combineExtreme(['1', '1.0'], 'MAX', 'numeric')).toBe('1.0')
  })

  it('is a value that no other passes', () => {
    fc.assert(
      fc.property(fc.array(decimal, { minLength: 1, maxLength: 8 }), (values) => {
        const least = combineExtreme(values, 'MIN', 'numeric')
        const greatest = combineExtreme(values, 'MAX', 'numeric')
        expect(values).toContain(least)
        expect(values).toContain(greatest)
        for (const value of values) {
          expect(referenceDecimals(least ?? '', value)).toBeLessThanOrEqual(0)
          expect(referenceDecimals(greatest ?? '', value)).toBeGreaterThanOrEqual(0)
        }
      }),
    )
  })
})

describe('combineAverage', () => {
  it('divides the sum of sums by the sum of counts', () => {
    const partials = [
      { sum: 3, count: '2' },
      { sum: null, count: '0' },
      { sum: 6, count: '1' },
    ]
    expect(combineAverage(partials)).toBe(3)
    expect(combineAverage([{ sum: null, count: '0' }])).toBeNull()
    expect(combineAverage([])).toBeNull()
  })
})
