import type { DataSource } from 'typeorm'
import type { Bench } from './support/bench'
import { openBoth } from './support/data-sources'
import { atOnce, time } from './support/interleave'
import { itemOf, Line } from './support/item'

const sizes = {
  full: { entities: 1000, operations: 8, rounds: 11, warmups: 2 },
  quick: { entities: 1000, operations: 3, rounds: 5, warmups: 1 },
  tiny: { entities: 40, operations: 1, rounds: 1, warmups: 0 },
}

const lineOf = (number: number): Line =>
  Object.assign(new Line(), { id: String(number), itemId: String(number * 7919), text: 'a line', amount: number })

/** `save` of an array of new entities, in one transaction, 16 shards on two nodes. */
export const save: Bench = {
  name: 'save',
  async run({ scale, databases }) {
    const { entities, operations, ...rounds } = sizes[scale]
    const both = await openBoth(databases, 2)
    const write = (dataSource: DataSource, make: (number: number) => object) => (round: number) =>
      atOnce(operations, 1, (index) => {
        const first = 1 + (round * operations + index) * entities
        return dataSource.manager.save(Array.from({ length: entities }, (_, offset) => make(first + offset)))
      })
    const target = { atMost: 1 }
    const measures = [
      await time(
        { name: `save of ${entities} entities over 16 shards`, operations, target },
        [write(both.ours, itemOf), write(both.plain, itemOf)],
        rounds,
      ),
      await time(
        { name: `save of ${entities} entities, primary key without shard key`, operations },
        [write(both.ours, lineOf), write(both.plain, lineOf)],
        rounds,
      ),
    ]
    await both.close()
    return measures
  },
}
