import type { ShardedDataSource } from '../../src'
import { City } from './city'
import { bar, count, field, heading, line, milliseconds } from './screen'

/** Shards of all entities on each node. */
const showBalance = (dataSource: ShardedDataSource, title: string): void => {
  line(`  ${title}`)
  const shards = dataSource.shards()
  const nodes = dataSource.shardMap.nodes.map((name) => ({
    name,
    shards: shards.filter(({ node }) => node === name).length,
  }))
  const most = Math.max(...nodes.map((node) => node.shards))
  for (const node of nodes) bar(`node ${node.name}`, node.shards, most)
}

/** Notes are written to cities, one after the other, until it is told to end. */
const work = (dataSource: ShardedDataSource, cities: readonly City[]) => {
  const cityAt = (n: number): City | undefined => cities[(n * 7_919) % cities.length]
  let isOver = false
  let slowest = 0
  const run = async (): Promise<ReadonlyMap<number, string>> => {
    const written = new Map<number, string>()
    for (let n = 0; !isOver; n++) {
      const id = cityAt(n)?.id ?? 0
      const started = performance.now()
      await dataSource.getRepository(City).update({ id }, { note: `note ${n}` })
      slowest = Math.max(slowest, performance.now() - started)
      written.set(id, `note ${n}`)
    }
    return written
  }
  const running = run()
  running.catch(() => undefined)
  return {
    end: () => {
      isOver = true
      return running
    },
    slowest: () => slowest,
  }
}

/**
 * A node is added, and takes its part of the shards while the application writes.
 *
 * @param dataSource of nodes of which one is empty
 * @throws Error where a write was lost
 */
export const showGrowth = async (dataSource: ShardedDataSource, cities: readonly City[]): Promise<void> => {
  heading('A third node, while the application writes')
  showBalance(dataSource, 'Shards before')
  const before = await dataSource.getRepository(City).count()
  const writer = work(dataSource, cities)
  const { topology } = dataSource
  const plan = await topology.plan({ by: 'count' })
  line()
  line("  const plan = await dataSource.topology.plan({ by: 'count' })")
  line('  await dataSource.topology.execute(plan, { finish: true })')
  const started = performance.now()
  const { moves } = await topology.execute(plan, { finish: true })
  const took = performance.now() - started
  const written = await writer.end()
  field('moved', `${moves.length} shards in ${(took / 1_000).toFixed(1)} s, each with every row compared`)
  field('meanwhile', `${count(written.size)} cities written; the slowest write took ${milliseconds(writer.slowest())}`)
  line()
  showBalance(dataSource, 'Shards after')
  const found = await dataSource.getRepository(City).find({ select: { id: true, note: true } })
  const wrong = found.filter(({ id, note }) => written.has(id) && written.get(id) !== note)
  if (found.length !== before || wrong.length > 0)
    throw new Error(`${before - found.length} cities are missing, and ${wrong.length} have lost what was written.`)
  field('check', '✓ every city is there, with what was written to it')
}
