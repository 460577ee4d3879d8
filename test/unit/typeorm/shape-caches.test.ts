import { LRUCache } from 'lru-cache'
import { expect, it } from 'vitest'
import { ShapeCaches } from '../../../src/typeorm/reads/find-shape'

it('keeps what is remembered of one owner apart from that of another, each within the bounds', () => {
  const caches = new ShapeCaches<number>(() => new LRUCache({ max: 2 }))
  const [one, other] = [{}, {}]
  for (const [index, key] of [...'abc'].entries()) caches.of(one).set(key, index)
  caches.of(other).set('a', 7)
  expect([...'abc'].map((key) => caches.of(one).get(key))).toEqual([undefined, 1, 2])
  expect(caches.of(other).get('a')).toBe(7)
  expect(caches.of(one)).toBe(caches.of(one))
})
