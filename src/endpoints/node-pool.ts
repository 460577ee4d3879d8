import { Client, DatabaseError, Pool, type PoolClient, type PoolConfig, type QueryResult, types } from 'pg'
import { Bag, type Bagged, nowhere } from '../collections/bag'
import { ShardedError } from '../errors/sharded-error'
import { collationKey } from '../query/collation-name'
import type { NodeSortFacts } from '../query/node-sort-facts'
import { afterTurning } from './after-turning'
import { badConnectionOptions } from './bad-connection-options'
import { requestCancel } from './cancel-request'
import { Cancellation } from './cancellation'
import { answersOf, unavailable } from './connection-errors'
import { LockWatch } from './lock-watch'
import { NamedPlans } from './named-plans'
import { nodeClient } from './node-client'
import { type ConnectionSettings, NodeConnection } from './node-connection'
import type { Pooling } from './node-session'
import { type GiveBack, Permits } from './permits'
import { ruledTables, ruledTablesOf, type TableName } from './ruled-tables'
import { Session } from './session'
import { SilenceWatch } from './silence-watch'
import { loadSortFacts } from './sort-facts'
import type { StatementListener } from './statement-event'
import { TransactionTurns, TurnWaits } from './transaction-turns'

/** What a node says of itself. */
export interface NodeFacts {
  readonly version: string
  readonly database: string
  readonly searchSchema: string
  /** How many transactions may be prepared; 0: none. */
  readonly maxPreparedTransactions: number
  /** The tables that have a rule of UPDATE or DELETE (CREATE RULE). */
  readonly ruledTables: readonly TableName[]
}

export interface NodePoolSettings {
  readonly name: string
  readonly pool: PoolConfig
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
}

/** How long is waited for a node, in milliseconds; `Infinity`: for ever. */
export interface PoolBounds {
  /** Without any answer of the node; see `SilenceWatch`. */
  readonly silenceMs?: number | undefined
  /** For a cancel request to take effect on a read; then the connection is closed. */
  readonly cancelMs?: number | undefined
  /** For one statement. */
  readonly queryMs?: number | undefined
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

/** An hour: longer than a transaction thinks between two statements, shorter than a lost one may hold locks. */
export const defaultTransactionIdleMs = 3_600_000

/** Idle transactions are looked for so often within their bound. */
const idleLooks = 4

/** Operations that may wait for a connection of one node, each no longer than `connectTimeoutMS`. */
const maxWaitingForConnection = 100_000

/** A question of a node that does not answer is ended after this, in milliseconds, where `connectTimeoutMS` says nothing. */
const probeMs = 10_000

/** Milliseconds for the server to explain a statement that it has refused. */
const explainMs = 2_000

/** One connection of so many is left by transactions. */
const connectionsPerReserved = 5

/**
 * A connection, and the call that gives it back. With an error it is closed instead, and also where it is not at rest: in
 * a transaction, or with a cancel request that may still arrive.
 */
export interface Lease {
  readonly connection: NodeConnection
  release(error?: Error | boolean): void
}

/** Connections of a node beside its pool: opened when they are needed, and closed when they have been idle for a while. */
const reserveSize = 2

/** The pool of one node, shared by all of its shards. */
export class NodePool {
  readonly name: string
  readonly pooling: Pooling
  /** How long is waited for a connection, in milliseconds; `Infinity` without a bound. */
  readonly waitMs: number
  private readonly pool: Pool
  /** For recovery, questions of decisions and of locks: who waits for a lock must not keep from being had who ends that. */
  private readonly reserve: Pool
  private readonly listeners = new Set<StatementListener>()
  /** Scatters that run. They wait for nothing but their connection, so they always come to an end. */
  readonly scatters: Permits
  /** Streams that are open. They hold their connection as long as their reader likes: one is left for all others. */
  readonly streams: Permits
  /** For transactions over several nodes; undefined where they may wait for ever. */
  readonly lockWatch: LockWatch | undefined
  /** Transactions over shards. They hold their connection while they wait for another node. */
  readonly transactions: TransactionTurns
  /** What waits for a connection waits here, and never in pg's pool, which knows no fair clock. */
  private readonly connections: Permits
  private readonly reserved: Permits
  /** Refuses each caller that pg's pool has not answered yet: the pool never answers those that it queues when it ends. */
  private readonly connecting = new Bag<Bagged & { refuse(reason: Error): void }>()
  private readonly leases = new Bag<Lease & Bagged>()
  private readonly sessions = new Set<Session>()
  private readonly watch: SilenceWatch
  private readonly destroyMs: number
  private readonly transactionIdleMs: number
  /** Shared with `background`, which is another object on the same leases. */
  private readonly idleLook: { timer: NodeJS.Timeout | undefined } = { timer: undefined }
  private readonly settings: ConnectionSettings
  private knownFacts: NodeFacts | undefined
  private knownSortFacts: NodeSortFacts | undefined
  private ended = false

