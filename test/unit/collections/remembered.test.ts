import { expect, test } from 'vitest'
import { Remembered } from '../../../src/collections/remembered'

test('forgets first what was not used for the longest time', () => {
  const remembered = new Remembered<number>({ maxWeight: 2 })
  remembered.set('a', 1)
  remembered.set('b', 2)
  expect(remembered.get('a')).toBe(1)
  remembered.set('c', 3)
  expect(['a', 'b', 'c'].map((key) => remembered.get(key))).toEqual([1, undefined, 3])
})

test('is bounded by weight, and takes nothing that is too heavy by itself', () => {
  const remembered = new Remembered<string>({ maxWeight: 10, weightOf: (value, key) => value.length + key.length })
  remembered.set('a', 'xxxx')
  remembered.set('b', 'xxxx')
  remembered.set('c', 'x'.repeat(10))
  expect(['a', 'b', 'c'].map((key) => remembered.get(key))).toEqual(['xxxx', 'xxxx', undefined])
  remembered.set('d', 'xxxx')
  expect(['a', 'b', 'd'].map((key) => remembered.get(key))).toEqual([undefined, 'xxxx', 'xxxx'])
})

test('weighs a value that is set again once', () => {
  const remembered = new Remembered<string>({ maxWeight: 4, weightOf: (value) => value.length })
  for (const value of ['xx', 'yy', 'zz']) remembered.set('a', value)
  remembered.set('b', 'ww')
  remembered.delete('c')
  expect([remembered.get('a'), remembered.get('b')]).toEqual(['zz', 'ww'])
  remembered.delete('a')
  remembered.set('c', 'vv')
  expect([remembered.get('b'), remembered.get('c')]).toEqual(['ww', 'vv'])
})
