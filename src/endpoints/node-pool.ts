import { Client, DatabaseError, type PoolClient, type PoolConfig, type QueryResult, types } from 'pg'
import { collationKey, type NodeSortFacts } from '../query/node-sort-facts'
import { afterTurning } from './after-turning'
import { requestCancel } from './cancel-request'
import { Cancellation } from './cancellation'
import { answersOf } from './connection-errors'
import { ConnectionPool } from './connection-pool'
import { LockWatch } from './lock-watch'
import { NamedPlans } from './named-plans'
import { nodeClient } from './node-client'
import { factsOf, factsQuery, type NodeFacts, notAsked, type TableName } from './node-facts'
import type { Pooling } from './node-session'
import { Permits } from './permits'
import { SilenceWatch } from './silence-watch'
import { loadSortFacts } from './sort-facts'
import type { StatementListener } from './statement'
import { TransactionTurns, TurnWaits } from './transaction-turns'

export interface NodePoolSettings {
  readonly name: string
  readonly pool: PoolConfig
  /** Leads past a pooler to the same database: `background` goes there. Default: as `pool`. */
  readonly direct?: PoolConfig | undefined
  /** What a pooler between does to sessions. Default `none`: there is none. */
  readonly pooling?: Pooling | undefined
  /** Named statements per connection; 0: none. */
  readonly maxPrepared: number
  /** Scatters that run on the node at once, and likewise streams that are open; never more than the pool's size less one. */
  readonly concurrency?: number | undefined
  /** bigint as a JavaScript number, as TypeORM's option of this name asks. */
  readonly parseInt8?: boolean | undefined
  /** Milliseconds that a statement of a transaction over several nodes may wait for a lock. */
  readonly lockTimeoutMs?: number
  readonly bounds?: PoolBounds
  /** Shared by the pools of a data source: transactions that hold connections of several may wait for each other. */
  readonly turnWaits?: TurnWaits
  readonly onPoolError: (error: Error) => void
  /** Told what an operator should know. */
  readonly warn?: (text: string) => void
  /** The schema of this package's own tables. Default: that of the default cluster. */
  readonly ownSchema?: string
  /** Why the node cannot be had: the pool stands in for it, and refuses all that is asked of it. */
  readonly absence?: unknown
}

/** How long is waited for a node, in milliseconds; `Infinity`: for ever. */
export interface PoolBounds {
  /** Without any answer of the node; see `SilenceWatch`. */
  readonly silenceMs?: number | undefined
  /** For a cancel request to take effect on a read; then the connection is closed. */
  readonly cancelMs?: number | undefined
  /** For one statement. */
  readonly queryMs?: number | undefined
  /** For one statement of `background`, where `queryMs` is not less. */
  readonly backgroundMs?: number | undefined
  /** Without a statement in an open transaction; then it is rolled back. */
  readonly transactionIdleMs?: number | undefined
  /** When the pool ends, for what still holds a connection. */
  readonly destroyMs?: number | undefined
  /** Connections that transactions over shards leave to others. */
  readonly reserve?: number | undefined
}

/** Half of it is heard nothing, half of it a new connection is tried: a node that is only slow answers in that time. */
export const defaultSilenceMs = 10_000

/** Longer than a statement takes that is cancelled: milliseconds. */
export const defaultDestroyMs = 5_000

/** Much longer than a catalog takes to answer. Behind a pooler, all servers may be held by who waits for this answer: milliseconds. */
const defaultBackgroundMs = 10_000

/** An hour: longer than a transaction thinks between two statements, shorter than a lost one may hold locks. */
export const defaultTransactionIdleMs = 3_600_000

/** A question of a node that does not answer is ended after this, in milliseconds, where `connectTimeoutMS` says nothing. */
const probeMs = 10_000

/** Milliseconds for the server to explain a statement that it has refused. */
const explainMs = 2_000

/** One connection of so many is left by transactions. */
const connectionsPerReserved = 5

/** Connections of a node beside its pool: opened when they are needed, and closed when they have been idle for a while. */
const reserveSize = 2

