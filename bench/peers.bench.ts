import { monitorEventLoopDelay } from 'node:perf_hooks'
import { freshDatabases } from '../test/support/fresh-databases'
import { foreignTables } from './peers/foreign-tables'
import { naiveScatter } from './peers/naive-scatter'
import { nativePartitions } from './peers/partitions'
import type { Peer, Row, Works } from './peers/peer'
import { pgAlone } from './peers/pg-alone'
import { typeormWorks } from './peers/typeorm-works'
import type { Bench, Measure, Target } from './support/bench'
import { loadItems, openBoth } from './support/data-sources'
import { atOnce, interleaveAll, type Side } from './support/interleave'
import { Item, Line } from './support/item'
import { spreadOf } from './support/statistics'

const sizes = {
  full: { rows: 200_000, many: 50_000, lines: 1_000, share: 0.25, rounds: 7, warmups: 2 },
  quick: { rows: 60_000, many: 50_000, lines: 1_000, share: 0.1, rounds: 5, warmups: 1 },
  tiny: { rows: 2_000, many: 500, lines: 20, share: 0.01, rounds: 1, warmups: 0 },
}

/** The times of `loadItems` lie from here on, a minute apart at least, over this many minutes. */
const firstTime = Date.UTC(2020, 8, 13, 12, 26, 40)
const allMinutes = 1_000_003

/** One work: how often a round does it, and the call of turn `turn`, which is the same of all peers but for the ids of new rows: some peers share their tables. */
interface Work {
  readonly name: string
  readonly operations: number
  readonly target: Target
  run(works: Works, turn: number, peer: number): Promise<unknown>
}

const worksOf = (
  { rows, many, lines }: (typeof sizes)['full'],
  nodes: readonly (readonly string[])[],
): readonly Work[] => {
  const id = (turn: number): string => String(1 + ((turn * 7919) % rows))
  const time = (turn: number): Date => new Date(firstTime + ((turn * 7919) % allMinutes) * 60_000)
  const minutes = Math.ceil((20 * allMinutes) / rows)
  const at = (node: number, turn: number): string => nodes[node]?.[turn % (nodes[node]?.length ?? 1)] ?? '1'
  return [
    { name: 'point read by key', operations: 500, target: { atMost: 1 }, run: (w, turn) => w.byKey(id(turn)) },
    { name: 'top 20', operations: 200, target: { atMost: 1.5 }, run: (w) => w.top(20) },
    { name: 'keyset page of 20', operations: 200, target: { atMost: 1.5 }, run: (w, turn) => w.after(time(turn), 20) },
    { name: 'page of 20 at offset 1,000', operations: 100, target: { atMost: 3 }, run: (w) => w.page(1_000, 20) },
    { name: `find of ${many} rows in order`, operations: 1, target: { atMost: 1.5 }, run: (w) => w.top(many) },
    { name: `raw read of ${many} rows in order`, operations: 1, target: { atMost: 2 }, run: (w) => w.raw(many) },
    { name: `count of ${rows} rows`, operations: 10, target: { atMost: 1.05 }, run: (w) => w.count() },
    { name: `sum over ${rows} rows`, operations: 10, target: { atMost: 1.05 }, run: (w) => w.sum() },
    {
      name: 'update by key',
      operations: 200,
      target: { atMost: 0.9 },
      run: (w, turn) => w.updateByKey(id(turn), turn),
    },
    {
      name: 'update of 20 rows by a condition',
      operations: 50,
      target: { atMost: 3.5 },
      run: (w, turn) => w.updateBetween(time(turn), new Date(time(turn).getTime() + minutes * 60_000), turn),
    },
    {
      name: `save of ${lines}, primary key without the shard key`,
      operations: 1,
      target: { atMost: 0.9 },
      run: (w, turn, peer) => w.saveLines(linesFrom((turn * 10 + peer) * lines, lines)),
    },
    {
      name: 'transaction over two rows, on two nodes where there are any',
      operations: 100,
      target: { atMost: 2 },
      run: (w, turn) => w.transfer(at(0, turn), at(1, turn)),
    },
  ]
}

const linesFrom = (first: number, count: number): readonly Line[] =>
  Array.from({ length: count }, (_, offset) => {
    const number = first + offset + 1
    return Object.assign(new Line(), { id: String(number), itemId: String(number * 7919), text: 'a line', amount: 1 })
  })

