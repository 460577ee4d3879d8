import type { Repository } from 'typeorm'
import type { Bench, Measure } from './support/bench'
import { loadItems, openBoth, openSharded } from './support/data-sources'
import { atOnce, throughput } from './support/interleave'
import { Item } from './support/item'

const sizes = {
  full: { rows: 50_000, operations: 10_000, rounds: 11, warmups: 2 },
  quick: { rows: 10_000, operations: 4_000, rounds: 5, warmups: 1 },
  tiny: { rows: 100, operations: 50, rounds: 1, warmups: 0 },
}

/** `findOneBy` by the shard key: 16 shards on one node against one table on the same server, with the same rows. */
export const pointRead: Bench = {
  name: 'point-read',
  async run({ scale, databases }) {
    const { rows, operations, ...rounds } = sizes[scale]
    const both = await openBoth(databases, 1)
    await loadItems(both, databases, rows)
    const unprepared = await openSharded(databases.nodes.slice(0, 1), { preparedStatements: false, synchronize: false })
    const plain = both.plain.getRepository(Item)
    const read = (repository: Repository<Item>, concurrency: number) => () =>
      atOnce(operations, concurrency, async (index) => {
        const id = String(1 + ((index * 7919) % rows))
        const item = await repository.findOneBy({ id })
        if (item?.id !== id) throw new Error(`Item ${id} was not found.`)
      })
    const measures: Measure[] = []
    for (const [label, ours, target] of [
      ['', both.ours.getRepository(Item), { atLeast: 1 }],
      [', without prepared statements', unprepared.getRepository(Item), undefined],
    ] as const) {
      for (const concurrency of [1, 16]) {
        const name = `find by shard key, ${concurrency} at once${label}`
        measures.push(
          await throughput(
            { name, operations, ...(target && { target }) },
            [read(ours, concurrency), read(plain, concurrency)],
            rounds,
          ),
        )
      }
    }
    await unprepared.destroy()
    await both.close()
    return measures
  },
}