/** The pool of one node, shared by all of its shards. */
export class NodePool extends ConnectionPool {
  readonly pooling: Pooling
  /** How long is waited for a connection, in milliseconds; `Infinity` without a bound. */
  readonly waitMs: number
  /**
   * The node for what nobody asked for: recovery, questions of decisions and of locks. A wait for a lock must not keep connections from
   * what ends it. Its statements are not told to listeners, who count those of operations.
   */
  readonly background: ConnectionPool
  /** Operations hold nothing that `background` waits for: it goes past the pooler. */
  readonly isBackgroundDirect: boolean
  private readonly listeners: Set<StatementListener>
  /** Scatters that run. They wait for nothing but their connection, so they always come to an end. */
  readonly scatters: Permits
  /** Streams that are open. They hold their connection as long as their reader likes: one is left for all others. */
  readonly streams: Permits
  /** For transactions over several nodes; undefined where they may wait for ever. */
  readonly lockWatch: LockWatch | undefined
  /** Transactions over shards. They hold their connection while they wait for another node. */
  readonly transactions: TransactionTurns
  /** It stands in for a node that cannot be had, and never opens a connection. */
  readonly isAbsent: boolean
  private readonly plans: NamedPlans
  private readonly watch: SilenceWatch
  private readonly destroyMs: number
  /** How its values sort, as far as it was asked. */
  sortFacts: NodeSortFacts
  private ended = false

  constructor(given: NodePoolSettings) {
    const { name, bounds = {}, lockTimeoutMs = Number.POSITIVE_INFINITY } = given
    const shared = sharedSettings(given)
    const listeners = new Set<StatementListener>()
    const { connections } = shared
    const explain = (text: string, values: readonly unknown[] | undefined) => explainOn(background, text, values)
    const reserve = { ...shared.direct, max: reserveSize }
    const own = {
      ...connections,
      explain,
      bounds: backgroundBounds(connections.bounds),
      listeners: new Set<StatementListener>(),
    }
    const background: ConnectionPool = new ConnectionPool({ ...shared, pool: reserve, connections: own })
    super({ ...shared, connections: { ...connections, explain, listeners }, lent: 1 })
    this.listeners = listeners
    this.background = background
    this.isBackgroundDirect = given.direct !== undefined
    this.isAbsent = given.absence !== undefined
    this.sortFacts = notAsked(name)
    this.plans = connections.plans
    this.watch = connections.watch
    if (this.isAbsent) this.refuse(given.absence)
    this.waitMs = shared.waitMs
    this.pooling = given.pooling ?? 'none'
    this.destroyMs = bounds.destroyMs ?? defaultDestroyMs
    if (lockTimeoutMs !== Number.POSITIVE_INFINITY)
      this.lockWatch = new LockWatch(name, lockTimeoutMs, (text, values) => background.query(text, values))
    const { size, waitMs } = this
    const spare = Math.max(1, size - 1)
    const atOnce = Math.min(given.concurrency ?? spare, spare)
    this.scatters = new Permits(name, atOnce)
    this.streams = new Permits(name, atOnce, { waitMs, of: 'streams' })
    const turns = Math.max(1, size - (bounds.reserve ?? Math.floor(size / connectionsPerReserved)))
    this.transactions = new TransactionTurns(
      new Permits(name, turns, { waitMs, of: 'connections for transactions' }),
      given.turnWaits ?? new TurnWaits(),
      () => this.lend(),
    )
  }

  /** Asks the node once for its version and database. */
  async loadFacts(): Promise<NodeFacts> {
    const { rows } = await this.query(factsQuery)
    const facts = factsOf(rows[0])
    this.noteFacts(facts)
    this.noteRules(facts.ruledTables)
    return facts
  }

  /** Takes over what is known of the node by other ways than asking it. */
  noteFacts(facts: NodeFacts): void {
    this.facts = facts
    this.background.facts = facts
  }

  /** Refuses all that is asked of the node from now on, for a reason. @returns false where that was the reason before */
  refuse(reason: unknown): boolean {
    const before = this.watch.silence
    this.watch.silence = reason instanceof Error ? reason : new Error(String(reason))
    return before?.message !== this.watch.silence.message
  }

  /** Takes note of the tables that have rules: see `NamedPlans.mayBeRewritten`. */
  noteRules(tables: readonly TableName[]): void {
    this.plans.noteRules(tables)
  }

  /** Asks the node how its values sort; `collations` are SQL names. What was known before is forgotten. */
  async loadSortFacts(collations: readonly string[], pool: ConnectionPool = this): Promise<NodeSortFacts> {
    this.sortFacts = await loadSortFacts(this.name, (text, values) => pool.query(text, values), collations)
    return this.sortFacts
  }

