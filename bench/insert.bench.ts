import type { Repository } from 'typeorm'
import type { Bench } from './support/bench'
import { openBoth } from './support/data-sources'
import { atOnce, time } from './support/interleave'
import { Item, itemOf } from './support/item'

const sizes = {
  full: { rows: 100_000, batch: 1000, concurrency: 4, rounds: 5, warmups: 1 },
  quick: { rows: 20_000, batch: 1000, concurrency: 4, rounds: 3, warmups: 1 },
  tiny: { rows: 200, batch: 50, concurrency: 2, rounds: 1, warmups: 0 },
}

/** `insert` of many rows, a batch at a time, several batches at once. */
export const insert: Bench = {
  name: 'insert',
  async run({ scale, databases }) {
    const { rows, batch, concurrency, ...rounds } = sizes[scale]
    const both = await openBoth(databases, 2)
    const write = (repository: Repository<Item>) => async (round: number) => {
      await repository.clear()
      await atOnce(rows / batch, concurrency, (index) => {
        const first = 1 + round * rows + index * batch
        return repository.insert(Array.from({ length: batch }, (_, offset) => itemOf(first + offset)))
      })
    }
    const measures = [
      await time(
        { name: `insert of ${rows} rows, ${batch} at a time`, operations: 1, target: { atMost: 1 } },
        [write(both.ours.getRepository(Item)), write(both.plain.getRepository(Item))],
        rounds,
      ),
    ]
    await both.close()
    return measures
  },
}
