import type { DataSource } from 'typeorm'
import type { Bench } from './support/bench'
import { loadItems, openBoth } from './support/data-sources'
import { atOnce, throughput, time } from './support/interleave'
import { Item } from './support/item'

const items = 10_000

const sizes = {
  full: { operations: 400, rounds: 11, warmups: 6 },
  quick: { operations: 200, rounds: 7, warmups: 2 },
  tiny: { operations: 8, rounds: 1, warmups: 0 },
}

/** A transaction that reads and changes one row; and one that moves an amount between two, on two nodes in two phases. */
export const transaction: Bench = {
  name: 'transaction',
  async run({ scale, databases }) {
    const { operations, ...rounds } = sizes[scale]
    const both = await openBoth(databases, 2)
    await loadItems(both, databases, items)
    const byNode = new Map<string, string[]>()
    for (let id = 1; id <= items; id++) {
      const { node } = both.ours.locate(Item, id)
      byNode.set(node, [...(byNode.get(node) ?? []), String(id)])
    }
    const [left = [], right = []] = byNode.values()
    const at = (ids: readonly string[], round: number, index: number): string =>
      ids[(round * operations + index) % ids.length] ?? '1'

    const change = (dataSource: DataSource, concurrency: number) => (round: number) =>
      atOnce(operations, concurrency, (index) =>
        dataSource.transaction(async (manager) => {
          const item = await manager.findOneByOrFail(Item, { id: at(left, round, index) })
          await manager.update(Item, { id: item.id }, { amount: item.amount + 1 })
        }),
      )
    const move = (dataSource: DataSource, concurrency: number) => (round: number) =>
      atOnce(operations, concurrency, (index) =>
        dataSource.transaction(async (manager) => {
          await manager.decrement(Item, { id: at(left, round, index) }, 'amount', 1)
          await manager.increment(Item, { id: at(right, round, index) }, 'amount', 1)
        }),
      )
    const measures = []
    for (const concurrency of [1, 8]) {
      measures.push(
        await throughput(
          { name: `transaction on one shard, ${concurrency} at once`, operations, target: { atLeast: 0.97 } },
          [change(both.ours, concurrency), change(both.plain, concurrency)],
          rounds,
        ),
        await time(
          { name: `transaction on two nodes, two-phase, ${concurrency} at once`, operations, target: { atMost: 2.5 } },
          [move(both.ours, concurrency), move(both.plain, concurrency)],
          rounds,
        ),
      )
    }
    await both.close()
    return measures
  },
}
