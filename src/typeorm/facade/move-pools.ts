import { maxParallelMoves } from '../../rebalancing/run-plan'
import { eachNode, type NodePools, openNodePools } from './node-pools'
import type { NodeOptions, ShardedDataSourceOptions } from './sharded-data-source-options'

/** A move copies, compares and locks at the same time. */
const connections = 4 * maxParallelMoves

/** Pools of moves: past any pooler, and without a bound for a statement, since an index may take hours. @throws as `openNodePools` */
export async function openMovePools(
  options: ShardedDataSourceOptions,
  warn: (text: string) => void,
): Promise<NodePools> {
  const { queryMs: _, ...timeouts } = options.timeouts ?? {}
  const nodes = Object.fromEntries(Object.entries(options.nodes).map(([name, node]) => [name, pastPooler(node)]))
  const { query_timeout: __, ...extra } = options.extra ?? {}
  const { pools } = await openNodePools(
    { ...options, nodes, timeouts, extra, startWithout: 'none' },
    { warn, listeners: new Set() },
  )
  try {
    await eachNode(pools, (pool) => pool.loadFacts())
    return pools
  } catch (error) {
    await Promise.all([...pools.values()].map((pool) => pool.end()))
    throw error
  }
}

function pastPooler({ directUrl, ...node }: NodeOptions): NodeOptions {
  return { ...node, poolSize: connections, ...(directUrl !== undefined && { url: directUrl }) }
}

/** The URL by which other servers reach a node. */
export async function replicationUrlOf({ replicationUrl, directUrl, url, ...node }: NodeOptions): Promise<string> {
  const known = replicationUrl ?? directUrl ?? url
  if (known !== undefined && node.password === undefined) return known
  const made = new URL(known ?? 'postgres://localhost')
  const password = typeof node.password === 'function' ? await node.password() : node.password
  if (node.host !== undefined) made.hostname = node.host
  if (node.port !== undefined) made.port = String(node.port)
  if (node.username !== undefined) made.username = encodeURIComponent(node.username)
  if (password !== undefined) made.password = encodeURIComponent(password)
  if (node.database !== undefined) made.pathname = `/${encodeURIComponent(node.database)}`
  if (node.ssl && !made.searchParams.has('sslmode')) made.searchParams.set('sslmode', 'require')
  return made.href
}
