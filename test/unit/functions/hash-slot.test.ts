import { beforeAll, expect, test, vi } from 'vitest'
import { SLOTS } from '../../../src/functions/declaration'
import type * as hashSlot from '../../../src/functions/hash'
import { loadHash, slotOfKey } from '../../../src/functions/hash'
import { canonicalTuple } from '../../../src/values/canonical-key'
import vectors from '../../vectors/canonical-keys.json'
import { referenceXxh32 } from './reference-xxh32'

beforeAll(loadHash)

test('no slot is told before the hash is loaded', async () => {
  vi.resetModules()
  const fresh = await vi.importActual<typeof hashSlot>('../../../src/functions/hash')
  expect(() => fresh.slotOfKey(['42'])).toThrow('loadHash()')
})

test('the reference hash gives the published values', () => {
  expect(['', 'a', 'abc'].map(referenceXxh32)).toEqual([0x02cc5d05, 0x550d7456, 0x32d153ff])
})

test.each(vectors.keys)('$canonical hashes to slot $slot', ({ canonical, xxh32, slot }) => {
  expect(referenceXxh32(canonical)).toBe(xxh32)
  expect(slotOfKey([canonical])).toBe(slot)
})

test.each(vectors.tuples)('the tuple $keys hashes to slot $slot', ({ keys, xxh32, slot }) => {
  expect(referenceXxh32(canonicalTuple(keys))).toBe(xxh32)
  expect(slotOfKey(keys)).toBe(slot)
})

test('a long key hashes like the reference', () => {
  const key = 'Zürich 北京 🏮 '.repeat(5000)
  expect(slotOfKey([key])).toBe(referenceXxh32(key) % SLOTS)
})

test('consecutive keys fill all slots evenly', () => {
  const counts = new Uint32Array(SLOTS)
  for (let key = 0; key < SLOTS * 16; key++) {
    const slot = slotOfKey([String(key)])
    counts[slot] = (counts[slot] ?? 0) + 1
  }
  expect(Math.max(...counts)).toBeLessThan(45)
  expect(counts.filter((count) => count === 0).length).toBeLessThan(10)
})
