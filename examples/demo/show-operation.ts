import { isDeepStrictEqual } from 'node:util'
import type { ShardedDataSource } from '../../src'
import { bold, dim, field, line, milliseconds } from './screen'

export interface Operation<Result> {
  readonly title: string
  /** The call, as a reader would write it. */
  readonly code: string | readonly string[]
  /** Names of the shards that it is routed to. */
  readonly route: readonly string[]
  readonly run: () => Promise<Result>
  /** A read is run twice: the second time without first connections and plans. */
  readonly isRead?: boolean
  readonly answer: (result: Result) => readonly string[]
  /** The answer, and what the source data in memory give for the same question. */
  readonly expected?: (result: Result) => { readonly got: unknown; readonly wanted: unknown }
}

/**
 * Runs an operation and shows its route, the statements that each node got, the time and the answer.
 *
 * @throws Error where the answer is not that of the source data
 */
export const showOperation = async <Result>(
  dataSource: ShardedDataSource,
  { title, code, route, run, isRead = false, answer, expected }: Operation<Result>,
): Promise<void> => {
  line()
  line(`${bold(title)}`)
  for (const text of [code].flat()) line(`  ${text}`)
  const sent = new Map<string, number>()
  const stop = dataSource.onStatement(({ node }) => sent.set(node, (sent.get(node) ?? 0) + 1))
  const first = await timed(run)
  stop()
  const again = isRead ? `, then ${milliseconds((await timed(run)).time)}` : ''
  field('route', routeText(dataSource, route))
  field('statements', statementsText(sent))
  field('time', `${milliseconds(first.time)}${again}`)
  field('answer', ...answer(first.result))
  if (expected === undefined) return
  const { got, wanted } = expected(first.result)
  if (!isDeepStrictEqual(got, wanted)) {
    throw new Error(`${title}: got ${JSON.stringify(got)}, the source data say ${JSON.stringify(wanted)}`)
  }
  field('check', dim('✓ equals the answer of the source data in memory'))
}

const timed = async <Result>(run: () => Promise<Result>): Promise<{ time: number; result: Result }> => {
  const started = performance.now()
  const result = await run()
  return { time: performance.now() - started, result }
}

const routeText = (dataSource: ShardedDataSource, route: readonly string[]): string => {
  const shards = dataSource.shards().filter(({ name }) => route.includes(name))
  const [first] = shards
  const all = dataSource.shards().filter(({ group }) => group === first?.group).length
  const nodes = [...new Set(shards.map(({ node }) => node))].sort()
  const names = shards.length > 2 ? '' : `: ${route.join(', ')}`
  return `${shards.length} of ${all} shards${names}, on ${nodes.length > 1 ? 'nodes' : 'node'} ${nodes.join(' and ')}`
}

const statementsText = (sent: ReadonlyMap<string, number>): string => {
  const nodes = [...sent].sort(([a], [b]) => a.localeCompare(b))
  const total = nodes.reduce((sum, [, statements]) => sum + statements, 0)
  return `${total} (${nodes.map(([node, statements]) => `node ${node}: ${statements}`).join(', ')})`
}
