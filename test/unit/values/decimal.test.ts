import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareDecimals } from '../../../src/values/decimal'
import { decimal, referenceDecimals } from '../merging/reference-order'

describe('compareDecimals', () => {
  it.each([
    ['1.0', '1', 0],
    ['0', '-0.00', 0],
    ['007', '7', 0],
    ['9007199254740993', '9007199254740992.9', 1],
    ['-10', '-9', -1],
    ['-0.1', '0', -1],
    ['0.09', '0.1', -1],
    ['1', '1.0000000000000000000000001', -1],
    ['NaN', 'Infinity', 1],
    ['NaN', 'NaN', 0],
    ['-Infinity', '-99999999999999999999', -1],
    ['Infinity', '99999999999999999999', 1],
  ])('%s against %s: %i', (a, b, expected) => {
    expect(Math.sign(compareDecimals(a, b))).toBe(expected)
    expect(Math.sign(compareDecimals(b, a))).toBe(expected === 0 ? 0 : -expected)
  })

  it.each(['', '-', '.5', '1e5', 'abc', '2024-01-01', '-NaN', ' 1'])('refuses %j', (text) => {
    expect(() => compareDecimals(text, '50000')).toThrow(TypeError)
    expect(() => compareDecimals('50000', text)).toThrow(TypeError)
    expect(() => compareDecimals(text, 'NaN')).toThrow(TypeError)
  })

  it('agrees with BigInt', () => {
    fc.assert(
      fc.property(decimal, decimal, (a, b) => {
        expect(Math.sign(compareDecimals(a, b))).toBe(referenceDecimals(a, b))
      }),
      { numRuns: 2000 },
    )
  })
})
