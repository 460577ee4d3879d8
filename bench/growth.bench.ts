import type { Repository } from 'typeorm'
import { hash, ShardedDataSource } from '../src/index'
import { freshDatabases } from '../test/support/fresh-databases'
import type { Bench, BenchContext, Measure, Target } from './support/bench'
import { fillShards } from './support/data-sources'
import { atOnce, interleaveAll, type Rounds, type Side } from './support/interleave'
import { Item } from './support/item'
import { spreadOf } from './support/statistics'

const sizes = {
  full: {
    shards: [1, 4, 64, 256, 1024],
    nodes: [1, 4, 8],
    rows: [1_000_000],
    base: 100_000,
    operations: 50,
    rounds: 9,
    warmups: 3,
  },
  quick: { shards: [1, 64, 256], nodes: [1, 4], rows: [200_000], base: 20_000, operations: 20, rounds: 5, warmups: 2 },
  tiny: { shards: [1, 4], nodes: [1], rows: [400], base: 200, operations: 1, rounds: 1, warmups: 0 },
}

/** What a set of items is spread over. */
interface Spreading {
  readonly shards: number
  readonly nodes: number
  readonly rows: number
}

interface Opened extends Spreading {
  readonly items: Repository<Item>
  /** Bytes that the backend of the first node has taken for its catalog, plans and statements. */
  backendMemory(): Promise<number>
  close(): Promise<void>
}

/** One connection a node, so that the memory that is asked for is that of the backend that answered. */
const open = async (admins: readonly string[], { shards, nodes, rows }: Spreading): Promise<Opened> => {
  const databases = await freshDatabases(admins, nodes)
  const dataSource = await new ShardedDataSource({
    type: 'postgres',
    entities: [Item],
    poolSize: 1,
    synchronize: true,
    groups: { item: { shards: hash({ shards }) } },
    nodes: Object.fromEntries(databases.nodes.map((url, index) => [`node_${index}`, { url }])),
  }).initialize()
  await fillShards(dataSource, databases.nodes, rows)
  return {
    shards,
    nodes,
    rows,
    items: dataSource.getRepository(Item),
    backendMemory: async () => {
      const [row] = await dataSource.query('SELECT sum(total_bytes)::float8 AS bytes FROM pg_backend_memory_contexts')
      return row.bytes
    },
    close: async () => {
      await dataSource.destroy()
      await databases.drop()
    },
  }
}

/** The most that a top 20 may take of its time over 16 shards. */
const targets: Readonly<Record<number, Target>> = { 256: { atMost: 2 }, 1024: { atMost: 4 } }

/** How the cost of reads grows with shards, nodes and rows: each ÷ that over 16 shards on two nodes. */
export const growth: Bench = {
  name: 'growth',
  async run({ scale, databases }: BenchContext) {
    const { shards, nodes, rows, base, operations, ...rounds } = sizes[scale]
    const usual: Spreading = { shards: 16, nodes: 2, rows: base }
    const others: readonly { readonly what: string; readonly spreading: Spreading; readonly target?: Target }[] = [
      ...shards.map((count) => {
        const target = targets[count]
        return { what: `${count} shards`, spreading: { ...usual, shards: count }, ...(target && { target }) }
      }),
      ...nodes.map((count) => ({ what: `${count} nodes`, spreading: { ...usual, nodes: count } })),
      ...rows.map((count) => ({ what: `${count} rows`, spreading: { ...usual, rows: count } })),
    ]
    const measures: Measure[] = []
    const first = await open(databases.nodes, usual)
    for (const { what, spreading, target } of others) {
      const other = await open(databases.nodes, spreading)
      const name = `at ${what} ÷ 16 shards, 2 nodes, ${base} rows`
      const top = ({ items }: Opened) => items.find({ order: { createdAt: 'DESC' }, take: 20 })
      measures.push({
        ...(await compare({ name: `top 20 ${name}`, operations }, [other, first].map(sideOf(top, operations)), rounds)),
        ...(target && { target }),
      })
      const byKey = ({ items }: Opened, index: number) =>
        items.findOneByOrFail({ id: String(1 + ((index * 7919) % base)) })
      measures.push(
        await compare(
          { name: `point read ${name}`, operations },
          [other, first].map(sideOf(byKey, operations)),
          rounds,
        ),
      )
      if (spreading.shards >= 256) measures.push(await memoryOf(other))
      await other.close()
    }
    await first.close()
    return measures
  },
}

const sideOf =
  (work: (opened: Opened, index: number) => Promise<unknown>, operations: number) =>
  (opened: Opened): Side =>
  () =>
    atOnce(operations, 1, (index) => work(opened, index))

const compare = async (
  { name, operations }: { readonly name: string; readonly operations: number },
  sides: readonly Side[],
  rounds: Rounds,
): Promise<Measure> => {
  const costs = await interleaveAll(sides, rounds)
  const elapsed = (side: number): readonly number[] => costs.map((round) => round[side]?.elapsed ?? Number.NaN)
  const [ours, base] = [elapsed(0), elapsed(1)]
  return {
    name,
    unit: '× time',
    ...spreadOf(ours.map((ms, round) => ms / (base[round] ?? Number.NaN))),
    detail: `${(spreadOf(ours).median / operations).toFixed(2)} ms ÷ ${(spreadOf(base).median / operations).toFixed(2)} ms`,
  }
}

const memoryOf = async ({ shards, backendMemory }: Opened): Promise<Measure> => ({
  name: `memory of a backend that reads ${shards} shards over 2 nodes`,
  unit: 'MiB',
  ...spreadOf([(await backendMemory()) / 2 ** 20]),
  detail: '',
  ...(shards === 1024 && { target: { atMost: 4 } }),
})
