import { expect, it } from 'vitest'
import { copyWith } from '../../../src/collections/copy-with'

it('copies an object with changes, and leaves it as it is', () => {
  const given = Object.freeze({ a: 1, b: { c: 2 } })
  const copy = copyWith(given, { a: 'x', d: undefined })
  expect(copy).toStrictEqual({ a: 'x', b: { c: 2 }, d: undefined })
  expect(copy.b).toBe(given.b)
  expect(given).toStrictEqual({ a: 1, b: { c: 2 } })
})
