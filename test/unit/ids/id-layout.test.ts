import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { composeId, decomposeId, idEpochSeconds, idLayouts, lastTick, tickOf, timeOf } from '../../../src/ids/id-layout'

const firstOwnTick = 366 * 24 * 60 * 60

describe.each(Object.values(idLayouts))('the layout of $kind', (layout) => {
  const parts = {
    tick: fc.integer({ min: firstOwnTick * layout.ticksPerSecond, max: lastTick(layout) }),
    worker: fc.integer({ min: 0, max: 2 ** layout.workerBits - 1 }),
    slot: fc.integer({ min: 0, max: 16_383 }),
  }

  it('gives back what went in, for all parts', () => {
    fc.assert(
      fc.property(fc.record(parts), ({ tick, worker, slot }) => {
        expect(decomposeId(layout, composeId(layout, tick, worker, slot))).toEqual({ tick, worker, slot })
      }),
      { numRuns: 5_000 },
    )
  })

  it('orders ids by tick, then by worker', () => {
    const head = fc.record(parts)
    fc.assert(
      fc.property(head, head, (a, b) => {
        const order = a.tick - b.tick || a.worker - b.worker
        if (order === 0) return
        const [idA, idB] = [a, b].map(({ tick, worker, slot }) => BigInt(composeId(layout, tick, worker, slot)))
        expect(Math.sign(order)).toBe((idA ?? 0n) < (idB ?? 0n) ? -1 : 1)
      }),
    )
  })

  it('stays in its bits up to the last tick, which is in 2092', () => {
    const greatest = BigInt(composeId(layout, lastTick(layout), 2 ** layout.workerBits - 1, 0))
    expect(greatest >> BigInt(layout.tickBits + layout.workerBits + 14)).toBe(0n)
    expect(new Date(timeOf(layout, lastTick(layout))).getUTCFullYear()).toBe(2092)
  })

  it('takes no id for its own that others count, nor what is out of its range', () => {
    const smallest = BigInt(composeId(layout, firstOwnTick * layout.ticksPerSecond, 0, 0)) & ~16383n
    for (const text of ['0', '1', String(smallest - 1n), '-5', '1.5', 'abc', '', '1e18', String(2n ** 64n)])
      expect(decomposeId(layout, text)).toBeUndefined()
    expect(decomposeId(layout, String(smallest))).toBeDefined()
  })

  it('has ticks of whole fractions of a second since 2024', () => {
    expect(tickOf(layout, idEpochSeconds * 1000)).toBe(0)
    expect(tickOf(layout, idEpochSeconds * 1000 + 1000)).toBe(layout.ticksPerSecond)
    expect(timeOf(layout, layout.ticksPerSecond)).toBe(Date.parse('2024-01-01T00:00:01Z'))
  })
})

it('never changes', () => {
  expect(composeId(idLayouts['64-bit'], 23_352_000_000, 17, 1_234)).toBe('391781548032283661')
  expect(composeId(idLayouts['53-bit'], 364_875_000, 17, 1_234)).toBe('382599168287644')
})
