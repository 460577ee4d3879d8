import { ShardedError } from '../../errors/sharded-error'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { ShardedDataSourceOptions } from './sharded-data-source-options'
import type { StoredTopology } from './stored-topology'

interface RemovalParts {
  readonly options: () => ShardedDataSourceOptions
  readonly runtime: () => ShardRuntime
  readonly stored: () => StoredTopology
  /** Moves that are not over, by the names of their nodes. */
  readonly open: readonly { readonly id: string; readonly shard: string; readonly from: string; readonly to: string }[]
}

/** Things that one line names; the others are counted. */
const maxNamed = 10

/** Forgets a node on which nothing is left. @throws ShardedError NODE_IN_USE with all that is left, OPTIONS_INVALID */
export async function removeNode(name: string, parts: RemovalParts): Promise<void> {
  const { runtime, stored } = parts
  if (!runtime().nodes.includes(name))
    throw new ShardedError('OPTIONS_INVALID', `remove names the node '${name}', which does not exist.`, {
      details: { node: name, nodes: runtime().nodes },
    })
  const left = [...placed(name, parts), ...moves(name, parts), ...(await transactions(name, parts))]
  if (left.length > 0) throw nodeInUse(name, left)
  await stored().forgetNode(name)
}

export const nodeInUse = (node: string, left: readonly string[]): ShardedError =>
  new ShardedError('NODE_IN_USE', `Node ${node} is still needed: ${left.join('; ')}.`, {
    details: { node, left: Object.freeze([...left]) },
  })

function* placed(name: string, { options, runtime }: RemovalParts): Generator<string> {
  const { map } = runtime()
  if (map.home === name)
    yield 'it is the home node, of the unsharded tables and of what the databases hold for this package'
  const shards = [...map.shards.values()].filter(({ node }) => node === name)
  if (shards.length > 0) yield `it has the shards ${named(shards.map((shard) => shard.name))}`
  const pins = Object.entries(options().groups ?? {}).filter(
    ([, { placement = 'even' }]) => placement !== 'even' && Object.values(placement).includes(name),
  )
  if (pins.length > 0) yield `the options place shards of the groups ${named(pins.map(([group]) => group))} on it`
}

function* moves(name: string, { open }: RemovalParts): Generator<string> {
  const own = open.filter(({ from, to }) => from === name || to === name)
  if (own.length > 0)
    yield `the moves ${named(own.map(({ id, shard }) => `${id} of ${shard}`))} are not over (finishMove, cancelMove)`
}

/** Transactions that wait for their end there, or whose end is written there. */
async function transactions(name: string, { runtime, stored }: RemovalParts): Promise<readonly string[]> {
  const { twoPhase } = runtime().transactions
  if (!twoPhase) return []
  const { pending } = await twoPhase.recover()
  const silent = pending.flatMap(({ node, id, reason }) =>
    id === undefined ? [`node ${node} does not say what is prepared there: ${reason}`] : [],
  )
  const identity = stored().identityOf(name)
  const prepared = await Promise.all(
    runtime().nodes.map(async (node) =>
      (await twoPhase.log(node).prepared()).flatMap(({ id, text }) =>
        node === name || id.decider === identity ? [`${text} on node ${node}`] : [],
      ),
    ),
  )
  const waiting = prepared.flat()
  return waiting.length > 0 ? [...silent, `prepared transactions wait for their end: ${named(waiting)}`] : silent
}

function named(names: readonly string[]): string {
  const more = names.length - maxNamed
  return `${names.slice(0, maxNamed).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}
