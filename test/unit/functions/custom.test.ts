import { expect, test, vi } from 'vitest'
import { custom } from '../../../src/functions/custom'
import { owned } from './owned'

const parity = custom({
  shards: ['even', 'odd'],
  shardOf: (id = '') => (BigInt(id) < 0n ? undefined : BigInt(id) % 2n === 0n ? 'even' : 'odd'),
})

test('places keys by the function', () => {
  const bound = owned(parity.bind(['integer']))
  expect(['2', '3', '-1'].map((key) => bound.owner([key]))).toEqual([0, 1, undefined])
  expect(bound.prune([{ kind: 'values', keys: ['5', '-1', '3'] }])).toEqual([1])
  expect(bound.prune([{ kind: 'range', from: { key: '5', inclusive: true } }])).toBe('all')
})

test('gets the texts of all key columns', () => {
  const shardOf = vi.fn(() => 'a')
  owned(custom({ shards: ['a'], shardOf }).bind(['integer', 'text'])).owner(['1', 'x'])
  expect(shardOf).toHaveBeenCalledExactlyOnceWith('1', 'x')
})

test('a name that is not declared is an error', () => {
  const bound = owned(custom({ shards: ['a'], shardOf: () => 'b', prune: () => ['c'] }).bind(['integer']))
  expect(() => bound.owner(['1'])).toThrow(
    expect.objectContaining({ code: 'SHARD_UNKNOWN', details: { shard: 'b', shards: ['a'] } }),
  )
  expect(() => bound.prune([{ kind: 'range' }])).toThrow(expect.objectContaining({ code: 'SHARD_UNKNOWN' }))
})

test('an error of the function is an error of the key', () => {
  const cause = new RangeError('too great')
  const fail = () => {
    throw cause
  }
  const bound = owned(custom({ shards: ['a'], shardOf: fail, prune: fail }).bind(['integer']))
  const failure = { code: 'KEY_NOT_OWNED', cause, message: expect.stringContaining('RangeError: too great') as string }
  expect(() => bound.owner(['1'])).toThrow(
    expect.objectContaining({ ...failure, details: { key: ['1'], function: 'shardOf' } }),
  )
  expect(() => bound.prune([{ kind: 'values', keys: ['1'] }])).toThrow(expect.objectContaining(failure))
  expect(() => bound.prune([{ kind: 'range', from: { key: '5', inclusive: true } }])).toThrow(
    expect.objectContaining({ ...failure, details: { key: ['5'], function: 'prune' } }),
  )
})

test('prunes ranges where the function can and the type has one order', () => {
  const prune = vi.fn(() => ['b', 'a', 'b'])
  const fn = custom({ shards: ['a', 'b', 'c'], shardOf: () => 'a', prune })
  const range = { from: { key: '5', inclusive: true } }
  expect(owned(fn.bind(['integer'])).prune([{ kind: 'range', ...range }])).toEqual([0, 1])
  expect(prune).toHaveBeenCalledExactlyOnceWith(range)
  expect(owned(fn.bind(['text'])).prune([{ kind: 'range', ...range }])).toBe('all')
  expect(owned(fn.bind(['integer', 'integer'])).prune([{ kind: 'range', ...range }, undefined])).toBe('all')
})
