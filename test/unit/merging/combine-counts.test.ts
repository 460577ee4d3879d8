import { describe, expect, it } from 'vitest'
import { combineCounts } from '../../../src/merging/combine-partials'

describe('combineCounts', () => {
  it('adds beyond 2^53', () => {
    expect(combineCounts(['9007199254740992', '1', '0'])).toBe(9007199254740993n)
    expect(combineCounts([])).toBe(0n)
  })

  it.each(['', '-1', '1.0', '0x1', ' 1'])('refuses %j', (value) => {
    expect(() => combineCounts(['1', value])).toThrow(TypeError)
  })
})
