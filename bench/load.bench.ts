import type { DataSource } from 'typeorm'
import type { ShardedDataSource } from '../src/index'
import type { Bench } from './support/bench'
import { openBoth } from './support/data-sources'
import { atOnce, faster } from './support/interleave'
import { Item, itemOf } from './support/item'

const sizes = {
  full: { rows: 1_000_000, batch: 1000, concurrency: 4, rounds: 3, warmups: 1 },
  quick: { rows: 100_000, batch: 1000, concurrency: 4, rounds: 3, warmups: 1 },
  tiny: { rows: 200, batch: 50, concurrency: 2, rounds: 1, warmups: 0 },
}

function* itemsFrom(first: number, count: number) {
  for (let number = first; number < first + count; number++) yield itemOf(number)
}

/** `load` of many rows in one transaction over 16 shards, and plain TypeORM's `insert` of the same, several batches at once. */
export const load: Bench = {
  name: 'load',
  async run({ scale, databases }) {
    const { rows, batch, concurrency, ...rounds } = sizes[scale]
    const both = await openBoth(databases, 2)
    const ours = (dataSource: ShardedDataSource) => async (round: number) => {
      await dataSource.getRepository(Item).clear()
      await dataSource.getRepository(Item).load(itemsFrom(1 + round * rows, rows))
    }
    const plain = (dataSource: DataSource) => async (round: number) => {
      await dataSource.getRepository(Item).clear()
      await atOnce(rows / batch, concurrency, (index) =>
        dataSource.getRepository(Item).insert([...itemsFrom(1 + round * rows + index * batch, batch)]),
      )
    }
    const measures = [
      await faster(
        { name: `load of ${rows} rows, against insert ${batch} at a time`, operations: rows, target: { atLeast: 5 } },
        [ours(both.ours), plain(both.plain)],
        rounds,
      ),
    ]
    await both.close()
    return measures
  },
}
