import { IdGenerator } from '../src/ids/id-generator'
import { idLayouts, lastTick } from '../src/ids/id-layout'
import { uuidIds } from '../src/ids/uuid-ids'
import type { Bench, Measure } from './support/bench'
import { microseconds } from './support/interleave'

const sizes = {
  full: { operations: 2_000_000, rounds: 11, warmups: 3 },
  quick: { operations: 500_000, rounds: 7, warmups: 2 },
  tiny: { operations: 100, rounds: 1, warmups: 0 },
}

const slots = 16_384

const withRate = (measure: Measure): Measure => ({
  ...measure,
  detail: `${(1 / measure.median).toFixed(1)} million ids a second`,
})

/** An id with its decimal text, from the slot of a key on; 0.5 µs are two millions a second. */
export const shardedIds: Bench = {
  name: 'sharded-ids',
  async run({ scale }) {
    const { operations, ...rounds } = sizes[scale]
    const measures = Object.values(idLayouts).map((layout): Measure => {
      const ids = new IdGenerator(layout)
      ids.use({ worker: 17, after: 0, until: lastTick(layout) })
      const make = (index: number): string | undefined => ids.take(index % slots, Date.now())
      const measure = microseconds({ name: `id of ${layout.kind}`, operations, target: { atMost: 0.5 } }, make, rounds)
      return withRate(measure)
    })
    const uuids = uuidIds()
    const makeUuid = (index: number): string | undefined => uuids.take(index % slots)
    return [...measures, withRate(microseconds({ name: 'id of uuid', operations }, makeUuid, rounds))]
  },
}
