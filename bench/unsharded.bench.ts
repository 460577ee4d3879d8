import type { Repository } from 'typeorm'
import type { Bench, Measure } from './support/bench'
import { openBoth } from './support/data-sources'
import { atOnce, throughput } from './support/interleave'
import { itemOf, Setting } from './support/item'

const sizes = {
  full: { rows: 1000, operations: 10_000, rounds: 11, warmups: 2 },
  quick: { rows: 1000, operations: 4_000, rounds: 5, warmups: 1 },
  tiny: { rows: 10, operations: 20, rounds: 1, warmups: 0 },
}

/** `findOneBy` of an entity without shards, beside sharded ones: routing must not tax it. */
export const unsharded: Bench = {
  name: 'unsharded',
  async run({ scale, databases }) {
    const { rows, operations, ...rounds } = sizes[scale]
    const both = await openBoth(databases, 1)
    const ours = both.ours.getRepository(Setting)
    const plain: Repository<Setting> = both.plain.getRepository(Setting)
    for (const repository of [ours, plain])
      await repository.insert(Array.from({ length: rows }, (_, index) => ({ ...itemOf(index + 1) })))
    const read = (repository: Repository<Setting>, concurrency: number) => () =>
      atOnce(operations, concurrency, async (index) => {
        const id = String(1 + ((index * 7919) % rows))
        if ((await repository.findOneBy({ id }))?.id !== id) throw new Error(`Setting ${id} was not found.`)
      })
    const measures: Measure[] = []
    for (const concurrency of [1, 16]) {
      measures.push(
        await throughput(
          { name: `find of an unsharded entity, ${concurrency} at once`, operations, target: { atLeast: 0.99 } },
          [read(ours, concurrency), read(plain, concurrency)],
          rounds,
        ),
      )
    }
    await both.close()
    return measures
  },
}
