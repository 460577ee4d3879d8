import { describe, expect, inject, it } from 'vitest'
import { benches } from '../../../bench/benches'
import { runBenches } from '../../../bench/support/run-benches'
import { shareOf } from '../../support/share-of'

/** Sizes are tiny and times mean nothing here: it is about whether the benches run, and agree with each other. */
describe('benches', () => {
  it.each(shareOf(benches))('$name runs and gives figures', { timeout: 60_000 }, async (bench) => {
    const results = await runBenches([bench], inject('adminUrls'), 'tiny')
    const measures = results[bench.name] ?? []
    expect(measures.length).toBeGreaterThan(0)
    for (const { name, median, min, max, rounds, refused } of measures) {
      expect(name).not.toBe('')
      expect(Number.isFinite(median)).toBe(true)
      expect(min).toBeLessThanOrEqual(median)
      expect(max).toBeGreaterThanOrEqual(median)
      expect(rounds > 0 || refused !== undefined).toBe(true)
    }
    expect(new Set(measures.map(({ name, peer }) => `${name} ${peer}`)).size).toBe(measures.length)
  })
})
