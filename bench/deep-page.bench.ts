import { Client } from 'pg'
import type { FindManyOptions, Repository } from 'typeorm'
import type { Bench } from './support/bench'
import { loadItems, openBoth } from './support/data-sources'
import { atOnce, time } from './support/interleave'
import { Item } from './support/item'

const sizes = {
  full: { rows: 1_000_000, offset: 100_000, operations: 3, rounds: 9, warmups: 2 },
  quick: { rows: 200_000, offset: 50_000, operations: 2, rounds: 5, warmups: 1 },
  tiny: { rows: 20_000, offset: 10_000, operations: 1, rounds: 1, warmups: 0 },
}

const connect = async (connectionString: string): Promise<Client> => {
  const client = new Client({ connectionString })
  await client.connect()
  return client
}

type Order = NonNullable<FindManyOptions<Item>['order']>

/** A page far from the start: 16 shards on two nodes. */
export const deepPage: Bench = {
  name: 'deep-page',
  async run({ scale, databases }) {
    const { rows, offset, operations, ...rounds } = sizes[scale]
    const both = await openBoth(databases, 2)
    await loadItems(both, databases, rows)
    const ours = both.ours.getRepository(Item)
    const plain = both.plain.getRepository(Item)
    const page = (order: Order): FindManyOptions<Item> => ({ order, skip: offset, take: 20 })
    const work = (repository: Repository<Item>, order: Order) => () =>
      atOnce(operations, 1, async () => {
        if ((await repository.find(page(order))).length !== 20) throw new Error('The page is not full.')
      })
    const compare = async (name: string, order: Order) => {
      const ids = (items: readonly Item[]): string => items.map(({ id }) => id).join()
      if (ids(await ours.find(page(order))) !== ids(await plain.find(page(order))))
        throw new Error('The sides do not agree.')
      return time({ name, operations, target: { atMost: 3 } }, [work(ours, order), work(plain, order)], rounds)
    }
    const end = offset + 20
    const clients = await Promise.all(databases.nodes.slice(0, 2).map(connect))
    /** As it was without the ladder: every node sends its rows up to the end of the page. */
    const merge = async (): Promise<void> => {
      const answers = await Promise.all(
        clients.map(async (client, index) => {
          const own = both.ours.shards(Item).filter(({ node }) => node === `node_${index}`)
          const arms = own.map(({ name }) => `(SELECT * FROM "${name}"."item" ORDER BY "createdAt", "id" LIMIT ${end})`)
          return client.query<Item>(`${arms.join(' UNION ALL ')} ORDER BY "createdAt", "id" LIMIT ${end}`)
        }),
      )
      const merged = answers.flatMap(({ rows }) => rows).sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime())
      if (merged.slice(offset, end).length !== 20) throw new Error('The page is not full.')
    }
    const name = `page at offset ${offset} of ${rows} rows`
    const measures = [
      await compare(`${name}, by an index`, { createdAt: 'DESC', id: 'ASC' }),
      await compare(`${name}, without one`, { amount: 'DESC', id: 'ASC' }),
      await time(
        { name: `${name}, against merging all rows before it`, operations },
        [work(ours, { createdAt: 'ASC', id: 'ASC' }), () => atOnce(operations, 1, merge)],
        { rounds: Math.min(3, rounds.rounds), warmups: 0 },
      ),
    ]
    await Promise.all(clients.map((client) => client.end()))
    await both.close()
    return measures
  },
}