  /** The same, with what the node says of these collations: it is asked where one is not known yet. */
  async sortFactsWith(collations: readonly string[]): Promise<NodeSortFacts> {
    const { sortFacts } = this
    const names = collations.map(collationKey)
    if (names.every((name) => sortFacts.collations.has(name))) return sortFacts
    // Within a transaction, too, which holds a connection of the pool.
    return this.loadSortFacts([...sortFacts.collations.keys(), ...names], this.background)
  }

  /** Calls `listener` after every statement; the returned function ends that. */
  onStatement(listener: StatementListener): () => void {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  /**
   * Closes the pool; safe to call twice. An operation that waits for a connection fails with SHARD_UNAVAILABLE. One that holds a
   * connection has a bounded time to end: then its connection is closed, and its transaction so rolled back.
   */
  async end(): Promise<void> {
    if (this.ended) return
    this.ended = true
    const { background, destroyMs, watch } = this
    const reason = new Error('the data source was destroyed')
    const ended = Promise.all([this.close(reason), background.close(reason)])
    const off = afterTurning(destroyMs, () => {
      this.evictAll(reason)
      background.evictAll(reason)
      watch.stop(reason)
    })
    await ended
    off()
    watch.stop(reason)
    // A node that is silent does not close its side.
    afterTurning(destroyMs, () => {
      this.destroyAll()
      background.destroyAll()
    })
  }
}

const backgroundBounds = <Bounds extends PoolBounds>(bounds: Bounds) => ({
  ...bounds,
  queryMs: Math.min(bounds.queryMs ?? Number.POSITIVE_INFINITY, bounds.backgroundMs ?? defaultBackgroundMs),
})

/** What the pool and the connections beside it have alike. */
function sharedSettings({
  name,
  pool,
  direct = pool,
  pooling,
  maxPrepared,
  parseInt8,
  bounds = {},
  onPoolError,
  warn = () => undefined,
  ownSchema,
}: NodePoolSettings) {
  const waitMs = pool.connectionTimeoutMillis || Number.POSITIVE_INFINITY
  const watch = new SilenceWatch(bounds.silenceMs ?? defaultSilenceMs, () => answers(pool))
  const own: PoolConfig = {
    ...(parseInt8 && { types: int8AsNumber }),
    connectionTimeoutMillis: 0,
    // A client of pg, as its types have it with other overloads.
    Client: nodeClient({ connectTimeoutMs: waitMs, watch }) as never,
  }
  return {
    pool: { ...pool, ...own },
    direct: { ...direct, ...own },
    waitMs,
    onPoolError,
    ownSchema,
    connections: {
      node: name,
      plans: new NamedPlans(name, maxPrepared, warn),
      losesPins: pooling === 'session',
      watch,
      bounds: { ...bounds, transactionIdleMs: bounds.transactionIdleMs ?? defaultTransactionIdleMs },
      requestCancel: (client: PoolClient) => requestCancel(client, pool.stream),
    },
  }
}

/** Never runs the statement. A lock that an open transaction holds may keep the server from explaining it. */
async function explainOn(
  background: ConnectionPool,
  text: string,
  values: readonly unknown[] | undefined,
): Promise<QueryResult> {
  const explain = 'EXPLAIN '
  const cancellation = new Cancellation()
  const off = afterTurning(explainMs, () => cancellation.cancel(new Error('A statement was not explained in time.')))
  try {
    return await background.query(`${explain}${text}`, values, cancellation)
  } catch (error) {
    if (error instanceof DatabaseError && error.position !== undefined)
      error.position = String(Number(error.position) - explain.length)
    throw error
  } finally {
    off()
  }
}

/** Whether a node answers a new connection, by success or by refusal. */
async function answers(config: PoolConfig): Promise<boolean> {
  let client: Client | undefined
  try {
    client = new Client({ ...config, connectionTimeoutMillis: config.connectionTimeoutMillis || probeMs })
    client.on('error', () => undefined)
    await client.connect()
    return true
  } catch (error) {
    return error instanceof Error && answersOf(error)
  } finally {
    void client?.end().catch(() => undefined)
  }
}

/** The parsers of `pg`, but for bigint: this pool's own, where `pg.defaults.parseInt8` would be everybody's. */
const int8AsNumber = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    // Its types have one signature a format.
    oid === types.builtins.INT8 && format !== 'binary' ? Number : types.getTypeParser(oid, format as 'text'),
}
