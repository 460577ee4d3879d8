import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { combineExtreme } from '../../../src/merging/combine-partials'
import { decimal, referenceDecimals } from './reference-order'

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
