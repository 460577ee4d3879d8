import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { placeShards, type WeightedNode } from '../../../src/topology/place-shards'

const nodes = (...weights: readonly number[]): readonly WeightedNode[] =>
  weights.map((weight, index) => ({ name: `n${index}`, weight }))

test('equal nodes take turns', () => {
  expect(placeShards([{ name: 'a' }, { name: 'b' }, { name: 'c' }], 7)).toEqual(['a', 'b', 'c', 'a', 'b', 'c', 'a'])
})

test('heavier nodes take more, and neighbours differ', () => {
  expect(placeShards([{ name: 'a', weight: 2 }, { name: 'b' }], 6)).toEqual(['a', 'b', 'a', 'a', 'b', 'a'])
})

test('a node of weight 0 takes nothing', () => {
  expect(placeShards(nodes(1, 0), 3)).toEqual(['n0', 'n0', 'n0'])
})

describe('for all weights', () => {
  const weights = fc
    .array(fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constantFrom(0.1, 0.3, 1 / 3, 1000)), {
      minLength: 1,
      maxLength: 12,
    })
    .filter((list) => list.some((weight) => weight > 0))

  test('every beginning is proportional to within one', () => {
    fc.assert(
      fc.property(weights, (list) => {
        const total = list.reduce((sum, weight) => sum + weight, 0)
        const counts = list.map(() => 0)
        for (const [unit, node] of placeShards(nodes(...list), 120).entries()) {
          const at = Number(node.slice(1))
          counts[at] = (counts[at] ?? 0) + 1
          for (const [index, count] of counts.entries()) {
            expect(Math.abs(count - ((unit + 1) * (list[index] ?? 0)) / total)).toBeLessThan(1)
          }
        }
      }),
      { seed: 7, numRuns: 200 },
    )
  })

  test('more units leave the places of the others', () => {
    fc.assert(
      fc.property(weights, fc.nat(50), (list, units) => {
        expect(placeShards(nodes(...list), 60).slice(0, units)).toEqual(placeShards(nodes(...list), units))
      }),
      { seed: 7 },
    )
  })
})

test.each([[[]], [[0, 0]], [[-1, 2]], [[Number.NaN]], [[Number.POSITIVE_INFINITY]]])(
  'weights %j are refused',
  (weights) => {
    expect(() => placeShards(nodes(...weights), 1)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }))
  },
)
