import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareCodePoints } from '../../../src/values/compare-keys'
import { referenceTexts, text } from '../merging/reference-order'

describe('compareCodePoints', () => {
  it('puts surrogate pairs above U+E000 – U+FFFF, where < does not', () => {
    expect('\u{10000}' < '\u{E000}').toBe(true)
    expect(compareCodePoints('\u{10000}', '\u{E000}')).toBeGreaterThan(0)
    expect(compareCodePoints('x\u{FFFF}', 'x\u{10FFFF}')).toBeLessThan(0)
  })

  it('keeps surrogate pairs above what lies below U+D800', () => {
    expect(compareCodePoints('\u{D7FF}', '\u{10000}')).toBeLessThan(0)
  })

  it('agrees with the bytes of UTF-8', () => {
    fc.assert(
      fc.property(text, text, text, (prefix, a, b) => {
        expect(Math.sign(compareCodePoints(prefix + a, prefix + b))).toBe(referenceTexts(prefix + a, prefix + b))
      }),
      { numRuns: 2000 },
    )
  })
})