/** What makes two answers the same: the rows by their ids, as far as peers with equal times may differ no further. */
const shown = (answer: unknown): string => {
  if (!Array.isArray(answer)) return String(answer)
  const rows: readonly Row[] = answer
  return rows.map(({ id }) => id).join()
}

const ours = 'typeorm-sharded'
const plain = 'plain TypeORM'

/** The same work by others: what spreads rows, and what does not. */
export const peers: Bench = {
  name: 'peers',
  async run({ scale, databases }) {
    const size = sizes[scale]
    const { rows, share, ...rounds } = size
    const both = await openBoth(databases, 2)
    await loadItems(both, databases, rows)
    // Of three databases the second is on the second server; the one more is on the first.
    const others = await freshDatabases(databases.nodes, 3)
    const [partitioned = '', right = '', left = ''] = others.nodes
    const all: readonly Peer[] = [
      { name: plain, works: typeormWorks(both.plain), close: async () => undefined },
      { name: ours, works: typeormWorks(both.ours), close: async () => undefined },
      await nativePartitions(partitioned, rows),
      pgAlone(databases.oracle),
      naiveScatter(both.ours, databases.nodes),
      await foreignTables({ coordinator: others.oracle, nodes: [left, right] }, rows),
    ]
    const byNode = new Map<string, string[]>()
    for (let id = 1; id <= Math.min(rows, 10_000); id++) {
      const { node } = both.ours.locate(Item, id)
      byNode.set(node, [...(byNode.get(node) ?? []), String(id)])
    }
    const measures: Measure[] = []
    let turn = 0
    for (const work of worksOf(size, [...byNode.values()])) {
      const operations = Math.max(1, Math.round(work.operations * share))
      const first = turn
      turn += operations * (rounds.rounds + rounds.warmups) + 1
      await agree(work, all, turn - 1)
      const sides = all.map(
        ({ works }, peer): Side =>
          (round) =>
            atOnce(operations, 1, (index) => work.run(works, first + round * operations + index, peer)),
      )
      const costs = await interleaveAll(sides, rounds)
      const [base = [], ...columns] = all.map((_, side) => costs.map((round) => round[side]?.elapsed ?? Number.NaN))
      for (const [index, elapsed] of columns.entries()) {
        const name = all[index + 1]?.name ?? ''
        const spread = spreadOf(elapsed.map((ms, round) => ms / (base[round] ?? Number.NaN)))
        measures.push({
          name: work.name,
          unit: '× time',
          ...spread,
          detail: `${(spreadOf(elapsed).median / operations).toFixed(2)} ms ÷ ${(spreadOf(base).median / operations).toFixed(2)} ms`,
          peer: name,
          ...(name === ours && { target: work.target }),
        })
      }
    }
    measures.push(await longestStop(`raw read of ${size.many} rows`, () => both.ours.query(rawText(size.many)), rounds))
    for (const { close } of all) await close()
    await both.close()
    await others.drop()
    return measures
  },
}

const rawText = (count: number): string => `SELECT * FROM item ORDER BY "createdAt" DESC LIMIT ${count}`

/** All peers give the same, or the comparison means nothing. Those that change rows change the same ones. */
const agree = async (work: Work, all: readonly Peer[], turn: number): Promise<void> => {
  const answers = new Map<string, string>()
  for (const [peer, { name, works }] of all.entries()) answers.set(name, shown(await work.run(works, turn, peer)))
  for (const [name, answer] of answers)
    if (answer !== answers.get(plain)) throw new Error(`${name} does not agree with ${plain}: ${work.name}.`)
}

/** For how long nothing else could run in this process, at most. */
const longestStop = async (
  what: string,
  work: () => Promise<unknown>,
  { rounds, warmups }: { readonly rounds: number; readonly warmups: number },
): Promise<Measure> => {
  const longest: number[] = []
  for (let round = 0; round < warmups + rounds; round++) {
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    await work()
    // The histogram hears of the last stop when the event loop turns again.
    await new Promise((resolve) => setTimeout(resolve, 5))
    delay.disable()
    if (round >= warmups) longest.push(delay.max / 1e6)
  }
  return {
    name: `longest stop of the event loop in a ${what}`,
    unit: 'ms',
    ...spreadOf(longest),
    detail: '',
    target: { atMost: 50 },
  }
}
