import { describe, expect, test } from 'vitest'
import { type RangeOptions, range } from '../../../src/functions/range'
import type { KeyType } from '../../../src/values/key-type'
import { owned } from './owned'

const bind = (shards: RangeOptions['shards'], type: KeyType) => owned(range({ shards }).bind([type]))
const owners = (shards: RangeOptions['shards'], type: KeyType, keys: readonly string[]) =>
  keys.map((key) => bind(shards, type).owner([key]))
const invalid = (pattern: RegExp) =>
  expect.objectContaining({ code: 'FUNCTION_INVALID', message: expect.stringMatching(pattern) })

describe('owners', () => {
  test('of integers: negative, open, beyond 2^53, in a gap', () => {
    const shards = { big: [2n ** 53n, null], low: [null, -10], mid: [-10, '100'] } as const
    expect(owners(shards, 'integer', ['-11', '-10', '-9', '-1', '0', '9', '99', '100', '9007199254740991'])).toEqual([
      1,
      2,
      2,
      2,
      2,
      2,
      2,
      undefined,
      undefined,
    ])
    expect(owners(shards, 'integer', ['9007199254740992', '9223372036854775807', '-9223372036854775808'])).toEqual([
      0, 0, 1,
    ])
  })

  test('of numerics, exact; NaN is above everything', () => {
    const shards = { a: ['-0.5', '0.10'], b: ['0.1', 'Infinity'], c: ['Infinity', 'NaN'], d: ['NaN', null] } as const
    expect(
      owners(shards, 'numeric', [
        '-Infinity',
        '-0.51',
        '-0.5',
        '-0.49',
        '0',
        '0.09',
        '0.1',
        '10',
        '9.5',
        'Infinity',
        'NaN',
      ]),
    ).toEqual([undefined, undefined, 0, 0, 0, 0, 1, 1, 1, 2, 3])
  })

  test('of floats; an open end holds infinity and NaN', () => {
    const shards = { a: [null, 1e-7], b: [1e-7, null] } as const
    expect(owners(shards, 'float', ['-Infinity', '-1', '9e-8', '1e-7', '1e+21', '5', 'Infinity', 'NaN'])).toEqual([
      0, 0, 0, 1, 1, 1, 1, 1,
    ])
  })

  test('of texts by code points', () => {
    const shards = { a: [null, 'Z'], b: ['Z', '\uffee'], c: ['\uffee', null] } as const
    expect(owners(shards, 'text', ['', 'Apfel', 'Z', 'a', 'Ä', '\uffed', '\uffee', '🏮'])).toEqual([
      0, 0, 1, 1, 1, 1, 2, 2,
    ])
  })

  test('of timestamps to the microsecond, and infinity', () => {
    const shards = { a: ['2024-01-01', '2024-02-01'], b: ['2024-02-01', null], c: ['-infinity', '2024-01-01'] } as const
    expect(
      owners(shards, 'timestamp', [
        '2024-01-31 23:59:59.999999',
        '2024-02-01 00:00:00.000000',
        '12024-01-01 00:00:00.000000',
        'infinity',
        '-infinity',
        '2023-12-31 23:59:59.999999',
      ]),
    ).toEqual([0, 1, 1, 1, 2, 2])
  })
})

describe('pruning', () => {
  const bound = bind({ c: [20, 30], a: [0, 10], b: [10, 20], d: [40, null] }, 'integer')
  const from = (key: string, inclusive = true) => ({ from: { key, inclusive } })
  const to = (key: string, inclusive = true) => ({ to: { key, inclusive } })

  test.each([
    ['>= 10', from('10'), [0, 2, 3]],
    ['>= 9', from('9'), [0, 1, 2, 3]],
    ['> 9', from('9', false), [0, 2, 3]],
    ['< 20', to('20', false), [1, 2]],
    ['<= 20', to('20'), [0, 1, 2]],
    ['> 9 and < 20', { ...from('9', false), ...to('20', false) }, [2]],
    ['in a gap', { ...from('30'), ...to('39') }, []],
    ['backwards', { ...from('25'), ...to('5') }, []],
    ['below all', to('-1'), []],
    ['above all', from('99999999999999999999'), [3]],
    ['everything', {}, [0, 1, 2, 3]],
  ])('%s', (_, range, expected) => {
    expect(bound.prune([{ kind: 'range', ...range }])).toEqual(expected)
  })

  test('of keys without a predecessor leaves out what ends where the range starts', () => {
    const numerics = bind({ a: [0, 10], b: [10, 20] }, 'numeric')
    expect(numerics.prune([{ kind: 'range', ...from('10') }])).toEqual([1])
    expect(numerics.prune([{ kind: 'range', ...from('9.99', false) }])).toEqual([0, 1])
    expect(numerics.prune([{ kind: 'range', ...to('10', false) }])).toEqual([0])
  })

  test('by values; those without owner add nothing', () => {
    expect(bound.prune([{ kind: 'values', keys: ['25', '35', '5', '26'] }])).toEqual([0, 1])
  })

  test('nothing where nothing is known, nor ranges of texts', () => {
    expect(bound.prune([undefined])).toBe('all')
    const texts = bind({ a: ['a', 'm'], b: ['m', null] }, 'text')
    expect(texts.prune([{ kind: 'range', ...from('n') }])).toBe('all')
    expect(texts.prune([{ kind: 'values', keys: ['n'] }])).toEqual([1])
  })
})

describe('refuses', () => {
  test.each<[string, RangeOptions['shards'], KeyType, RegExp]>([
    ['an empty interval', { a: [5, 5] }, 'integer', /'a' ends at 5/],
    ['an interval backwards', { a: ['10', '9'] }, 'integer', /'a' ends at 9/],
    ['an overlap', { a: [0, 10], b: [9, 20] }, 'integer', /'a' and 'b' overlap/],
    ['two open starts', { a: [null, 10], b: [null, 20] }, 'integer', /overlap/],
    ['an open end inside', { a: [null, null], b: [5, 6] }, 'integer', /overlap/],
    ['a bound of another type', { a: ['x', null] }, 'integer', /The text "x"/],
    ['a bound that depends on the session', { a: ['2024-01-01', null] }, 'timestamptz', /another session.*00Z/],
  ])('%s', (_, shards, type, pattern) => {
    expect(() => bind(shards, type)).toThrow(invalid(pattern))
  })

  test('types without an order', () => {
    for (const type of ['uuid', 'boolean', 'bytes'] as const) {
      expect(() => bind({ a: [null, null] }, type)).toThrow(expect.objectContaining({ code: 'KEY_TYPE_UNSUPPORTED' }))
    }
  })

  test('two columns, no shards, and bad labels', () => {
    expect(() => range({ shards: { a: [null, null] } }).bind(['integer', 'integer'])).toThrow(
      invalid(/one shard key column/),
    )
    expect(() => range({ shards: {} })).toThrow(invalid(/no shards/))
    for (const label of ['A', 'a-b', '', 'x'.repeat(41)]) {
      expect(() => range({ shards: { [label]: [null, null] } })).toThrow(invalid(/1 to 40/))
    }
  })
})

test('a Date given as a bound is copied', () => {
  const bound = new Date('2024-01-01T00:00:00Z')
  const fn = range({ shards: { a: [bound, null] } })
  bound.setUTCFullYear(2030)
  expect(owned(fn.bind(['timestamptz'])).owner(['2024-06-01T00:00:00.000000Z'])).toBe(0)
})
