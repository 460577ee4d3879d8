import { describe, expect, it } from 'vitest'
import { hash, loadHash } from '../../../src/functions/hash'
import { list } from '../../../src/functions/list'
import { range } from '../../../src/functions/range'
import type { ShardingFunction } from '../../../src/functions/sharding-function'
import { storedFunction } from '../../../src/functions/stored-function'
import { time } from '../../../src/functions/time'
import type { KeyType } from '../../../src/values/key-type'

/** What is made of the print of a function. */
const storedOf = (fn: ShardingFunction, type: KeyType) => {
  const { print } = fn.bind([type])
  const units = fn.labels.map((label, unit) => ({ label, owns: print.owns[unit] ?? '' }))
  return storedFunction(print.rule, units, [type])
}

describe('a function of what is stored', () => {
  const cases: readonly (readonly [string, ShardingFunction, KeyType, readonly string[]])[] = [
    [
      'ranges',
      range({ shards: { high: [100, null], low: [null, 10], middle: [10, 100] } }),
      'integer',
      ['-5', '9', '10', '99', '100', '5000'],
    ],
    ['texts', range({ shards: { z: ['n', null], a: ['a', 'n'] } }), 'text', ['a', 'm', 'n', 'zz', 'A']],
    [
      'periods',
      time({ every: 'month', from: '2024-01', to: '2024-04' }),
      'date',
      ['2023-12-31', '2024-01-01', '2024-03-31', '2024-04-01'],
    ],
    ['lists', list({ shards: { eu: ['de', 'fr'], asia: ['cn'] } }), 'text', ['de', 'fr', 'cn', 'us']],
  ]
  it.each(cases)('is the same of %s', (_, fn, type, keys) => {
    const declared = fn.bind([type])
    const stored = storedOf(fn, type)
    expect(keys.map((key) => stored?.unitOf([key]))).toEqual(keys.map((key) => declared.unitOf([key])))
    expect(stored?.print).toEqual(declared.print)
    expect(stored?.unitsInKeyOrder).toEqual(declared.unitsInKeyOrder)
    const from = { key: keys[1] ?? '', inclusive: true }
    expect(stored?.prune([{ kind: 'range', from }])).toEqual(declared.prune([{ kind: 'range', from }]))
  })

  it('is none of what the owned keys do not say', async () => {
    await loadHash()
    expect(storedOf(hash({ shards: 2 }), 'text')).toBeUndefined()
    expect(storedOf(list({ shards: { eu: ['de'] }, otherwise: 'world' }), 'text')).toBeUndefined()
  })
})
