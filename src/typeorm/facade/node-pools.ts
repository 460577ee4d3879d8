import { NodePool } from '../../endpoints/node-pool'
import type { StatementListener } from '../../endpoints/statement'
import { TurnWaits } from '../../endpoints/transaction-turns'
import { nodesAtOnce } from './nodes-at-once'
import { openSessions } from './open-sessions'
import { boundsOf, lockTimeoutOf, maxPreparedOf } from './resolve-options'
import type { ShardedDataSourceOptions } from './sharded-data-source-options'

/** The pools of a data source by the names of their nodes. */
export type NodePools = ReadonlyMap<string, NodePool>

interface PoolParts {
  readonly warn: (text: string) => void
  readonly listeners: Iterable<StatementListener>
}

/** Makes the pools of all nodes, whose sessions are alike. @throws ShardedError SHARD_UNAVAILABLE, SESSION_SETTINGS_DIFFER */
export async function openNodePools(
  options: ShardedDataSourceOptions,
  { warn, listeners }: PoolParts,
): Promise<NodePools> {
  const sessions = await openSessions(options, warn)
  const pools = new Map<string, NodePool>()
  const turnWaits = new TurnWaits()
  for (const [name, { config, pooling }] of sessions) {
    const pool = new NodePool({
      name,
      pool: config,
      pooling,
      maxPrepared: maxPreparedOf(options, pooling),
      concurrency: options.scatter?.concurrencyPerNode,
      parseInt8: options.parseInt8,
      lockTimeoutMs: lockTimeoutOf(options),
      warn,
      bounds: boundsOf(options),
      turnWaits,
      onPoolError: options.poolErrorHandler ?? ((error) => warn(`Node ${name}: an idle connection failed. ${error}`)),
    })
    for (const listener of listeners) pool.onStatement(listener)
    pools.set(name, pool)
  }
  return pools
}

/** Does some work on every node, several nodes at once. @throws the first failure, when all have ended */
export async function eachNode(pools: NodePools, work: (pool: NodePool) => Promise<unknown>): Promise<void> {
  const limit = nodesAtOnce()
  const settled = await Promise.allSettled([...pools.values()].map((pool) => limit(() => work(pool))))
  const failed = settled.find((one) => one.status === 'rejected')
  if (failed) throw failed.reason
}
