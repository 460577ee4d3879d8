import { isDeepStrictEqual } from 'node:util'
import { DataSource } from 'typeorm'
import { ShardedDataSource, ShardedError } from '../src/index'
import { freshDatabases } from '../test/support/fresh-databases'
import type { Bench, BenchContext, Measure } from './support/bench'
import { time } from './support/interleave'
import { type Design, designs, plainEntities, shardedEntities } from './tpch/designs'
import { fillPlain, fillShards } from './tpch/fill'
import { tpchQueries } from './tpch/queries'

const sizes = {
  full: { factor: 0.1, from: 0, rounds: 5, warmups: 1 },
  quick: { factor: 0.01, from: 0, rounds: 5, warmups: 1 },
  // The last design alone, which has all that the others have.
  tiny: { factor: 0.0002, from: -1, rounds: 1, warmups: 0 },
}

/** A query that takes this long, in milliseconds, is timed once. */
const slowMs = 5_000

/** What each query may take of the time on one database, and the geometric mean of a design. */
const queryTarget = { atMost: 20 }
const meanTarget = { atMost: 3 }

interface Sides {
  readonly ours: DataSource
  readonly plain: DataSource
}

/** The code with which a query is refused; undefined where its answer is exact. */
async function refusalOf({ ours, plain }: Sides, text: string): Promise<string | undefined> {
  const expected: unknown = await plain.query(text)
  try {
    if (isDeepStrictEqual(await ours.query(text), expected)) return undefined
    return 'WRONG'
  } catch (error) {
    if (error instanceof ShardedError) return error.code
    throw error
  }
}

async function measureQuery(
  sides: Sides,
  name: string,
  text: string,
  rounds: { rounds: number; warmups: number },
): Promise<Measure> {
  const started = performance.now()
  const refused = await refusalOf(sides, text)
  const isSlow = performance.now() - started > slowMs
  if (refused !== undefined)
    return { name, unit: '× time', median: 0, min: 0, max: 0, rounds: 0, detail: '', target: queryTarget, refused }
  const side = (dataSource: DataSource) => async () => {
    await dataSource.query(text)
  }
  const both = [side(sides.ours), side(sides.plain)] as const
  return time({ name, operations: 1, target: queryTarget }, both, isSlow ? { rounds: 1, warmups: 0 } : rounds)
}

/** How a design does in all: the geometric mean of what it answers, and the worst. */
function summaryOf(design: Design, measures: readonly Measure[]): Measure {
  const answered = measures.filter(({ refused }) => refused === undefined)
  const mean = Math.exp(answered.reduce((sum, { median }) => sum + Math.log(median), 0) / answered.length)
  const worst = answered.reduce((one, other) => (other.median > one.median ? other : one))
  const detail = `${answered.length} of ${measures.length} answered; worst ${worst.name.slice(0, 3)}: ${worst.median.toFixed(1)}`
  const medians = answered.map(({ median }) => median)
  return {
    name: `TPC-H, geometric mean, ${design.name}`,
    unit: '× time',
    median: mean,
    min: Math.min(...medians),
    max: Math.max(...medians),
    rounds: answered.length,
    detail,
    target: meanTarget,
  }
}

async function measureDesign(
  { scale, databases }: BenchContext,
  plain: DataSource,
  design: Design,
): Promise<readonly Measure[]> {
  const { factor: _, from: __, ...rounds } = sizes[scale]
  const { nodes, drop } = await freshDatabases(databases.nodes, databases.nodes.length)
  const ours = await new ShardedDataSource({
    type: 'postgres',
    entities: [...shardedEntities(design)],
    synchronize: true,
    nodes: Object.fromEntries(nodes.map((url, index) => [`node_${index}`, { url }])),
  }).initialize()
  try {
    await fillShards(ours, { plain: databases.oracle, nodes }, design)
    const measures: Measure[] = []
    for (const [name, text] of tpchQueries)
      measures.push(await measureQuery({ ours, plain }, `${name}, ${design.name}`, text, rounds))
    const wrong = measures.filter(({ refused }) => refused === 'WRONG').map(({ name }) => name)
    if (wrong.length > 0) throw new Error(`The sides do not agree: ${wrong.join('; ')}`)
    return [summaryOf(design, measures), ...measures]
  } finally {
    await ours.destroy()
    await drop()
  }
}

/**
 * The 22 queries of TPC-H at scale factor 0.1, or `TPCH_SCALE`, over eight shards of each group on two nodes, in several designs.
 */
export const tpch: Bench = {
  name: 'tpch',
  async run(context) {
    const factor = Number(process.env['TPCH_SCALE'] ?? sizes[context.scale].factor)
    const url = context.databases.oracle
    const plain = await new DataSource({
      type: 'postgres',
      url,
      entities: [...plainEntities()],
      synchronize: true,
    }).initialize()
    try {
      await fillPlain(url, factor)
      const measures: Measure[] = []
      for (const design of designs.slice(sizes[context.scale].from))
        measures.push(...(await measureDesign(context, plain, design)))
      return measures
    } finally {
      await plain.destroy()
    }
  },
}
