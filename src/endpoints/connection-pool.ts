import { Pool, type PoolClient, type QueryResult } from 'pg'
import { defaultCluster, ownSchemaOf } from '../values/own-schema'
import { watchIdle } from './activity'
import type { Cancellation } from './cancellation'
import { badConnectionOptions, unavailable } from './connection-errors'
import type { ConnectionPoolSettings, ConnectionSettings } from './connection-settings'
import { NodeConnection } from './node-connection'
import { type NodeFacts, notAsked } from './node-facts'
import { type GiveBack, Permits } from './permits'
import { PooledSession } from './pooled-session'

/** That of `pg`. */
const defaultPoolSize = 10

/** Operations that may wait for a connection of one node, each no longer than `connectTimeoutMS`. */
const maxWaitingForConnection = 100_000

/**
 * A connection, and the call that gives it back. With an error it is closed instead, and also where it is not at rest: in
 * a transaction, or with a cancel request that may still arrive.
 */
export interface Lease {
  readonly connection: NodeConnection
  release(error?: Error | boolean): void
}

/** A client of the pool, as long as it is connected. */
interface Connected {
  readonly session: PooledSession
  /** Who holds it. */
  lease: Lease | undefined
}

/** Connections of one node: taken, held and given back. */
export class ConnectionPool {
  readonly name: string
  /** The schema of this package's own tables. */
  readonly ownSchema: string
  /** Why nothing is asked of the node, although it may answer. */
  fence: Error | undefined
  /** What the node says of itself. */
  facts: NodeFacts
  private readonly pool: Pool
  /** What waits for a connection waits here, and never in pg's pool, which knows no fair clock. */
  private readonly permits: Permits
  /** Refuses each caller that pg's pool has not answered yet: the pool never answers those that it queues when it ends. */
  private readonly connecting = new Bag<Bagged & { refuse(reason: Error): void }>()
  private readonly connected = new Map<PoolClient, Connected>()
  private idleLook: NodeJS.Timeout | undefined
  /** The most connections that it opens, but for those that are lent. */
  readonly size: number
  private readonly settings: ConnectionSettings

  constructor({ pool, waitMs, connections, onPoolError, ownSchema, lent = 0 }: ConnectionPoolSettings) {
    const { node } = connections
    this.name = node
    this.ownSchema = ownSchema ?? ownSchemaOf(defaultCluster)
    this.facts = notAsked(node)
    this.settings = connections
    this.size = pool.max ?? defaultPoolSize
    this.pool = new Pool({ ...pool, max: this.size + lent })
    // Without a listener, the error of an idle connection (a node that dies) would end the process.
    this.pool.on('error', onPoolError)
    this.pool.on('connect', (client) => this.noteConnected(client))
    this.pool.on('remove', (client) => void this.connected.delete(client))
    this.permits = new Permits(node, this.size, { maxWaiting: maxWaitingForConnection, waitMs, of: 'connections' })
  }

  /** One connection more, until it is given back, for who keeps another from coming free. */
  lend(): GiveBack {
    return this.permits.lend()
  }

  /**
   * Takes a connection.
   * @throws ShardedError POOL_EXHAUSTED where none becomes free within `connectionTimeoutMillis`; SHARD_UNAVAILABLE and
   *   its siblings where the node gives none; OperationEnded
   */
  acquire(shard?: string, cancellation?: Cancellation): Promise<Lease> {
    const silence = this.fence ?? this.settings.watch.silence
    if (cancellation?.isCancelled) return Promise.reject(cancellation.ended)
    if (silence) return Promise.reject(unavailable({ node: this.name, shard }, silence))
    const giveBack = this.permits.tryTake()
    if (giveBack) return this.connect(giveBack, shard, cancellation)
    return this.permits.take(cancellation).then((taken) => this.connect(taken, shard, cancellation))
  }

  private connect(giveBack: GiveBack, shard?: string, cancellation?: Cancellation): Promise<Lease> {
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
      try {
        this.pool.connect((error, client, release) => {
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
      } catch (error) {
        // pg reads the options when it makes a client.
        this.connecting.delete(asked)
        giveBack()
        reject(badConnectionOptions(this.name, error))
      }
    })
  }

  private noteConnected(client: PoolClient): void {
    const session = new PooledSession(client, this.settings)
    this.connected.set(client, { session, lease: undefined })
    void session.gone.then(this.settings.watch.over(session))
    this.idleLook ??= watchIdle(
      this.settings,
      () => this.leases(),
      (lease, reason) => this.evict(lease, reason),
    )
  }

  private lease(client: PoolClient, release: Lease['release'], giveBack: GiveBack): Lease {
    const connected = this.connected.get(client)
    if (!connected) throw new RangeError('A client of the pool is connected.')
    const connection = new NodeConnection(connected.session, this.settings)
    const lease: Lease = {
      connection,
      release: (error) => {
        // Once: what ends late must not give back what another has by now.
        if (connected.lease !== lease) return
        connected.lease = undefined
        const isClean = connection.retire()
        release(error || !isClean)
        giveBack()
      },
    }
    connected.lease = lease
    return lease
  }

  /** Ends a hold of a connection from outside, where its holder does not. */
  private evict(lease: Lease, reason: Error): void {
    lease.connection.destroy(reason)
    lease.release(true)
  }

  private leases(): readonly Lease[] {
    return [...this.connected.values()].flatMap(({ lease }) => lease ?? [])
  }

  /** One statement on a connection of its own. */
  async query(text: string, values?: readonly unknown[], cancellation?: Cancellation): Promise<QueryResult> {
    const { connection, release } = await this.acquire(undefined, cancellation)
    try {
      return await connection.query(text, values, undefined, cancellation)
    } finally {
      release()
    }
  }

  /** Connections in all, idle, and callers that wait for one. */
  get counts(): { readonly total: number; readonly idle: number; readonly waiting: number } {
    return { total: this.pool.totalCount, idle: this.pool.idleCount, waiting: this.permits.counts.waiting }
  }

  /** Opens no more, and refuses those that wait for one. @returns when all have been given back and closed */
  async close(reason: Error): Promise<void> {
    const ended = this.pool.end()
    for (const asked of this.connecting.all()) asked.refuse(reason)
    await ended
    clearInterval(this.idleLook)
  }

  /** Takes its connections from all who hold one. */
  evictAll(reason: Error): void {
    for (const lease of this.leases()) this.evict(lease, reason)
  }

  /** Breaks what is still connected. */
  destroyAll(): void {
    for (const { session } of this.connected.values()) session.destroy()
  }
}

/** Something that is in one bag at most. */
export interface Bagged {
  /** The bag's own. */
  place: number
}

/** The place of what is in no bag. */
export const nowhere = -1

/**
 * Things that come and go by the ten thousand a second, of which a few are there at once, in no order. A Set hashes each of
 * them, and makes its table anew as it grows and shrinks.
 *
 * @example
 * const one = { place: nowhere, close }
 * bag.add(one)
 * bag.delete(one) // true, and false the second time
 */
export class Bag<T extends Bagged> {
  private readonly list: T[] = []

  get size(): number {
    return this.list.length
  }

  add(one: T): void {
    one.place = this.list.push(one) - 1
  }

  /** @returns false where it was not there */
  delete(one: T): boolean {
    const { place } = one
    if (place === nowhere) return false
    one.place = nowhere
    const last = this.list.pop()
    if (last && last !== one) {
      this.list[place] = last
      last.place = place
    }
    return true
  }

  /** What is there now: it may go while this is read. */
  all(): readonly T[] {
    return [...this.list]
  }
}