  constructor({
    name,
    pool,
    pooling = 'none',
    maxPrepared,
    concurrency,
    parseInt8,
    lockTimeoutMs = Number.POSITIVE_INFINITY,
    bounds = {},
    turnWaits = new TurnWaits(),
    onPoolError,
    warn = () => undefined,
  }: NodePoolSettings) {
    this.name = name
    const waitMs = pool.connectionTimeoutMillis || Number.POSITIVE_INFINITY
    this.waitMs = waitMs
    const watch = new SilenceWatch(bounds.silenceMs ?? defaultSilenceMs, () => answers(pool))
    this.watch = watch
    this.destroyMs = bounds.destroyMs ?? defaultDestroyMs
    this.transactionIdleMs = bounds.transactionIdleMs ?? defaultTransactionIdleMs
    this.pooling = pooling
    const open = (config: PoolConfig): Pool => {
      const opened = new Pool({
        ...config,
        ...(parseInt8 && { types: int8AsNumber }),
        connectionTimeoutMillis: 0,
        Client: nodeClient({ connectTimeoutMs: waitMs, watch }) as never,
      })
      // Without a listener, the error of an idle connection (a node that dies) would end the process.
      opened.on('error', onPoolError)
      opened.on('connect', (client) => void this.sessions.add(Session.of(client)))
      opened.on('remove', (client) => void this.sessions.delete(Session.of(client)))
      return opened
    }
    this.pool = open(pool)
    this.reserve = open({ ...pool, max: reserveSize })
    const most = { maxWaiting: maxWaitingForConnection, waitMs, of: 'connections' }
    this.connections = new Permits(name, this.pool.options.max, most)
    this.reserved = new Permits(name, reserveSize, most)
    this.settings = {
      plans: new NamedPlans(name, maxPrepared, warn),
      losesPins: pooling === 'session',
      listeners: this.listeners,
      watch,
      bounds,
      requestCancel: (client) => requestCancel(client, pool.stream),
      explain: (text, values) => this.explain(text, values),
    }
    if (lockTimeoutMs !== Number.POSITIVE_INFINITY) {
      this.lockWatch = new LockWatch(name, lockTimeoutMs, (text, values) => this.background.query(text, values))
    }
    const spare = Math.max(1, this.pool.options.max - 1)
    this.scatters = new Permits(name, Math.min(concurrency ?? spare, spare))
    this.streams = new Permits(name, Math.min(concurrency ?? spare, spare), { waitMs, of: 'streams' })
    const kept = bounds.reserve ?? Math.floor(this.pool.options.max / connectionsPerReserved)
    const turns = Math.max(1, this.pool.options.max - kept)
    this.transactions = new TransactionTurns(
      name,
      new Permits(name, turns, { waitMs, of: 'connections for transactions' }),
      turnWaits,
    )
  }

  /** The most connections that it opens. */
  get size(): number {
    return this.pool.options.max
  }

