import { CannotExecuteNotConnectedError, type EntityManager, type ObjectLiteral, type ReplicationMode } from 'typeorm'
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver'
import { PostgresQueryRunner } from 'typeorm/driver/postgres/PostgresQueryRunner'
import type { QueryResult } from 'typeorm/query-runner/QueryResult'
import { BoundClient } from '../../endpoints/bound-client'
import type { Cancellation } from '../../endpoints/cancellation'
import type { NodeConnection } from '../../endpoints/node-connection'
import type { NodePool } from '../../endpoints/node-pool'
import { PooledClient } from '../../endpoints/pooled-client'
import { type Operation, type ScatterLimits, shardCancellation, startOperation } from '../../execution/operation'
import type { Shard } from '../../topology/shard'
import type { FollowMap } from '../runners/following-map'
import { unwrap } from '../runners/shard-access'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { ShardTransaction } from '../runners/shard-transaction'
import type { Statements } from '../statements/statements'
import { TransactionControl, type TransactionHost } from './transaction-control'

/** How the statements of one operation differ from those that a runner sends otherwise. */
export interface StatementNarrowing {
  readonly isExplicit?: boolean
  /** The shard that a hint names, for the tables of its group. */
  readonly pinned?: Shard | undefined
  /** The same text means other rows than elsewhere: what is cached of it is kept apart under this name. */
  readonly cacheScope?: string | undefined
  readonly limits?: ScatterLimits | undefined
}

/** What the data source gives its query runners. It has no runtime before it is initialised. */
export interface RunnerSource {
  readonly driver: PostgresDriver
  readonly mode: ReplicationMode
  readonly runtime: () => ShardRuntime
  readonly statements: () => Statements | undefined
  readonly follow: FollowMap
}

/** The parameters of a query, as TypeORM types them. Its driver of PostgreSQL refuses named ones. */
export type QueryParameters = unknown[] | ObjectLiteral

/** A query runner that speaks to the home node: on its own connection, in its transaction, or on a connection of the pool. */
export abstract class HomeQueryRunner extends PostgresQueryRunner implements TransactionHost {
  declare readonly manager: EntityManager
  // TypeORM's, which what begins and ends transactions has to set.
  declare transactionDepth: number
  /** The runner itself, also where a view of it is asked: what outlives one operation belongs to it. */
  abstract readonly runner: ShardTransaction
  protected readonly control: TransactionControl
  /** The connection is kept in a turn, or waits for one. */
  private hasTurn = false
  /** Queries outside of a transaction that run on the connection. */
  private shortUses = 0
  /** Of views that `narrowed` gives. */
  readonly narrowing: StatementNarrowing | undefined = undefined
  /** Of views whose caller gave limits. */
  protected readonly limited: Operation | undefined = undefined

  constructor(protected readonly source: RunnerSource) {
    super(source.driver, source.mode)
    this.control = new TransactionControl(this)
  }

  /**
   * A view of this runner for one operation: the same connections and transaction, its statements narrowed. Limits count
   * from here; without any, those of the view that it is made of go on. To release a borrowed view does nothing: the runner
   * is its owner's.
   */
  narrowed(narrowing: StatementNarrowing, { borrowed }: { readonly borrowed: boolean }): this {
    const { limits } = narrowing
    const own: Readonly<Record<PropertyKey, unknown>> = {
      narrowing,
      limited: limits ? startOperation({ kind: 'statement', defaults: this.runtime.limits, limits }) : this.limited,
      // TypeORM's driver lists the runners that hold a connection, and releases them when it ends: the runner, not a view of it.
      connect: () => this.connect(),
      release: async () => (borrowed ? undefined : this.release()),
    }
    return new Proxy(this, {
      get: (runner, name, view) => (Object.hasOwn(own, name) ? own[name] : Reflect.get(runner, name, view)),
    })
  }

  get runtime(): ShardRuntime {
    return this.source.runtime()
  }

  atHome(text: string, parameters: readonly unknown[] = []): Promise<QueryResult> {
    return this.sendHome(text, parameters.length > 0 ? [...parameters] : undefined)
  }

  protected async sendHome(query: string, parameters: QueryParameters | undefined): Promise<QueryResult> {
    const cancellation = this.limited && shardCancellation(this.limited)
    if (cancellation) return this.atHomeApart(cancellation, query, parameters)
    if (this.isInTransaction) await this.control.nodes.open(this.runtime.map.home)
    this.shortUses += 1
    try {
      return await super.query(query, parameters, true)
    } finally {
      this.shortUses -= 1
    }
  }

