import { describe, expect, it } from 'vitest'
import { IdGenerator } from '../../../src/ids/id-generator'
import { decomposeId, idLayouts, tickOf } from '../../../src/ids/id-layout'

const layout = idLayouts['64-bit']
const noon = Date.parse('2026-06-01T12:00:00Z')
const tick = tickOf(layout, noon)

const generator = (until: number, after = 0): IdGenerator => {
  const made = new IdGenerator(layout)
  made.use({ worker: 3, after, until })
  return made
}
const ticks = (ids: readonly (string | undefined)[]): readonly (number | undefined)[] =>
  ids.map((id) => (id === undefined ? undefined : (decomposeId(layout, id)?.tick ?? Number.NaN) - tick))

describe('IdGenerator', () => {
  it('makes nothing before it is granted any tick', () => {
    expect(new IdGenerator(layout).take(0, noon)).toBeUndefined()
  })

  it('gives each id of a slot a tick of its own, and slots the same', () => {
    const made = generator(tick + 10)
    expect(ticks([made.take(5, noon), made.take(5, noon), made.take(5, noon), made.take(6, noon)])).toEqual([
      0, 1, 2, 0,
    ])
    expect(ticks([made.take(5, noon + 1000), made.take(5, noon + 20)])).toEqual([undefined, 5])
  })

  it('does not follow a clock that steps back, and never repeats', () => {
    const made = generator(tick + 10_000)
    const ids = [noon, noon + 1000, noon - 3_600_000, noon, noon + 500].map((now, index) => made.take(index % 2, now))
    expect(ticks(ids)).toEqual([0, 256, 256, 257, 257])
    expect(new Set(ids).size).toBe(5)
  })

  it('believes no clock whose time was not granted', () => {
    const made = generator(tick + 10)
    expect(made.take(1, noon + 86_400_000)).toBeUndefined()
    expect(ticks([made.take(1, noon)])).toEqual([0])
  })

  it('starts after what the holder before it was granted, whatever its clock says', () => {
    const made = generator(tick + 1002, tick + 1000)
    expect(ticks([made.take(1, noon), made.take(1, noon), made.take(1, noon)])).toEqual([1001, 1002, undefined])
    expect(made.tickFor(1, noon)).toBe(tick + 1003)
  })

  it('has ids of a slot in strictly rising order through bursts, steps of the clock and changes of the worker', () => {
    const made = generator(2 ** 39)
    let last = 0n
    for (let index = 0; index < 20_000; index++) {
      if (index % 1_000 === 0) made.use({ worker: index / 1_000, after: tick, until: 2 ** 39 })
      const id = BigInt(made.take(77, noon + Math.round(Math.sin(index) * 5_000)) ?? 0)
      expect(id > last).toBe(true)
      last = id
    }
  })
})

describe('the low bits', () => {
  /** Pearson's statistic of counts that should be alike, in standard deviations from what chance gives. */
  const deviation = (counts: Float64Array, total: number): number => {
    const expected = total / counts.length
    const statistic = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
    const freedom = counts.length - 1
    return (statistic - freedom) / Math.sqrt(2 * freedom)
  }

  it.each([
    ['64-bit', 1_000],
    ['64-bit', 3.90625],
    ['53-bit', 1_000],
    ['53-bit', 60_000],
  ] as const)('of %s ids of one key, one in %d ms, are not skewed', (kind, interval) => {
    const made = new IdGenerator(idLayouts[kind])
    made.use({ worker: 0, after: 0, until: 2 ** 39 })
    const total = 2 ** 18
    const ids = Array.from({ length: total }, (_, index) => BigInt(made.take(4_242, noon + index * interval) ?? 0))
    for (let bits = 1; bits <= 14; bits++) {
      const counts = new Float64Array(2 ** bits)
      for (const id of ids) {
        const low = Number(id & BigInt(2 ** bits - 1))
        counts[low] = (counts[low] ?? 0) + 1
      }
      // Of 56 sums, chance lets one be beyond 4.5 in some thousand runs; the ids are always the same.
      expect(Math.abs(deviation(counts, total)), `id mod ${2 ** bits}`).toBeLessThan(4.5)
    }
  })
})
