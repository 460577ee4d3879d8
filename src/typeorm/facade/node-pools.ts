import type { EntityMetadata } from 'typeorm'
import { homeOf } from '../../catalog/catalog'
import { type NodeCatalog, readNodeCatalog } from '../../catalog/node-catalog'
import { atMost } from '../../endpoints/at-most'
import { defaultDestroyMs, NodePool } from '../../endpoints/node-pool'
import { commonSettings, differencesOf, type NodeSession, type Pooling, pinsOf } from '../../endpoints/node-session'
import { Permits } from '../../endpoints/permits'
import type { PoolConfig } from '../../endpoints/pool-config'
import { type ProbedNode, probeSession } from '../../endpoints/probe-session'
import { withStartupSettings, withStatedSettings } from '../../endpoints/session-config'
import type { StatementListener } from '../../endpoints/statement'
import { TurnWaits } from '../../endpoints/transaction-turns'
import { ShardedError } from '../../errors/sharded-error'
import { longestTimerMs } from '../../model/limits'
import { collationReport } from '../../query/collation-conflict'
import { defaultCollation } from '../../query/node-sort-facts'
import type { ControlPoints } from '../../transactions/control-point'
import type { TransactionMode } from '../../transactions/transaction-mode'
import { TwoPhase } from '../../transactions/two-phase'
import { quoted } from '../../values/quoted'
import type { TransactionSettings } from '../runners/shard-runtime'
import { boundsOf, defaultLockTimeoutMs, maxPreparedOf, poolConfigOf } from './resolve-options'
import type { ShardedDataSourceOptions } from './sharded-data-source-options'

const maxNodesAtOnce = 16

/** Does some work for every node, several at once. @throws the first failure, when all have ended */
async function forNodes<N, T>(nodes: Iterable<N>, work: (node: N) => Promise<T>): Promise<readonly T[]> {
  const turns = new Permits('any', maxNodesAtOnce)
  const inTurn = async (node: N): Promise<T> => {
    const leave = await turns.take()
    return work(node).finally(leave)
  }
  const settled = await Promise.allSettled([...nodes].map(inTurn))
  return settled.map((one) => {
    if (one.status === 'rejected') throw one.reason
    return one.value
  })
}

/** How the connections of a node are opened, so that the sessions of all nodes are alike. */
interface NodeSessions {
  readonly config: PoolConfig
  /** Past the pooler, where the node's options name a way. */
  readonly direct: PoolConfig | undefined
  readonly pooling: Pooling
}

/**
 * Asks every node what its sessions are like, and says how they become one: as the home node has them, or as the option
 * `session` names it.
 *
 * @throws ShardedError SHARD_UNAVAILABLE; SESSION_SETTINGS_DIFFER where a pooler in transaction mode keeps no setting;
 *   OPTIONS_INVALID for a `directUrl` that leads to another database
 */
async function openSessions(
  options: ShardedDataSourceOptions,
  warn: (text: string) => void,
): Promise<ReadonlyMap<string, NodeSessions>> {
  const { session: named = {} } = options
  const names = Object.keys(named).map((name) => name.toLowerCase())
  const configs = new Map(Object.entries(options.nodes).map(([name, node]) => [name, poolConfigOf(options, node)]))
  const stored = new Map<string, NodeCatalog>()
  const lookUp = (name: string) => async (node: ProbedNode) => {
    // A role without the right to read it gets the error later, once there are sessions.
    const found = await readNodeCatalog(node).catch(() => undefined)
    if (found) stored.set(name, found)
  }
  const isHomeStored = options.home === undefined && configs.size > 1
  const sessions = await forNodes(configs, ([name, config]) =>
    probeSession(name, config, { names, look: isHomeStored ? lookUp(name) : undefined }),
  )
  const homeNode = options.home ?? homeOf(stored)
  const home = sessions.find(({ node }) => node === homeNode) ?? sessions[0]
  if (!home) throw new RangeError('No node was asked.')
  const common = commonSettings(home, named)
  const isDirect = (node: string): boolean => options.nodes[node]?.directUrl !== undefined
  for (const text of reports(sessions, home, { common, isDirect })) warn(text)
  const opened = await forNodes(sessions, async (session): Promise<[string, NodeSessions]> => {
    const { node, pooling } = session
    const wanted = { common, named }
    const config = configured(configs.get(node) ?? {}, session, wanted)
    return [node, { config, direct: await directOf(options, session, wanted), pooling }]
  })
  return new Map(opened)
}

/** How connections past a pooler are opened. @throws ShardedError SHARD_UNAVAILABLE, OPTIONS_INVALID */
async function directOf(
  options: ShardedDataSourceOptions,
  { node, database }: NodeSession,
  wanted: Wanted,
): Promise<PoolConfig | undefined> {
  const given = options.nodes[node]
  if (given?.directUrl === undefined) return undefined
  const config = poolConfigOf(options, { ...given, url: given.directUrl })
  const direct = await probeSession(node, config, { names: [...wanted.common.keys()] })
  if (direct.database === database && direct.pooling === 'none') return configured(config, direct, wanted)
  const why = direct.pooling === 'none' ? 'leads to another database than its url' : 'leads to a pooler'
  throw new ShardedError('OPTIONS_INVALID', `ShardedDataSource: directUrl of node ${node} ${why}.`, {
    details: { node },
  })
}

interface Wanted {
  readonly common: ReadonlyMap<string, string>
  readonly named: Readonly<Record<string, string>>
}

