import type { PoolBounds } from '../../endpoints/node-pool'
import type { Pooling } from '../../endpoints/node-session'
import type { PoolConfig } from '../../endpoints/pool-config'
import { ShardedError } from '../../errors/sharded-error'
import type { DefaultLimits } from '../../execution/operation'
import { CursorSigner } from '../../merging/cursor'
import {
  checkBound,
  checkLimits,
  defaultDeadlineMs,
  defaultGatherBudget,
  defaultRowBudget,
  type GatherBudget,
  longestTimerMs,
} from '../../model/limits'
import { defaultHotKeys, LoadStatistics } from '../../rebalancing/load-statistics'
import type { TransactionMode } from '../../transactions/transaction-mode'
import { isExactSetting } from '../../values/exact-setting'
import type {
  CursorOptions,
  NodeOptions,
  ShardedDataSourceOptions,
  TimeoutOptions,
} from './sharded-data-source-options'

const defaultPreparedStatements = 256
const defaultPoolSize = 10
/** Waiting for a connection ends after this, so that a full pool or a silent node is an error, not a hang. */
const defaultConnectTimeoutMs = 10_000

const transactionModes: ReadonlySet<TransactionMode> = new Set(['two-phase', 'best-effort', 'single-shard'])

/** It is part of the name of a schema. */
const clusterName = /^[a-z0-9_]{1,40}$/

/** A misspelt bound would be none. */
const timeoutNames: ReadonlySet<string> = new Set<keyof TimeoutOptions>([
  'silenceMs',
  'queryMs',
  'backgroundMs',
  'transactionIdleMs',
  'streamIdleMs',
  'cancelMs',
  'destroyMs',
])

/** @throws ShardedError OPTIONS_INVALID */
export function checkOptions(options: ShardedDataSourceOptions): void {
  const nodes = Object.keys(options.nodes ?? {})
  if (nodes.length === 0) throw invalid('nodes names no node')
  if (options.home !== undefined && !nodes.includes(options.home))
    throw invalid(`home names "${options.home}", which is not among the nodes ${nodes.join(', ')}`)
  const { transactions, lockTimeoutMs, onTopologyChange = 'refuse' } = options
  if (onTopologyChange !== 'refuse' && onTopologyChange !== 'replace')
    throw invalid(`onTopologyChange is "${String(onTopologyChange)}"; it takes refuse, replace`)
  const { startWithout = 'any', acceptRestored = [] } = options
  if (options.cluster !== undefined && !clusterName.test(options.cluster))
    throw invalid(`cluster is "${options.cluster}"; it takes up to 40 lower-case letters, digits and underscores`)
  for (const name of acceptRestored)
    if (!nodes.includes(name)) throw invalid(`acceptRestored names "${name}", which is not among the nodes`)
  if (startWithout !== 'any' && startWithout !== 'none')
    throw invalid(`startWithout is "${String(startWithout)}"; it takes any, none`)
  checkBound(lockTimeoutMs, 'lockTimeoutMs', longestTimerMs)
  for (const [name, value] of Object.entries(options.timeouts ?? {})) {
    if (!timeoutNames.has(name)) throw invalid(`timeouts has no "${name}"; it has ${[...timeoutNames].join(', ')}`)
    checkBound(value, `timeouts.${name}`, longestTimerMs)
  }
  checkReserve(options)
  checkLoadStatistics(options)
  for (const [name, { capacity }] of Object.entries(options.nodes)) {
    checkBound(capacity?.rows, `capacity.rows of node ${name}`, Number.MAX_SAFE_INTEGER)
    checkBound(capacity?.bytes, `capacity.bytes of node ${name}`, Number.MAX_SAFE_INTEGER)
  }
  if (transactions !== undefined && !transactionModes.has(transactions))
    throw invalid(`transactions is "${transactions}"; it takes ${[...transactionModes].join(', ')}`)
  for (const [name, value] of Object.entries(options.session ?? {})) checkSetting(name, value)
  checkLimits(options.scatter ?? {}, 'scatter')
  checkBound(options.gather?.rows, 'gather.rows', Number.MAX_SAFE_INTEGER)
  checkBound(options.gather?.bytes, 'gather.bytes', Number.MAX_SAFE_INTEGER)
  checkBound(options.scatter?.concurrencyPerNode, 'scatter.concurrencyPerNode', Number.MAX_SAFE_INTEGER)
  for (const option of ['url', 'host', 'replication', 'driver'] as const) {
    const given: unknown = Reflect.get(options, option)
    if (given !== undefined && given !== false) throw invalid(`"${option}" is not an option here: give it per node`)
  }
}

const invalid = (text: string): ShardedError => new ShardedError('OPTIONS_INVALID', `ShardedDataSource: ${text}.`, {})

/** A name is written into the packet that starts a connection as it is. */
function checkSetting(name: string, value: unknown): void {
  if (!/^[a-z_][\w$]*(?:\.[a-z_][\w$]*)*$/i.test(name)) throw invalid(`session names "${name}", which is no setting`)
  if (typeof value !== 'string') throw invalid(`session.${name} is ${typeof value}; it takes a text`)
  if (!isExactSetting(name, value))
    throw invalid(`session.${name} is "${value}", with which values of shards are not read exactly`)
}

/** A secret of fewer bytes could be guessed. */
const minSecretBytes = 16

/**
 * What cursors are signed with; undefined without the option: a secret made up here would be another in each process.
 *
 * @throws ShardedError OPTIONS_INVALID
 */
