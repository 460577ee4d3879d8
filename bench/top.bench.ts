import type { FindManyOptions, Repository } from 'typeorm'
import type { Bench } from './support/bench'
import { loadItems, openBoth } from './support/data-sources'
import { atOnce, faster, time } from './support/interleave'
import { Item } from './support/item'

const sizes = {
  full: { rows: 200_000, operations: 1_000, rounds: 11, warmups: 4 },
  quick: { rows: 20_000, operations: 100, rounds: 5, warmups: 1 },
  tiny: { rows: 200, operations: 3, rounds: 1, warmups: 0 },
}

const options: FindManyOptions<Item> = { order: { createdAt: 'DESC' }, take: 20 }

/** The first 20 of all rows by an indexed column: 16 shards on two nodes. */
export const top: Bench = {
  name: 'top',
  async run({ scale, databases }) {
    const { rows, operations, ...rounds } = sizes[scale]
    const both = await openBoth(databases, 2)
    await loadItems(both, databases, rows)
    const repositories = both.ours.shards(Item).map((shard) => both.ours.shard(shard.name).getRepository(Item))
    const find = (repository: Repository<Item>) => () => repository.find(options)
    const aQueryAShard = async () => {
      const pages = await Promise.all(repositories.map((repository) => repository.find(options)))
      return pages
        .flat()
        .sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime())
        .slice(0, 20)
    }
    const ours = find(both.ours.getRepository(Item))
    const plain = find(both.plain.getRepository(Item))
    const ids = (items: readonly Item[]) => items.map(({ createdAt }) => createdAt.getTime()).join()
    if (ids(await ours()) !== ids(await plain())) throw new Error('The sides do not agree.')
    const each = (work: () => Promise<Item[]>) => () =>
      atOnce(operations, 1, async () => {
        if ((await work()).length !== 20) throw new Error('The page is not full.')
      })
    const measures = [
      await time(
        { name: 'top 20 of 16 shards on 2 nodes', operations, target: { atMost: 1.5 } },
        [each(ours), each(plain)],
        rounds,
      ),
      await faster(
        { name: 'top 20, against a query a shard', operations, target: { atLeast: 3 } },
        [each(ours), each(aQueryAShard)],
        rounds,
      ),
    ]
    await both.close()
    return measures
  },
}
