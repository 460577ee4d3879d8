import { Between, type DataSource } from 'typeorm'
import type { Bench } from './support/bench'
import { loadItems, openBoth } from './support/data-sources'
import { atOnce, type Side, time } from './support/interleave'
import { Item } from './support/item'

const sizes = {
  full: { operations: 300, rounds: 11, warmups: 5 },
  quick: { operations: 100, rounds: 7, warmups: 4 },
  tiny: { operations: 3, rounds: 1, warmups: 0 },
}

const rowsAtOnce = 20

/** The times of `loadItems` lie between these, evenly enough. */
const firstTime = Date.UTC(2020, 8, 13, 12, 26, 40)
const allMinutes = 1_000_003

/** An update, and a delete, of some 20 rows by an indexed column that is not the key: 16 shards on two nodes. */
export const writeByCondition: Bench = {
  name: 'write-by-condition',
  async run({ scale, databases }) {
    const { operations, ...rounds } = sizes[scale]
    const both = await openBoth(databases, 2)
    const windows = operations * (rounds.rounds + rounds.warmups)
    await loadItems(both, databases, windows * rowsAtOnce)
    const minutes = allMinutes / windows
    /** The part of the rows that belongs to one operation of one round. */
    const windowOf = (round: number, index: number) => {
      const from = firstTime + (round * operations + index) * minutes * 60_000
      return { createdAt: Between(new Date(from), new Date(from + minutes * 60_000 - 1)) }
    }
    const affected = new Map<DataSource, number>()
    const each =
      (dataSource: DataSource, write: (where: ReturnType<typeof windowOf>) => Promise<{ affected?: number | null }>) =>
      (round: number) =>
        atOnce(operations, 1, async (index) => {
          const result = await write(windowOf(round, index))
          affected.set(dataSource, (affected.get(dataSource) ?? 0) + (result.affected ?? 0))
        })
    const update = (dataSource: DataSource): Side =>
      each(dataSource, (where) => dataSource.getRepository(Item).update(where, { amount: 1 }))
    const remove = (dataSource: DataSource): Side =>
      each(dataSource, (where) => dataSource.getRepository(Item).delete(where))
    const measures = [
      await time(
        { name: 'update of 20 rows over 16 shards on 2 nodes, two-phase', operations, target: { atMost: 3.5 } },
        [update(both.ours), update(both.plain)],
        rounds,
      ),
      await time(
        { name: 'delete of 20 rows over 16 shards on 2 nodes, two-phase', operations, target: { atMost: 3.5 } },
        [remove(both.ours), remove(both.plain)],
        rounds,
      ),
    ]
    if (affected.get(both.ours) !== affected.get(both.plain)) throw new Error('The sides do not agree.')
    await both.close()
    return measures
  },
}