function configured(config: PoolConfig, session: NodeSession, { common, named }: Wanted): PoolConfig {
  const pins = pinsOf(session, common, named)
  if (session.pooling === 'none') return withStartupSettings(config, pins)
  if (session.pooling === 'session') return withStatedSettings(config, pins)
  const [name] = differencesOf(session, common)
  if (name === undefined) return config
  const { node, settings } = session
  const [own, wanted] = [settings.get(name), common.get(name)]
  throw new ShardedError(
    'SESSION_SETTINGS_DIFFER',
    `Node ${node} has ${name} ${JSON.stringify(own)}, and ${JSON.stringify(wanted)} is needed; its pooler gives each transaction another session, which keeps no setting.`,
    { details: { node, setting: name, own, wanted } },
  )
}

interface Reported extends Pick<Wanted, 'common'> {
  readonly isDirect: (node: string) => boolean
}

function* reports(
  sessions: readonly NodeSession[],
  home: NodeSession,
  { common, isDirect }: Reported,
): Generator<string> {
  for (const session of sessions) {
    const { node, settings, encoding, pooling } = session
    for (const name of differencesOf(session, common))
      yield `Node ${node} has ${name} ${JSON.stringify(settings.get(name))} by itself; its connections are given ${JSON.stringify(common.get(name))}, as all have it.`
    if (encoding !== home.encoding)
      yield `Node ${node} is encoded in ${encoding}, and the home node ${home.node} in ${home.encoding}: text that one of them cannot hold is refused there (22P05).`
    if (pooling === 'transaction')
      yield `Node ${node} is behind a pooler in transaction mode: statements are not named there, and its sessions keep no settings.${isDirect(node) ? '' : ' Set directUrl: without, prepared transactions wait to be ended for server connections that others may hold.'}`
  }
}

/** The pools of a data source by the names of their nodes. */
export type NodePools = ReadonlyMap<string, NodePool>

interface PoolParts {
  readonly warn: (text: string) => void
  readonly listeners: Iterable<StatementListener>
}

/** Makes the pools of all nodes, whose sessions are alike. @throws ShardedError SHARD_UNAVAILABLE, SESSION_SETTINGS_DIFFER, OPTIONS_INVALID */
export async function openNodePools(
  options: ShardedDataSourceOptions,
  { warn, listeners }: PoolParts,
): Promise<NodePools> {
  const sessions = await openSessions(options, warn)
  const pools = new Map<string, NodePool>()
  const turnWaits = new TurnWaits()
  for (const [name, { config, direct, pooling }] of sessions) {
    const pool = new NodePool({
      name,
      pool: config,
      direct,
      pooling,
      maxPrepared: maxPreparedOf(options, pooling),
      concurrency: options.scatter?.concurrencyPerNode,
      parseInt8: options.parseInt8,
      lockTimeoutMs: options.lockTimeoutMs ?? defaultLockTimeoutMs,
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
  await forNodes(pools.values(), work)
}

interface TransactionParts {
  readonly points: ControlPoints
  readonly warn: (text: string) => void
}

/** The mode that the options ask for, or else the best that all nodes allow. @throws ShardedError TWO_PHASE_UNAVAILABLE */
export async function openTransactions(
  asked: TransactionMode | undefined,
  pools: NodePools,
  { points, warn }: TransactionParts,
): Promise<TransactionSettings> {
  if (asked === 'best-effort' || asked === 'single-shard') return { mode: asked, twoPhase: undefined }
  if (pools.size < 2) return { mode: 'two-phase', twoPhase: undefined }
  try {
    return { mode: 'two-phase', twoPhase: await TwoPhase.open([...pools.values()], { points, warn }) }
  } catch (error) {
    if (asked === 'two-phase' || !(error instanceof ShardedError) || error.code !== 'TWO_PHASE_UNAVAILABLE') throw error
    warn(`Writes over several nodes are best-effort. ${error.message}`)
    return { mode: 'best-effort', twoPhase: undefined }
  }
}

/**
 * Asks every node how it sorts. An order by a collation that is not the same on all nodes is refused when it is asked for.
 *
 * @returns a line for each collation that differs
 */
export async function loadCollations(pools: NodePools, sharded: readonly EntityMetadata[]): Promise<readonly string[]> {
  const declared = sharded.flatMap((metadata) => metadata.columns).flatMap(({ collation }) => collation ?? [])
  const names = [defaultCollation, ...new Set(declared.map(quoted))]
  await eachNode(pools, (pool) => pool.loadSortFacts(names))
  const facts = [...pools.values()].map((pool) => pool.sortFacts)
  // Those of users that all nodes have: raw SQL may sort by them. What one node alone has is its own affair.
  const isCommon = (name: string) => facts.every(({ collations }) => collations.has(name))
  const common = [...(facts[0]?.collations.keys() ?? [])].filter((name) => {
    // Of the two names of one that the search path finds, the short one.
    const bare = name.replace(/^"(?:[^"]|"")*"\./, '')
    return isCommon(name) && (bare === name || !isCommon(bare))
  })
  return collationReport(facts, [...names, ...common])
}

/** What is tidied up at the end does not wait for a silent node: others find what is left. @throws what the work throws in time */
export async function inTime(work: Promise<unknown> | undefined, destroyMs: number = defaultDestroyMs): Promise<void> {
  if (!work) return
  let failure: unknown
  await atMost(
    Math.min(destroyMs, longestTimerMs),
    work.catch((error: unknown) => {
      failure = error
    }),
  )
  if (failure) throw failure
}