  /**
   * Takes a connection.
   * @throws ShardedError POOL_EXHAUSTED where none becomes free within `connectionTimeoutMillis`; SHARD_UNAVAILABLE and
   *   its siblings where the node gives none; OperationEnded
   */
  acquire(shard?: string, cancellation?: Cancellation): Promise<Lease> {
    const { silence } = this.watch
    if (cancellation?.isCancelled) return Promise.reject(cancellation.ended)
    if (silence) return Promise.reject(unavailable({ node: this.name, shard }, silence))
    const giveBack = this.connections.tryTake()
    if (giveBack) return this.connect(giveBack, shard, cancellation)
    return this.connections.take(cancellation).then((taken) => this.connect(taken, shard, cancellation))
  }

  private connect(
    giveBack: GiveBack,
    shard: string | undefined,
    cancellation: Cancellation | undefined,
  ): Promise<Lease> {
    return new Promise((resolve, reject) => {
      let isAbandoned = false
      const abandon = (reason: unknown): void => {
        isAbandoned = true
        reject(reason)
      }
      const asked = {
        place: nowhere,
        refuse: (reason: Error): void => {
          abandon(unavailable({ node: this.name, shard }, reason))
          giveBack()
        },
      }
      const off = cancellation?.onCancel(() => abandon(cancellation.ended))
      this.connecting.add(asked)
      const connect = (taken: Parameters<Pool['connect']>[0]): void => {
        try {
          this.pool.connect(taken)
        } catch (error) {
          // pg reads the options when it makes a client.
          this.connecting.delete(asked)
          giveBack()
          reject(badConnectionOptions(this.name, error))
        }
      }
      connect((error, client, release) => {
        off?.()
        this.connecting.delete(asked)
        if (error || !client) {
          giveBack()
          reject(unavailable({ node: this.name, shard }, error))
        } else if (isAbandoned) {
          release()
          giveBack()
        } else resolve(this.lease(client, release, giveBack))
      })
    })
  }

  private lease(client: PoolClient, release: Lease['release'], giveBack: GiveBack): Lease {
    const connection = new NodeConnection(client, this.settings, this.name)
    const { leases } = this
    const lease: Lease & Bagged = {
      place: nowhere,
      connection,
      release: (error) => {
        // Once: what ends late must not give back what another has by now.
        if (!leases.delete(lease)) return
        const isClean = connection.retire()
        release(error || !isClean)
        giveBack()
      },
    }
    leases.add(lease)
    this.watchIdle()
    return lease
  }

  /** Ends a hold of a connection from outside, where its holder does not. */
  private evict(lease: Lease, reason: Error): void {
    lease.connection.destroy(reason)
    lease.release(true)
  }

  /** Looks after transactions in which nothing is sent, as long as connections are held. */
  private watchIdle(): void {
    const { transactionIdleMs, idleLook } = this
    if (idleLook.timer || transactionIdleMs === Number.POSITIVE_INFINITY) return
    idleLook.timer = setInterval(() => {
      for (const lease of this.leases.all()) {
        const { connection } = lease
        if (connection.inTransaction && connection.transactionIdleMs > transactionIdleMs) this.evict(lease, this.idle())
      }
      if (this.leases.size > 0) return
      clearInterval(idleLook.timer)
      idleLook.timer = undefined
    }, transactionIdleMs / idleLooks).unref()
  }

  private idle(): ShardedError {
    const { name: node, transactionIdleMs } = this
    return new ShardedError(
      'TRANSACTION_IDLE',
      `On node ${node}, nothing was sent in a transaction for ${transactionIdleMs} ms.`,
      {
        details: { node, transactionIdleMs },
      },
    )
  }

  /** One statement on a connection of its own. */
  async query(text: string, values?: readonly unknown[], cancellation?: Cancellation): Promise<QueryResult> {
    const lease = await this.acquire(undefined, cancellation)
    try {
      return await lease.connection.query(text, values, undefined, cancellation)
    } finally {
      lease.release()
    }
  }

  /**
   * The node for what nobody asked for, on the connections of the reserve: its statements are not told to listeners, who
   * count those of operations.
   */
  get background(): Pick<NodePool, 'name' | 'facts' | 'acquire' | 'query'> {
    return Object.create(this, {
      settings: { value: { ...this.settings, listeners: new Set() } },
      pool: { value: this.reserve },
      connections: { value: this.reserved },
    })
  }

