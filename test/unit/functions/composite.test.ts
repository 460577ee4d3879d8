import { beforeAll, describe, expect, test } from 'vitest'
import { composite } from '../../../src/functions/composite'
import { hash, loadHash, slotOfKey } from '../../../src/functions/hash'
import { list } from '../../../src/functions/list'
import { time } from '../../../src/functions/time'
import { placementUnitOf } from '../../../src/topology/place-shards'
import { owned } from './owned'

beforeAll(loadHash)

const regions = list({ shards: { eu: ['de'], asia: ['cn'] } })
const months = time({ every: 'month', from: '2024-01', to: '2024-04' })
const fn = composite(regions, months)
const bound = owned(fn.bind(['text', 'date']))
const values = (...keys: string[]) => ({ kind: 'values', keys }) as const

test('crosses the labels', () => {
  expect(fn.labels).toEqual(['eu_2024_01', 'eu_2024_02', 'eu_2024_03', 'asia_2024_01', 'asia_2024_02', 'asia_2024_03'])
})

test('owns what both functions own', () => {
  expect(bound.owner(['cn', '2024-02-10'])).toBe(4)
  expect(bound.owner(['us', '2024-02-10'])).toBeUndefined()
  expect(bound.owner(['cn', '2025-02-10'])).toBeUndefined()
})

test('places the shards of one first value together', () => {
  expect([0, 1, 2, 3, 4, 5].map((shard) => placementUnitOf(bound.spaces, shard))).toEqual([0, 0, 0, 1, 1, 1])
})

describe('pruning', () => {
  const february = {
    kind: 'range',
    from: { key: '2024-02-01', inclusive: true },
    to: { key: '2024-03-01', inclusive: false },
  } as const

  test('uses each column by itself', () => {
    expect(bound.prune([values('cn'), undefined])).toEqual([3, 4, 5])
    expect(bound.prune([undefined, february])).toEqual([1, 4])
    expect(bound.prune([values('cn'), february])).toEqual([4])
    expect(bound.prune([values('us'), undefined])).toEqual([])
    expect(bound.prune([undefined, undefined])).toBe('all')
  })
})

test('the slot is that of the function that hashes', () => {
  expect(bound.slotOf(['de', '2024-01-01'])).toBeUndefined()
  expect(
    composite(hash({ shards: 4 }), months)
      .bind(['integer', 'date'])
      .slotOf(['42', '2024-01-01']),
  ).toBe(slotOfKey(['42']))
  expect(
    composite(regions, hash({ shards: 4 }))
      .bind(['text', 'integer'])
      .slotOf(['de', '42']),
  ).toBe(slotOfKey(['42']))
})

test('refuses other numbers of columns, functions over two, and too many or too long names', () => {
  const invalid = expect.objectContaining({ code: 'FUNCTION_INVALID' })
  expect(() => fn.bind(['text'])).toThrow(invalid)
  expect(() => composite(fn, months)).toThrow(invalid)
  expect(() => composite(hash({ shards: 8192 }), months)).toThrow(invalid)
  const long = list({ shards: { ['x'.repeat(30)]: ['de'] } })
  expect(() => composite(long, long)).toThrow(invalid)
})
