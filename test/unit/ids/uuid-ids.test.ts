import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decomposeUuid, uuidIds } from '../../../src/ids/uuid-ids'

describe('uuidIds', () => {
  it('makes UUIDs of version 7 that give back time and slot', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), fc.integer({ min: 0, max: 16_383 }), (time, slot) => {
        const id = uuidIds(() => time).take(slot) ?? ''
        expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
        expect(decomposeUuid(id)).toEqual({ time, slot })
      }),
      { numRuns: 2_000 },
    )
  })

  it('makes no two alike, in the order of a clock that does not go back', () => {
    const times = [1_790_000_000_000, 1_790_000_000_005, 1_780_000_000_000]
    let index = 0
    const ids = uuidIds(() => times[Math.min(index, 2)] ?? 0)
    const made = Array.from({ length: 10_000 }, () => {
      const id = ids.take(7) ?? ''
      index += 1
      return id
    })
    expect(new Set(made).size).toBe(10_000)
    expect(new Set(made.map((id) => decomposeUuid(id)?.time))).toEqual(new Set(times.slice(0, 2)))
    expect(decomposeUuid(made.at(-1) ?? '')?.time).toBe(times[1])
  })

  it('spreads the last bits of one slot', () => {
    const ids = uuidIds(() => 1_790_000_000_000)
    const counts = new Map<string, number>()
    for (let index = 0; index < 64_000; index++) {
      const last = (ids.take(99) ?? '').slice(-1)
      counts.set(last, (counts.get(last) ?? 0) + 1)
    }
    expect(counts.size).toBe(16)
    for (const count of counts.values()) expect(Math.abs(count - 4_000)).toBeLessThan(400)
  })

  it('knows no slot of a UUID of another version or variant', () => {
    expect(decomposeUuid('7d444840-9dc0-41d1-b245-5ffdce74fad2')).toBeUndefined()
    expect(decomposeUuid('01a2093e-0b88-748c-43b3-2513110207af')).toBeUndefined()
    expect(decomposeUuid('01a2093e-0b88-748c-a3b3-2513110207af')?.slot).toBe(1_234)
  })
})