export function cursorSignerOf({ cursors }: ShardedDataSourceOptions): CursorSigner | undefined {
  if (cursors === undefined) return undefined
  const { secret } = cursors
  if (!isSecret(secret) && !Array.isArray(secret)) throw invalid('cursors.secret is missing')
  const [first, ...others] = (isSecret(secret) ? [secret] : secret).map(secretBytes)
  if (!first) throw invalid('cursors.secret is an empty list')
  return new CursorSigner([first, ...others])
}

const isSecret = (secret: CursorOptions['secret']): secret is string | Uint8Array =>
  typeof secret === 'string' || secret instanceof Uint8Array

function secretBytes(secret: string | Uint8Array): Uint8Array {
  const bytes = Buffer.from(secret)
  if (bytes.length >= minSecretBytes) return bytes
  throw invalid(`cursors.secret has ${bytes.length} bytes, and ${minSecretBytes} are the least`)
}

/** What counts this process' statements and shard keys; undefined where the options do not ask for it. */
export function loadStatisticsOf({ loadStatistics = false }: ShardedDataSourceOptions): LoadStatistics | undefined {
  if (loadStatistics === false) return undefined
  const { hotKeys = defaultHotKeys } = loadStatistics === true ? {} : loadStatistics
  return new LoadStatistics(hotKeys)
}

/** Which stored topologies a start replaces. One that is to drop all its tables anyway leaves no row behind to be lost. */
export function replacesOf({ dropSchema, onTopologyChange }: ShardedDataSourceOptions): 'none' | 'empty' | 'all' {
  if (dropSchema) return 'all'
  return onTopologyChange === 'replace' ? 'empty' : 'none'
}

/** Whether a start makes or drops tables, on every node. */
export const makesTables = ({ synchronize, dropSchema }: ShardedDataSourceOptions): boolean =>
  synchronize === true || dropSchema === true

/** Longer than PostgreSQL takes to see a deadlock of its own, and than most transactions. */
export const defaultLockTimeoutMs = 10_000

/** A number is the caller's word that names hold, also behind a pooler in transaction mode. */
export function maxPreparedOf({ preparedStatements = true }: ShardedDataSourceOptions, pooling: Pooling): number {
  if (typeof preparedStatements === 'object') return preparedStatements.max
  return preparedStatements && pooling !== 'transaction' ? defaultPreparedStatements : 0
}

/** What bounds scatters that are of no one entity. */
export function limitsOf({ scatter = {}, timeouts }: ShardedDataSourceOptions): DefaultLimits {
  return Object.freeze({
    rowBudget: scatter.rowBudget ?? defaultRowBudget,
    deadlineMs: scatter.deadlineMs ?? defaultDeadlineMs,
    streamIdleMs: timeouts?.streamIdleMs,
  })
}

/** What a gather may copy. */
export const gatherBudgetOf = ({ gather }: ShardedDataSourceOptions): GatherBudget =>
  Object.freeze({
    rows: gather?.rows ?? defaultGatherBudget.rows,
    bytes: gather?.bytes ?? defaultGatherBudget.bytes,
  })

/** How long is waited for each node. */
export function boundsOf({ timeouts = {}, poolReserve, extra }: ShardedDataSourceOptions): PoolBounds {
  const queryMs = timeouts.queryMs ?? (extra?.query_timeout || undefined)
  return Object.freeze({
    ...timeouts,
    queryMs: queryMs === Number.POSITIVE_INFINITY ? undefined : queryMs,
    reserve: poolReserve,
  })
}

function checkReserve({ poolReserve }: ShardedDataSourceOptions): void {
  if (poolReserve === undefined || (Number.isInteger(poolReserve) && poolReserve >= 0)) return
  throw invalid(`poolReserve is ${poolReserve}; it takes a whole number from 0 on`)
}

/** Keys that are told apart of one group: memory for each of them is kept twice. */
const maxHotKeys = 10_000

function checkLoadStatistics({ loadStatistics }: ShardedDataSourceOptions): void {
  if (typeof loadStatistics !== 'object') return
  const { hotKeys = 0 } = loadStatistics
  if (Number.isInteger(hotKeys) && hotKeys >= 0 && hotKeys <= maxHotKeys) return
  throw invalid(`loadStatistics.hotKeys is ${hotKeys}; it takes a whole number from 0 to ${maxHotKeys}`)
}

/** A connection that is idle for so long is probed by TCP: a firewall that forgot it is noticed before a statement is sent. */
const keepAliveMs = 10_000

/** A node's options as pg's pool takes them. */
export function poolConfigOf(options: ShardedDataSourceOptions, node: NodeOptions): PoolConfig {
  const config: PoolConfig = {
    max: node.poolSize ?? options.poolSize ?? defaultPoolSize,
    connectionTimeoutMillis: options.connectTimeoutMS ?? defaultConnectTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveMs,
    ...options.extra,
    // Ours ends the statement on its server too.
    query_timeout: 0,
  }
  // A timer for longer than this ends at once; pg takes 0 for no bound.
  if ((config.connectionTimeoutMillis ?? 0) > longestTimerMs) config.connectionTimeoutMillis = 0
  if (node.url !== undefined) config.connectionString = node.url
  if (node.host !== undefined) config.host = node.host
  if (node.port !== undefined) config.port = node.port
  if (node.username !== undefined) config.user = node.username
  if (node.password !== undefined) config.password = node.password
  if (node.database !== undefined) config.database = node.database
  if (node.ssl !== undefined) config.ssl = node.ssl
  if (options.applicationName !== undefined) config.application_name = options.applicationName
  return config
}
