import { describe, expect, test } from 'vitest'
import { list } from '../../../src/functions/list'
import { owned } from './owned'

const invalid = (pattern: RegExp) =>
  expect.objectContaining({ code: 'FUNCTION_INVALID', message: expect.stringMatching(pattern) })

describe('owners', () => {
  test('values are canonicalised by the type of the column', () => {
    const bound = owned(list({ shards: { a: [1, '002'], b: [3n] } }).bind(['integer']))
    expect(['1', '2', '3', '4'].map((key) => bound.owner([key]))).toEqual([0, 0, 1, undefined])
  })

  test('other values belong to one more shard', () => {
    const fn = list({ shards: { eu: ['de', 'fr'], asia: ['cn'] }, otherwise: 'world' })
    expect(fn.labels).toEqual(['eu', 'asia', 'world'])
    expect(['de', 'cn', 'us'].map((key) => owned(fn.bind(['text'])).owner([key]))).toEqual([0, 1, 2])
  })

  test('or to one of the shards, which may list nothing itself', () => {
    const fn = list({ shards: { eu: ['de'], rest: [] }, otherwise: 'rest' })
    expect(fn.labels).toEqual(['eu', 'rest'])
    expect(owned(fn.bind(['text'])).owner(['us'])).toBe(1)
  })
})

describe('pruning', () => {
  const shards = { a: [1, 10], b: [5], c: [20] } as const

  test('by values', () => {
    const bound = owned(list({ shards, otherwise: 'd' }).bind(['integer']))
    expect(bound.prune([{ kind: 'values', keys: ['10', '1', '7'] }])).toEqual([0, 3])
    expect(bound.prune([undefined])).toBe('all')
  })

  test('by ranges over what is listed', () => {
    const bound = owned(list({ shards }).bind(['integer']))
    const range = (from: string, to: string, inclusive: boolean) =>
      bound.prune([{ kind: 'range', from: { key: from, inclusive }, to: { key: to, inclusive } }])
    expect(range('5', '10', true)).toEqual([0, 1])
    expect(range('5', '10', false)).toEqual([])
    expect(range('2', '9', true)).toEqual([1])
  })

  test('by ranges keeps the shard of other values', () => {
    const bound = owned(list({ shards, otherwise: 'd' }).bind(['integer']))
    expect(
      bound.prune([{ kind: 'range', from: { key: '6', inclusive: true }, to: { key: '7', inclusive: true } }]),
    ).toEqual([3])
  })

  test('never by ranges of texts', () => {
    const bound = owned(list({ shards: { a: ['x'], b: ['y'] } }).bind(['text']))
    expect(bound.prune([{ kind: 'range', from: { key: 'y', inclusive: true } }])).toBe('all')
  })
})

describe('refuses', () => {
  test('a value in two shards, whatever its form', () => {
    expect(() => list({ shards: { a: [1], b: ['01'] } }).bind(['integer'])).toThrow(invalid(/'a' and 'b' both list 1/))
    expect(() => list({ shards: { a: [1], b: ['01'] } }).bind(['text'])).not.toThrow()
  })

  test('a shard without values', () => {
    expect(() => list({ shards: { a: [1], b: [] } })).toThrow(invalid(/'b' lists no values/))
  })

  test('values of another type', () => {
    expect(() => list({ shards: { a: ['x'] } }).bind(['uuid'])).toThrow(invalid(/uuid/))
  })
})
