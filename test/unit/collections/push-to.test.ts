import { describe, expect, it } from 'vitest'
import { pushTo } from '../../../src/collections/push-to'

describe('pushTo', () => {
  it('appends in the order of the calls, and keeps the keys in the order of their first value', () => {
    const lists = new Map<string, number[]>()
    for (const [key, value] of [['b', 1] as const, ['a', 2] as const, ['b', 3] as const]) pushTo(lists, key, value)
    expect([...lists]).toEqual([
      ['b', [1, 3]],
      ['a', [2]],
    ])
  })
})
