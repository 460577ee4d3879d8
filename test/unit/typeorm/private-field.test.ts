import { inspect, isDeepStrictEqual } from 'node:util'
import { expect, test } from 'vitest'
import { PrivateField } from '../../../src/typeorm/binding/private-field'

class Item {
  id = 1
}

test('is read by the stamp that was set, until it is taken away', () => {
  const first = new PrivateField<string>()
  const second = new PrivateField<string>()
  const item = new Item()
  first.set(item, 'a')
  expect([first.get(item), second.get(item), first.get(new Item())]).toEqual(['a', undefined, undefined])
  second.set(item, 'b')
  first.set(item, 'c')
  expect([first.get(item), second.get(item)]).toEqual(['c', 'b'])
  first.delete(item)
  expect([first.get(item), second.get(item)]).toEqual([undefined, 'b'])
})

test('is not seen on the object', () => {
  const stamp = new PrivateField<string>()
  const item = new Item()
  stamp.set(item, 'a')
  expect(Reflect.ownKeys(item)).toEqual(['id'])
  expect(inspect(item, { showHidden: true })).toBe(inspect(new Item(), { showHidden: true }))
  expect(isDeepStrictEqual(item, new Item())).toBe(true)
  expect(stamp.get({ ...item })).toBeUndefined()
  expect(stamp.get(structuredClone(item))).toBeUndefined()
})

test.each([
  ['frozen', Object.freeze],
  ['sealed', Object.seal],
  ['not extensible', Object.preventExtensions],
])('holds for an object that is %s', (_, close) => {
  const stamp = new PrivateField<string>()
  const item = close(new Item())
  stamp.set(item, 'a')
  expect(stamp.get(item)).toBe('a')
  stamp.delete(item)
  expect(stamp.get(item)).toBeUndefined()
})

test('is changed on an object that was frozen after it was set', () => {
  const stamp = new PrivateField<string>()
  const item = new Item()
  stamp.set(item, 'a')
  Object.freeze(item)
  stamp.set(item, 'b')
  expect(stamp.get(item)).toBe('b')
  stamp.delete(item)
  expect(stamp.get(item)).toBeUndefined()
})
