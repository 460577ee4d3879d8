import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { FrequentKeys, maxKeyLetters } from '../../../src/collections/frequent-keys'

const addAll = (limit: number, keys: readonly string[]): FrequentKeys => {
  const counted = new FrequentKeys(limit)
  for (const key of keys) counted.add(key)
  return counted
}

describe('the most frequent keys', () => {
  it('are counted exactly while there are few', () => {
    expect(addAll(2, ['a', 'b', 'a', 'c', 'a', 'b']).top(2)).toEqual([
      { key: 'a', atLeast: 3, atMost: 3 },
      { key: 'b', atLeast: 2, atMost: 2 },
    ])
  })

  it('are in the order of their texts where they are as frequent', () => {
    expect(
      addAll(4, ['c', 'a', 'b'])
        .top(9)
        .map(({ key }) => key),
    ).toEqual(['a', 'b', 'c'])
  })

  it('leave out keys that are too long to be kept', () => {
    const longest = 'x'.repeat(maxKeyLetters)
    expect(addAll(4, [longest, `${longest}x`]).top(9)).toEqual([{ key: longest, atLeast: 1, atMost: 1 }])
  })

  test('have bounds that hold, and none is missing that was added more often than n / (limit + 1)', () => {
    const key = fc.oneof(fc.constantFrom('hot', 'warm'), fc.integer({ min: 0, max: 60 }).map(String))
    fc.assert(
      fc.property(fc.array(key, { maxLength: 800 }), fc.integer({ min: 1, max: 12 }), (keys, limit) => {
        const times = new Map<string, number>()
        for (const one of keys) times.set(one, (times.get(one) ?? 0) + 1)
        const top = addAll(limit, keys).top(Number.POSITIVE_INFINITY)
        const error = keys.length / (limit + 1)
        expect(top.length).toBeLessThanOrEqual(2 * limit)
        for (const { key: one, atLeast, atMost } of top) {
          const exact = times.get(one) ?? 0
          expect(atLeast).toBeLessThanOrEqual(exact)
          expect(atMost).toBeGreaterThanOrEqual(exact)
          expect(atMost - atLeast).toBeLessThanOrEqual(error)
        }
        const found = new Set(top.map((one) => one.key))
        for (const [one, exact] of times) if (exact > error) expect(found).toContain(one)
      }),
    )
  })
})
