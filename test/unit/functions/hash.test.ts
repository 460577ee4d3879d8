import { beforeAll, describe, expect, test } from 'vitest'
import { SLOTS } from '../../../src/functions/declaration'
import { hash, loadHash, slotOfKey } from '../../../src/functions/hash'
import { owned } from './owned'

beforeAll(loadHash)

const values = (...keys: string[]) => ({ kind: 'values', keys }) as const

test.each([
  [1, '00', '00'],
  [16, '00', '15'],
  [100, '00', '99'],
  [101, '000', '100'],
  [16_384, '00000', '16383'],
])('%i shards are labelled %s to %s', (shards, first, last) => {
  const { labels } = hash({ shards })
  expect([labels.length, labels[0], labels.at(-1)]).toEqual([shards, first, last])
})

test.each([0, -1, 1.5, Number.NaN, 16_385])('%d shards are refused', (shards) => {
  expect(() => hash({ shards })).toThrow(expect.objectContaining({ code: 'FUNCTION_INVALID' }))
})

test.each([1, 3, 16, 1000, 16_384])('each of %i shards owns a contiguous range of slots', (shards) => {
  const bound = owned(hash({ shards }).bind(['integer']))
  for (let key = 0; key < 2000; key++) {
    const owner = bound.owner([String(key)])
    const slot = slotOfKey([String(key)])
    expect(bound.slotOf([String(key)])).toBe(slot)
    expect(slot).toBeGreaterThanOrEqual(Math.ceil(((owner ?? -1) * SLOTS) / shards))
    expect(slot).toBeLessThan(Math.ceil((((owner ?? -1) + 1) * SLOTS) / shards))
  }
})

describe('pruning', () => {
  const bound = owned(hash({ shards: 16 }).bind(['integer', 'text']))

  test('needs values of all columns', () => {
    expect(bound.prune([values('1'), undefined])).toBe('all')
    expect(bound.prune([values('1'), { kind: 'range', from: { key: 'a', inclusive: true } }])).toBe('all')
    expect(bound.prune([values('1'), values('a')])).toEqual([bound.owner(['1', 'a'])])
  })

  test('crosses the values of the columns', () => {
    const owners = [bound.owner(['1', 'a']), bound.owner(['1', 'b']), bound.owner(['2', 'a']), bound.owner(['2', 'b'])]
    expect(bound.prune([values('1', '2'), values('a', 'b')])).toEqual(
      [...new Set(owners)].sort((x, y) => Number(x) - Number(y)),
    )
  })

  test('of no values is no shard', () => {
    expect(bound.prune([values(), values('a')])).toEqual([])
  })

  test('gives up beyond 10,000 combinations', () => {
    const keys = Array.from({ length: 101 }, (_, key) => String(key))
    expect(bound.prune([values(...keys.slice(1)), values(...keys.slice(1))])).toHaveLength(16)
    expect(bound.prune([values(...keys.slice(1)), values(...keys)])).toBe('all')
  })
})

test('a key needs a column', () => {
  expect(() => hash({ shards: 2 }).bind([])).toThrow(expect.objectContaining({ code: 'FUNCTION_INVALID' }))
})