  /**
   * What a statement over shards asks of the home node. It takes a connection and gives it back: the runner would keep one
   * while the statement waits for others of the same pool. A session that drew a number of a sequence is kept, so that
   * `currval` finds it.
   */
  protected async sendHomeOnce(query: string, parameters: unknown[]): Promise<QueryResult> {
    if (this.isInTransaction || mayCallSequence(query)) return this.sendHome(query, parameters)
    return this.atHomeApart(this.limited && shardCancellation(this.limited), query, parameters)
  }

  /**
   * TypeORM's query on a client of its own. The cancellation ends its statement, and it holds a connection only while it sends. Where
   * the runner keeps a connection, the client uses that one: its session has the settings that the caller made.
   */
  private async atHomeApart(
    cancellation: Cancellation | undefined,
    query: string,
    parameters: QueryParameters | undefined,
  ): Promise<QueryResult> {
    try {
      cancellation?.throwIfCancelled()
      const owned = this.ownedConnection()
      const connection = await (cancellation?.race(owned) ?? owned)
      const client = connection
        ? new BoundClient(connection, asWritten, undefined, cancellation)
        : new PooledClient({ pool: this.homePool, bind: asWritten, shard: undefined, cancellation })
      const apart: this = Object.create(this, { connect: { value: async () => client } })
      return await super.query.call(apart, query, parameters, true)
    } catch (error) {
      throw unwrap(error)
    } finally {
      cancellation?.close()
    }
  }

  /** The home node's connection of the transaction, or the one that is kept outside of any. */
  private async ownedConnection(): Promise<NodeConnection | undefined> {
    const { home } = this.runtime.map
    if (!this.isInTransaction) return this.heldConnection(home)
    await this.control.nodes.open(home)
    return (await this.connect()).connection
  }

  async heldConnection(node: string): Promise<NodeConnection | undefined> {
    if (node !== this.runtime.map.home || this.isReleased || this.isInTransaction) return undefined
    const isHeld = this.databaseConnection || this.databaseConnectionPromise || this.hasTurn || this.adoptedHome
    // The caller that asked for the connection gets the error.
    const client = isHeld ? await this.connect().catch(() => undefined) : undefined
    return client?.connection
  }

  /**
   * The home node's connection, kept until `release`: in the turn of a transaction, since it is kept as long. Queries outside of
   * a transaction take it without a turn, for they always come to an end.
   */
  override connect(): Promise<BoundClient> {
    // Where a shard's runner holds a connection of the home node for this one, it needs none of its own.
    const { adoptedHome } = this
    if (adoptedHome) return Promise.resolve(new BoundClient(adoptedHome, asWritten, undefined))
    const needsNoTurn = this.hasTurn || this.databaseConnection || (this.shortUses > 0 && !this.isInTransaction)
    return needsNoTurn ? this.connectHome() : this.connectInTurn()
  }

  /**
   * Takes the connection for a transaction: one that was taken for a query gets a turn now. Where no turn is free it goes on
   * without: those that have the turns may be waiting for this connection.
   */
  async connectForTransaction(): Promise<BoundClient> {
    const client = await this.connect()
    const giveBack = this.hasTurn ? undefined : this.homePool.transactions.tryTake(this.runner)
    if (giveBack) {
      this.hasTurn = true
      client.connection.onRetire(giveBack)
    }
    return client
  }

  private async connectInTurn(): Promise<BoundClient> {
    this.hasTurn = true
    try {
      const giveBack = await this.homePool.transactions.take(this.runner)
      const client = await this.connectHome().catch((error: unknown) => {
        giveBack()
        throw error
      })
      client.connection.onRetire(giveBack)
      return client
    } catch (error) {
      this.hasTurn = false
      throw error
    }
  }

  /** @throws CannotExecuteNotConnectedError if the data source was destroyed while this waited for its turn */
  private connectHome(): Promise<BoundClient> {
    return this.driver.master ? super.connect() : Promise.reject(new CannotExecuteNotConnectedError())
  }

  /** By TypeORM's own way to give a broken connection back, which is not part of its types. */
  closeConnection(): void {
    const release: unknown = Reflect.get(this, 'releasePostgresConnection')
    if (typeof release === 'function') Reflect.apply(release, this, [new Error('The transaction did not end.')])
  }

  get ownConnection(): NodeConnection | undefined {
    const client: BoundClient | undefined = this.databaseConnection
    return client?.connection
  }

  private get adoptedHome(): NodeConnection | undefined {
    const { nodes } = this.control
    return nodes.hasAdopted ? nodes.adoptedOn(this.runtime.map.home) : undefined
  }

  get homePool(): NodePool {
    const { runtime } = this
    return runtime.pool(runtime.map.home)
  }

  get isInTransaction(): boolean {
    return this.control.isActive
  }
}

const asWritten = (text: string): string => text

/** Defaults of columns call sequences in an INSERT. */
const mayCallSequence = (text: string): boolean => /\b(?:insert|merge|nextval|currval|lastval|setval)\b/i.test(text)