  /** Never runs the statement. A lock that an open transaction holds may keep the server from explaining it. */
  private async explain(text: string, values: readonly unknown[] | undefined): Promise<QueryResult> {
    const explain = 'EXPLAIN '
    const cancellation = new Cancellation()
    const off = afterTurning(explainMs, () => cancellation.cancel(new Error('A statement was not explained in time.')))
    try {
      return await this.background.query(`${explain}${text}`, values, cancellation)
    } catch (error) {
      if (error instanceof DatabaseError && error.position !== undefined)
        error.position = String(Number(error.position) - explain.length)
      throw error
    } finally {
      off()
    }
  }

  /** Asks the node once for its version and database. */
  async loadFacts(): Promise<NodeFacts> {
    const { rows } = await this.query(factsQuery)
    const row: Record<string, string> = rows[0]
    this.knownFacts = Object.freeze({
      version: /\d+(?:\.\d+)*/.exec(row['version'] ?? '')?.[0] ?? '0',
      database: row['database'] ?? '',
      searchSchema: row['schema'] ?? 'public',
      maxPreparedTransactions: Number(row['prepared'] ?? 0),
      ruledTables: Object.freeze(ruledTablesOf(row)),
    })
    this.noteRules(this.knownFacts.ruledTables)
    return this.knownFacts
  }

  /** Takes note of the tables that have rules: see `NamedPlans.mayBeRewritten`. */
  noteRules(tables: readonly TableName[]): void {
    this.settings.plans.noteRules(tables)
  }

  get facts(): NodeFacts {
    return this.knownFacts ?? notAsked(this.name)
  }

  /** Asks the node how its values sort; `collations` are SQL names. What was known before is forgotten. */
  async loadSortFacts(collations: readonly string[]): Promise<NodeSortFacts> {
    this.knownSortFacts = await loadSortFacts(this.name, (text, values) => this.query(text, values), collations)
    return this.knownSortFacts
  }

  get sortFacts(): NodeSortFacts {
    return this.knownSortFacts ?? notAsked(this.name)
  }

  /** The same, with what the node says of these collations: it is asked where one is not known yet. */
  async sortFactsWith(collations: readonly string[]): Promise<NodeSortFacts> {
    const { sortFacts } = this
    const names = collations.map(collationKey)
    if (names.every((name) => sortFacts.collations.has(name))) return sortFacts
    return this.loadSortFacts([...sortFacts.collations.keys(), ...names])
  }

  /** Calls `listener` after every statement; the returned function ends that. */
  onStatement(listener: StatementListener): () => void {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  /** Connections in all, idle, and callers that wait for one. */
  get counts(): { readonly total: number; readonly idle: number; readonly waiting: number } {
    return { total: this.pool.totalCount, idle: this.pool.idleCount, waiting: this.connections.counts.waiting }
  }

  /**
   * Closes the pool; safe to call twice. An operation that waits for a connection fails with SHARD_UNAVAILABLE. One that holds a
   * connection has a bounded time to end: then its connection is closed, and its transaction so rolled back.
   */
  async end(): Promise<void> {
    if (this.ended) return
    this.ended = true
    const ended = Promise.all([this.pool.end(), this.reserve.end()])
    const reason = new Error('the data source was destroyed')
    for (const asked of this.connecting.all()) asked.refuse(reason)
    const off = afterTurning(this.destroyMs, () => {
      for (const lease of this.leases.all()) this.evict(lease, reason)
      this.watch.stop(reason)
    })
    await ended
    off()
    clearInterval(this.idleLook.timer)
    this.watch.stop(reason)
    // A node that is silent does not close its side.
    afterTurning(this.destroyMs, () => {
      for (const session of this.sessions) session.destroy()
    })
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
    oid === types.builtins.INT8 && format !== 'binary' ? Number : types.getTypeParser(oid, format as 'text'),
}

const factsQuery = `SELECT current_setting('server_version') AS version, current_database() AS database, current_schema() AS schema, current_setting('max_prepared_transactions') AS prepared, ${ruledTables}`

function notAsked(node: string): never {
  throw new Error(`Node ${node} was not asked for its facts yet.`)
}
