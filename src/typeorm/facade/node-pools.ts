import type { EntityMetadata } from 'typeorm'
import type { AbsentDatabase } from '../../catalog/absent-database'
import { knownFacts } from '../../catalog/known-database'
import { atMost } from '../../endpoints/at-most'
import { defaultDestroyMs, NodePool } from '../../endpoints/node-pool'
import type { NodeSession } from '../../endpoints/node-session'
import type { StatementListener } from '../../endpoints/statement'
import { TurnWaits } from '../../endpoints/transaction-turns'
import { ShardedError } from '../../errors/sharded-error'
import { longestTimerMs } from '../../model/limits'
import { collationReport } from '../../query/collation-conflict'
import { defaultCollation } from '../../query/node-sort-facts'
import type { ControlPoints } from '../../transactions/control-point'
import type { TransactionMode } from '../../transactions/transaction-mode'
import { TwoPhase } from '../../transactions/two-phase'
import { defaultCluster, ownSchemaOf } from '../../values/own-schema'
import { quoted } from '../../values/quoted'
import type { TransactionSettings } from '../runners/shard-runtime'
import { forNodes } from './for-nodes'
import { type NodeSessions, openSessions } from './node-sessions'
import { boundsOf, defaultLockTimeoutMs, maxPreparedOf, poolConfigOf } from './resolve-options'
import type { ShardedDataSourceOptions } from './sharded-data-source-options'

/** The pools of a data source by the names of their nodes. */
export type NodePools = ReadonlyMap<string, NodePool>

interface PoolParts {
  readonly warn: (text: string) => void
  readonly listeners: Iterable<StatementListener>
}

/** The pools that a data source begins with. */
export interface OpenedNodes {
  readonly pools: NodePools
  /** The nodes that did not answer: pools stand in for them that refuse everything. */
  readonly absent: ReadonlyMap<string, AbsentDatabase>
  /** What the sessions of each node that answered are like. */
  readonly said: ReadonlyMap<string, NodeSession>
  /** Makes the pool of a node that did not answer. @throws ShardedError SHARD_UNAVAILABLE where it still does not */
  readonly open: (node: string) => Promise<OpenedNode>
}

interface OpenedNode {
  readonly pool: NodePool
  readonly session: NodeSession
}

/** Makes the pools of all nodes, whose sessions are alike. @throws ShardedError SHARD_UNAVAILABLE, SESSION_SETTINGS_DIFFER, OPTIONS_INVALID */
export async function openNodePools(
  options: ShardedDataSourceOptions,
  { warn, listeners }: PoolParts,
): Promise<OpenedNodes> {
  const { sessions, absent, ask } = await openSessions(options, warn)
  const turnWaits = new TurnWaits()
  const made = (name: string, { config, direct, pooling }: Omit<NodeSessions, 'session'>, absence?: unknown) => {
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
      ownSchema: ownSchemaOf(options.cluster ?? defaultCluster),
      absence,
      onPoolError: options.poolErrorHandler ?? ((error) => warn(`Node ${name}: an idle connection failed. ${error}`)),
    })
    for (const listener of listeners) pool.onStatement(listener)
    return pool
  }
  const pools = new Map<string, NodePool>()
  for (const [name, node] of Object.entries(options.nodes)) {
    const session = sessions.get(name)
    const missed = absent.get(name)
    if (session) pools.set(name, made(name, session))
    if (missed) {
      const config = poolConfigOf(options, node)
      const pool = made(name, { config, direct: undefined, pooling: 'none' }, missed.error.cause ?? missed.error)
      pool.noteFacts(knownFacts(missed.known))
      pools.set(name, pool)
    }
  }
  return {
    pools,
    absent,
    said: new Map([...sessions].map(([name, { session }]) => [name, session])),
    open: async (name) => {
      const opened = await ask(name)
      return { pool: made(name, opened), session: opened.session }
    },
  }
}

/** Does some work on every node, several nodes at once. @throws the first failure, when all have ended */
export async function eachNode(pools: NodePools, work: (pool: NodePool) => Promise<unknown>): Promise<void> {
  await forNodes(pools.values(), work)
}

/** The same on those that answer. */
export async function eachPresent(pools: NodePools, work: (pool: NodePool) => Promise<unknown>): Promise<void> {
  await forNodes(
    [...pools.values()].filter(({ isAbsent }) => !isAbsent),
    work,
  )
}

interface TransactionParts {
  readonly points: ControlPoints
  readonly warn: (text: string) => void
  readonly absent: ReadonlyMap<string, AbsentDatabase>
}

/** The mode that the options ask for, or else the best that all nodes allow. @throws ShardedError TWO_PHASE_UNAVAILABLE */
export async function openTransactions(
  asked: TransactionMode | undefined,
  pools: NodePools,
  { points, warn, absent }: TransactionParts,
): Promise<TransactionSettings> {
  if (asked === 'best-effort' || asked === 'single-shard') return { mode: asked, twoPhase: undefined }
  if (pools.size < 2) return { mode: 'two-phase', twoPhase: undefined }
  try {
    return {
      mode: 'two-phase',
      twoPhase: await TwoPhase.open([...pools.values()], { points, warn, absent: identitiesOf(absent) }),
    }
  } catch (error) {
    if (asked === 'two-phase' || !(error instanceof ShardedError) || error.code !== 'TWO_PHASE_UNAVAILABLE') throw error
    warn(`Writes over several nodes are best-effort. ${error.message}`)
    return { mode: 'best-effort', twoPhase: undefined }
  }
}

const identitiesOf = (absent: ReadonlyMap<string, AbsentDatabase>): ReadonlyMap<string, string> =>
  new Map([...absent].map(([name, { identity }]) => [name, identity]))

/** The collations that entities on nodes name, besides the default one. */
function collationNames(sharded: readonly EntityMetadata[]): readonly string[] {
  const declared = sharded.flatMap((metadata) => metadata.columns).flatMap(({ collation }) => collation ?? [])
  return [defaultCollation, ...new Set(declared.map(quoted))]
}

/**
 * Asks every node how it sorts. An order by a collation that is not the same on all nodes is refused when it is asked for.
 *
 * @returns a line for each collation that differs
 */
export async function loadCollations(pools: NodePools, sharded: readonly EntityMetadata[]): Promise<readonly string[]> {
  const names = collationNames(sharded)
  await eachPresent(pools, (pool) => pool.loadSortFacts(names))
  const present = [...pools.values()].filter(({ isAbsent }) => !isAbsent)
  // Nothing of a node that does not answer is sorted before it has said how it sorts.
  for (const pool of pools.values())
    if (pool.isAbsent && present[0]) pool.sortFacts = { ...present[0].sortFacts, node: pool.name }
  return collationLines(present, names)
}

/** Asks the same of a node that answers by now. */
export async function loadCollationsOf(
  pool: NodePool,
  { others, sharded }: { readonly others: NodePools; readonly sharded: readonly EntityMetadata[] },
): Promise<readonly string[]> {
  const names = collationNames(sharded)
  await pool.loadSortFacts(names)
  const present = [...others.values()].filter(({ isAbsent, name }) => !isAbsent && name !== pool.name)
  return collationLines([...present, pool], names)
}

function collationLines(pools: readonly NodePool[], names: readonly string[]): readonly string[] {
  const facts = pools.map((pool) => pool.sortFacts)
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
