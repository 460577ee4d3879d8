import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addDecimals, compareDecimals } from '../../../src/values/decimal'
import { decimal, finiteDecimal, referenceDecimals } from '../merging/reference-order'

const fractionOf = (text: string): string => text.split('.')[1] ?? ''
const scaled = (text: string, scale: number): bigint =>
  BigInt(text.replace('.', '') + '0'.repeat(scale - fractionOf(text).length))

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

describe('addDecimals', () => {
  it.each([
    ['0.10', '2', '2.10'],
    ['1.5', '-1.50', '0.00'],
    ['-0.05', '0.02', '-0.03'],
    ['99', '1', '100'],
    ['-1', '0.999', '-0.001'],
    ['NaN', '1', 'NaN'],
    ['NaN', 'Infinity', 'NaN'],
    ['Infinity', '-Infinity', 'NaN'],
    ['Infinity', 'Infinity', 'Infinity'],
    ['-Infinity', '-Infinity', '-Infinity'],
    ['-Infinity', '1', '-Infinity'],
    ['Infinity', '-1', 'Infinity'],
  ])('%s + %s = %s', (a, b, expected) => {
    expect(addDecimals(a, b)).toBe(expected)
    expect(addDecimals(b, a)).toBe(expected)
  })

  it.each(['', '1e5', '1.', '.5', '+1'])('refuses %j, beside NaN too', (text) => {
    expect(() => addDecimals(text, '1')).toThrow(TypeError)
    expect(() => addDecimals('NaN', text)).toThrow(TypeError)
  })

  it('agrees with BigInt, in value and scale', () => {
    fc.assert(
      fc.property(finiteDecimal, finiteDecimal, (a, b) => {
        const sum = addDecimals(a, b)
        const scale = Math.max(fractionOf(a).length, fractionOf(b).length)
        expect(sum).toMatch(/^-?(0|[1-9]\d*)(\.\d+)?$/)
        expect(fractionOf(sum)).toHaveLength(scale)
        expect(scaled(sum, scale)).toBe(scaled(a, scale) + scaled(b, scale))
        expect(sum).not.toMatch(/^-[0.]*$/)
      }),
      { numRuns: 1000 },
    )
  })
})
