import type { Repository } from 'typeorm'
import type { Bench } from './support/bench'
import { loadItems, openBoth } from './support/data-sources'
import { atOnce, time } from './support/interleave'
import { Item } from './support/item'

const sizes = {
  full: { rows: 1_000_000, operations: 8, rounds: 11, warmups: 2 },
  quick: { rows: 100_000, operations: 4, rounds: 7, warmups: 2 },
  tiny: { rows: 200, operations: 1, rounds: 1, warmups: 0 },
}

/** `count` and `sum` over all rows, 16 shards on two nodes. */
export const aggregate: Bench = {
  name: 'aggregate',
  async run({ scale, databases }) {
    const { rows, operations, ...rounds } = sizes[scale]
    const both = await openBoth(databases, 2)
    await loadItems(both, databases, rows)
    const ours = both.ours.getRepository(Item)
    const plain = both.plain.getRepository(Item)
    if ((await ours.sum('amount')) !== (await plain.sum('amount'))) throw new Error('The sides do not agree.')
    const count = (repository: Repository<Item>) => () =>
      atOnce(operations, 1, async () => {
        if ((await repository.count()) !== rows) throw new Error('The count is wrong.')
      })
    const sum = (repository: Repository<Item>) => () =>
      atOnce(operations, 1, async () => {
        if (!(await repository.sum('amount'))) throw new Error('The sum is wrong.')
      })
    const target = { atMost: 1.1 }
    const measures = [
      await time({ name: `count of ${rows} rows`, operations, target }, [count(ours), count(plain)], rounds),
      await time({ name: `sum over ${rows} rows`, operations, target }, [sum(ours), sum(plain)], rounds),
    ]
    await both.close()
    return measures
  },
}
