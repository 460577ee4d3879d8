import { Pool, type PoolClient, type PoolConfig, type QueryResult, types } from 'pg'
import { collationKey } from '../planning/collation-name'
import type { NodeSortFacts } from '../planning/node-sort-facts'
import { requestCancel } from './cancel-request'
import { unavailable } from './connection-errors'
import type { Fuse } from './fuse'
import { LockWatch } from './lock-watch'
import { NamedPlans } from './named-plans'
import { type ConnectionSettings, NodeConnection } from './node-connection'
import { Permits } from './permits'
import { Session } from './session'
import { loadSortFacts } from './sort-facts'
import type { StatementListener } from './statement-event'

/** What a node says of itself. */
export interface NodeFacts {
  readonly version: string
  readonly database: string
  readonly searchSchema: string
  /** How many transactions may be prepared; 0: none. */
  readonly maxPreparedTransactions: number
}

export interface NodePoolSettings {
  readonly name: string
  readonly pool: PoolConfig
  /** Named statements per connection; 0: none. */
  readonly maxPrepared: number
  /** Scatters that run on the node at once, and likewise streams that are open; never more than the pool's size less one. */
  readonly concurrency?: number | undefined
  /** bigint as a JavaScript number, as TypeORM's option of this name asks. */
  readonly parseInt8?: boolean | undefined
  /** Milliseconds that a statement of a transaction over several nodes may wait for a lock. */
  readonly lockTimeoutMs?: number
  readonly onPoolError: (error: Error) => void
  /** Told what an operator should know. */
  readonly warn?: (text: string) => void
}

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
  private readonly settings: ConnectionSettings
  private knownFacts: NodeFacts | undefined
  private knownSortFacts: NodeSortFacts | undefined
  private ended = false

  constructor({
    name,
    pool,
    maxPrepared,
    concurrency,
    parseInt8,
    lockTimeoutMs = Number.POSITIVE_INFINITY,
    onPoolError,
    warn = () => undefined,
  }: NodePoolSettings) {
    this.name = name
    const open = (config: PoolConfig): Pool => {
      const opened = new Pool(parseInt8 ? { ...config, types: int8AsNumber } : config)
      // Without a listener, the error of an idle connection (a node that dies) would end the process.
      opened.on('error', onPoolError)
      opened.on('connect', (client) => void Session.of(client))
      return opened
    }
    this.pool = open(pool)
    this.reserve = open({ ...pool, max: reserveSize })
    this.settings = {
      plans: new NamedPlans(name, maxPrepared, warn),
      listeners: this.listeners,
      requestCancel: (client) => requestCancel(client, pool.stream),
    }
    if (lockTimeoutMs !== Number.POSITIVE_INFINITY) {
      this.lockWatch = new LockWatch(name, lockTimeoutMs, (text, values) => this.background.query(text, values))
    }
    const spare = Math.max(1, this.pool.options.max - 1)
    this.scatters = new Permits(name, Math.min(concurrency ?? spare, spare))
    this.streams = new Permits(name, Math.min(concurrency ?? spare, spare))
  }

  /** The most connections that it opens. */
  get size(): number {
    return this.pool.options.max
  }

  /**
   * Takes a connection.
   * @throws ShardedError SHARD_UNAVAILABLE, also when none becomes free within `connectionTimeoutMillis`; OperationEnded
   */
  acquire(shard?: string, fuse?: Fuse): Promise<Lease> {
    return new Promise((resolve, reject) => {
      let isAbandoned = false
      const off = fuse?.onBlow(() => {
        isAbandoned = true
        reject(fuse.ended)
      })
      if (isAbandoned) return
      this.pool.connect((error, client, release) => {
        off?.()
        if (isAbandoned) {
          if (client) release()
        } else if (error || !client) reject(unavailable({ node: this.name, shard }, error))
        else resolve(this.lease(client, release))
      })
    })
  }

  private lease(client: PoolClient, release: Lease['release']): Lease {
    const connection = new NodeConnection(client, this.settings, this.name)
    return {
      connection,
      release: (error) => {
        const isClean = connection.retire()
        release(error || !isClean)
      },
    }
  }

  /** One statement on a connection of its own. */
  async query(text: string, values?: readonly unknown[], fuse?: Fuse): Promise<QueryResult> {
    const lease = await this.acquire(undefined, fuse)
    try {
      return await lease.connection.query(text, values, undefined, fuse)
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
    })
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
    })
    return this.knownFacts
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
    return { total: this.pool.totalCount, idle: this.pool.idleCount, waiting: this.pool.waitingCount }
  }

  /** Closes the pool; safe to call twice. */
  async end(): Promise<void> {
    if (this.ended) return
    this.ended = true
    await Promise.all([this.pool.end(), this.reserve.end()])
  }
}

/** The parsers of `pg`, but for bigint: this pool's own, where `pg.defaults.parseInt8` would be everybody's. */
const int8AsNumber = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === types.builtins.INT8 && format !== 'binary' ? Number : types.getTypeParser(oid, format as 'text'),
}

const factsQuery = `SELECT current_setting('server_version') AS version, current_database() AS database, current_schema() AS schema, current_setting('max_prepared_transactions') AS prepared`

function notAsked(node: string): never {
  throw new Error(`Node ${node} was not asked for its facts yet.`)
}
