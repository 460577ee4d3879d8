import { describe, expect, it } from 'vitest'
import { evenOwners, shardsInKeyOrder } from '../../../src/topology/unit-owners'

const slots = (shards: number) => ({ kind: 'slots', size: 16_384, shards }) as const
const labels = (size: number) => ({ kind: 'labels', size, shards: size }) as const

describe('evenOwners', () => {
  it.each([
    [1, [0, 16_383], [0, 0]],
    [2, [0, 8_191, 8_192, 16_383], [0, 0, 1, 1]],
    [3, [0, 5_461, 5_462, 10_922, 10_923, 16_383], [0, 0, 1, 1, 2, 2]],
    [16_384, [0, 1, 8_191, 16_383], [0, 1, 8_191, 16_383]],
  ])('gives %i shards contiguous ranges of slots', (shards, units, expected) => {
    const owners = evenOwners([slots(shards)])
    expect(units.map(owners.shardOf)).toEqual(expected)
    expect(units.flatMap((slot) => owners.shardsOfSlots([slot]))).toEqual(expected)
    expect(owners.all).toHaveLength(shards)
  })

  it('gives each label its shard, and a key without unit none', () => {
    const owners = evenOwners([labels(1_000)])
    expect(owners.all.map(owners.shardOf)).toEqual(owners.all)
    expect(owners.shardOf(undefined)).toBeUndefined()
    expect(owners.shardsOfSlots([5])).toBe(owners.all)
  })

  it('sorts the shards of what is left, each once', () => {
    const owners = evenOwners([slots(4)])
    expect(owners.shardsOf([[16_000, 1, 9_000, 2]])).toEqual([0, 2, 3])
    expect(owners.shardsOf([[]])).toEqual([])
    expect(owners.shardsOf(['all'])).toBe('all')
  })

  it('crosses two spaces', () => {
    const owners = evenOwners([slots(2), labels(3)])
    expect(owners.all).toEqual([0, 1, 2, 3, 4, 5])
    expect([0, 2, 8_191 * 3 + 1, 8_192 * 3, 16_383 * 3 + 2].map(owners.shardOf)).toEqual([0, 2, 1, 3, 5])
    expect(owners.shardsOf([[9_000, 9_001], 'all'])).toEqual([3, 4, 5])
    expect(owners.shardsOf(['all', [1]])).toEqual([1, 4])
    expect(owners.shardsOf([[9_000], [2, 0]])).toEqual([3, 5])
    expect(owners.shardsOf(['all', []])).toEqual([])
    expect(owners.shardsOfSlots([0])).toEqual([0, 1, 2])
    expect(evenOwners([labels(3), slots(2)]).shardsOfSlots([16_383])).toEqual([1, 3, 5])
  })
})

describe('shardsInKeyOrder', () => {
  const inOrder = (shards: readonly (number | undefined)[], units: readonly number[]) =>
    shardsInKeyOrder({ shardOf: (unit = -1) => shards[unit] }, units)

  it('is the order of the units that the shards own, each shard once', () => {
    const units = [2, 0, 3, 1]
    expect(shardsInKeyOrder(evenOwners([labels(4)]), units)).toEqual(units)
    expect(inOrder([1, 0, 1, 0], units)).toEqual([1, 0])
    expect(inOrder([1, undefined, 0, 2], units)).toEqual([0, 1, 2])
  })

  it('is none where a shard owns units that do not follow each other', () => {
    expect(inOrder([0, 1, 0], [0, 1, 2])).toBeUndefined()
    expect(inOrder([0, 0, 1, 1], [0, 2, 1, 3])).toBeUndefined()
  })
})
