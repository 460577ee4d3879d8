import { Readable } from 'node:stream'
import {
  type EntityManager,
  NamedPlaceholdersNotSupportedError,
  QueryFailedError,
  QueryRunnerAlreadyReleasedError,
  type ReplicationMode,
  TransactionNotStartedError,
} from 'typeorm'
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver'
import { PostgresQueryRunner } from 'typeorm/driver/postgres/PostgresQueryRunner'
import type { IsolationLevel } from 'typeorm/driver/types/IsolationLevel'
import { validateIsolationLevel } from 'typeorm/driver/validate-isolation-level'
import type { ReadStream } from 'typeorm/platform/PlatformTools'
import type { QueryResult } from 'typeorm/query-runner/QueryResult'
import { ShardedError } from '../../errors/sharded-error'
import type { Fuse } from '../../execution/fuse'
import type { NodeConnection } from '../../execution/node-connection'
import type { Lease } from '../../execution/node-pool'
import { OperationLimits } from '../../execution/operation-limits'
import type { ScatterLimits } from '../../execution/scatter-limits'
import { isServerRefusal } from '../../execution/server-refusal'
import type { Explanation } from '../../planning/explanation'
import type { Shard } from '../../topology/shard'
import { commitTransaction } from '../../transactions/commit-transaction'
import { NodeTransaction } from '../../transactions/node-transaction'
import type { Participant } from '../../transactions/participant'
import { UndoLog } from '../../transactions/undo-log'
import { BoundClient } from '../runners/bound-client'
import { ParticipantQueryRunner } from '../runners/participant-query-runner'
import type { RowMoves } from '../runners/row-moves'
import { ShardAccess, unwrap } from '../runners/shard-access'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { ShardStatement } from '../runners/shard-statement'
import type { MovingStatement } from '../runners/shard-transaction'
import type { StatementEngine } from '../statements/statement-engine'
import type { StatementContext } from '../statements/statement-run'

interface NodePart {
  readonly transaction: NodeTransaction
  readonly runners: Map<string, ParticipantQueryRunner>
  /** Runners of single operations, within their limits. They live as long as the transaction: entities may load by them. */
  readonly limited: ParticipantQueryRunner[]
  /** It speaks on the runner's own connection. */
  readonly isHome: boolean
}

/** How the statements of one operation differ from those that a runner sends otherwise. */
export interface StatementNarrowing {
  readonly isExplicit: boolean
  /** The shard that a hint names, for the tables of its group. */
  readonly pinned: Shard | undefined
  /** The same text means other rows than elsewhere: what is cached of it is kept apart under this name. */
  readonly cacheScope: string | undefined
  readonly limits: ScatterLimits | undefined
}

/**
 * The query runner of a sharded data source. Its own connection is the home node's, for unsharded entities; in a
 * transaction it opens each node when it is first touched, one connection and one PostgreSQL transaction a node, and
 * commits them as `commit-transaction.ts` says.
 */
export class ShardedQueryRunner extends PostgresQueryRunner {
  declare readonly manager: EntityManager
  private readonly parts = new Map<string, Promise<NodePart>>()
  private readonly opened: NodePart[] = []
  /** The transaction ends: see `endParts`. */
  private ending = false
  private lastCommit: Promise<void> | undefined
  private readonly undone = new UndoLog()
  private isolation: string | undefined
  /** In the mode `single-shard`, the shard of the transaction. */
  private onlyShard: Shard | undefined
  /** Of views that `narrowed` gives. */
  readonly narrowing: StatementNarrowing | undefined = undefined
  private readonly operationLimits: OperationLimits | undefined = undefined

  constructor(
    private readonly runtime: () => ShardRuntime,
    driver: PostgresDriver,
    mode: ReplicationMode,
    private readonly engine: () => StatementEngine | undefined,
  ) {
    super(driver, mode)
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
      operationLimits: limits ? new OperationLimits(this.runtime().limits, limits) : this.operationLimits,
      // TypeORM's driver lists who holds a connection, and asks them at its end to give it back: not a view of them.
      connect: () => this.connect(),
      release: async () => (borrowed ? undefined : this.release()),
    }
    return new Proxy(this, {
      get: (runner, name, view) => (Object.hasOwn(own, name) ? own[name] : Reflect.get(runner, name, view)),
    })
  }

  /** The entity manager of a shard inside this transaction; with a fuse, one of the caller's own. */
  async participant(shard: Shard, fuse?: Fuse): Promise<EntityManager> {
    this.admit(shard)
    const part = await this.openNode(shard.node)
    const own = this.runnerOf(part, shard)
    if (!fuse) return own.manager
    const runner = this.newRunner(part, shard, fuse)
    part.limited.push(runner)
    return runner.manager
  }

  /** The connection of a shard's node inside this transaction. */
  async connectionFor(shard: Shard): Promise<NodeConnection> {
    this.admit(shard)
    const part = await this.openNode(shard.node)
    this.runnerOf(part, shard)
    return part.transaction.connection
  }

  /** Opens nodes one after the other, in the given order. */
  async openNodes(nodes: readonly string[]): Promise<void> {
    for (const node of nodes) await this.openNode(node)
  }

  /** Statements that name a sharded table are routed and merged; all others are the home node's. */
  override async query(query: string, parameters?: unknown[], useStructuredResult?: boolean): Promise<never> {
    const engine = this.engine()
    if (!engine?.mentions(query)) return this.atHome(query, parameters, useStructuredResult)
    if (this.isReleased) throw new QueryRunnerAlreadyReleasedError()
    if (parameters && !Array.isArray(parameters)) throw new NamedPlaceholdersNotSupportedError()
    const result = await engine.run(query, parameters ?? [], this.statementContext())
    if (result) return (useStructuredResult ? result : result.raw) as never
    return this.atHome(query, parameters, useStructuredResult)
  }

  async moveRows({ from, text, parameters }: MovingStatement, moves: RowMoves): Promise<number> {
    const context = { ...this.statementContext(), isExplicit: true, pinned: from, moves }
    return (await this.engine()?.run(text, parameters, context))?.affected ?? 0
  }

  async readOverShards({ shard, text, parameters }: ShardStatement): Promise<QueryResult> {
    // The policy was asked when the operation was routed.
    const context = { ...this.statementContext(), isExplicit: true, pinned: undefined, own: shard }
    const result = await this.engine()?.run(text, parameters, context)
    if (result) return result
    throw new RangeError('A statement for a shard names a table of it.')
  }

  async atomically<T>(work: () => Promise<T>): Promise<T> {
    const depth = this.transactionDepth
    await this.onEach((part) => part.transaction.savepoint(depth))
    this.transactionDepth = depth + 1
    try {
      const result = await work()
      await this.onEach((part) => part.transaction.releaseSavepoint(depth))
      this.undone.release(depth + 1)
      return result
    } catch (error) {
      const parts = await this.openParts()
      // A statement that failed has aborted its node's transaction, as it would without us, and so nothing can be committed.
      if (!parts.some((part) => part.transaction.connection.isTransactionFailed))
        await this.onEach((part) => part.transaction.rollbackToSavepoint(depth))
      this.undone.rollback(depth + 1)
      throw error
    } finally {
      this.transactionDepth = depth
    }
  }

  onRollback(undo: () => void): void {
    this.undone.add(this.transactionDepth, undo)
  }

  /** How a query over shards would be answered. @throws ShardedError NOT_SHARDED, and what `query` refuses */
  async explain(query: string, parameters: readonly unknown[] = []): Promise<Explanation> {
    const engine = this.engine()
    if (!engine?.mentions(query)) throw new ShardedError('NOT_SHARDED', 'The query names no sharded table.', {})
    return engine.explain(query, parameters, this.statementContext())
  }

  private statementContext(): StatementContext {
    return {
      access: new ShardAccess(this.runtime(), this.isTransactionActive ? this : undefined, this.operationLimits),
      home: (text, values) => this.atHome(text, [...values], true),
      openRunner: () => this.dataSource.createQueryRunner() as ShardedQueryRunner,
      isExplicit: this.narrowing?.isExplicit ?? false,
      pinned: this.narrowing?.pinned,
    }
  }

  private async atHome(query: string, parameters?: unknown[], useStructuredResult?: boolean): Promise<never> {
    const fuse = this.operationLimits?.shardFuse()
    if (fuse) return this.atHomeWithin(fuse, query, parameters, useStructuredResult)
    if (this.isTransactionActive) await this.openNode(this.runtime().map.home)
    return super.query(query, parameters as never, useStructuredResult as never) as never
  }

  /** TypeORM's query on a connection that the fuse ends, which TypeORM itself cannot be told of. */
  private async atHomeWithin(fuse: Fuse, ...query: [string, unknown[]?, boolean?]): Promise<never> {
    const { map } = this.runtime()
    let lease: Lease | undefined
    try {
      fuse.check()
      if (this.isTransactionActive) await fuse.race(this.openNode(map.home))
      else lease = await this.runtime().pool(map.home).acquire(undefined, fuse)
      const { connection }: { connection: NodeConnection } = lease ?? (await this.connect())
      const client = new BoundClient(connection, (text) => text, undefined, fuse)
      const fused = Object.create(this, { connect: { value: async () => client } }) as this
      return (await super.query.apply(fused, query as never)) as never
    } catch (error) {
      throw unwrap(error)
    } finally {
      lease?.release()
      fuse.close()
    }
  }

  /** As TypeORM's: a readable of raw rows; over shards it is merged from cursors on every node. */
  override async stream(
    query: string,
    parameters?: unknown[],
    onEnd?: () => unknown,
    onError?: (error: Error) => unknown,
  ): Promise<ReadStream> {
    const engine = this.engine()
    if (!engine?.mentions(query)) {
      if (this.operationLimits)
        throw new ShardedError('LIMITS_UNSUPPORTED', 'withLimits does not reach a stream of unsharded tables.', {})
      if (this.isTransactionActive) await this.openNode(this.runtime().map.home)
      return super.stream(query, parameters as never, onEnd as never, onError as never)
    }
    if (this.isReleased) throw new QueryRunnerAlreadyReleasedError()
    const rows = Readable.from(withDriverErrors(engine.stream(query, parameters ?? [], this.statementContext())))
    if (onError) rows.on('error', onError)
    // A reader that stops early is at its end too.
    if (onEnd) rows.once('close', onEnd)
    return rows as unknown as ReadStream
  }

  override async startTransaction(isolationLevel?: IsolationLevel): Promise<void> {
    const isolation = isolationLevel ?? this.dataSource.options.isolationLevel
    validateIsolationLevel(this.driver.supportedIsolationLevels, isolation)
    this.isTransactionActive = true
    try {
      await this.broadcaster.broadcast('BeforeTransactionStart')
    } catch (error) {
      this.isTransactionActive = this.transactionDepth > 0
      throw error
    }
    if (this.transactionDepth === 0) this.isolation = isolation
    else await this.onEach((part) => part.transaction.savepoint(this.transactionDepth))
    this.transactionDepth += 1
    await this.broadcaster.broadcast('AfterTransactionStart')
  }

  override commitTransaction(): Promise<void> {
    const commit = this.commit()
    this.lastCommit = commit.catch(() => undefined)
    return commit
  }

  private async commit(): Promise<void> {
    if (!this.isTransactionActive || this.ending) throw new TransactionNotStartedError()
    await this.broadcaster.broadcast('BeforeTransactionCommit')
    if (this.transactionDepth > 1) {
      await this.onEach((part) => part.transaction.releaseSavepoint(this.transactionDepth - 1))
      this.undone.release(this.transactionDepth)
      this.transactionDepth -= 1
    } else {
      try {
        await this.commitNodes()
      } catch (error) {
        this.undone.rollback(0)
        throw error
      }
      this.undone.clear()
    }
    await this.broadcaster.broadcast('AfterTransactionCommit')
  }

  override async rollbackTransaction(): Promise<void> {
    if (!this.isTransactionActive || this.ending) throw new TransactionNotStartedError()
    await this.broadcaster.broadcast('BeforeTransactionRollback')
    this.undone.rollback(this.transactionDepth)
    if (this.transactionDepth > 1) {
      await this.onEach((part) => part.transaction.rollbackToSavepoint(this.transactionDepth - 1))
      this.transactionDepth -= 1
    } else {
      const parts = await this.endParts()
      const results = await Promise.allSettled(parts.map((part) => part.transaction.rollback()))
      this.finish(parts)
      const failed = results.find((result) => result.status === 'rejected')
      if (failed) throw failed.reason
    }
    await this.broadcaster.broadcast('AfterTransactionRollback')
  }

  /** Gives all connections back; a transaction that nobody ended is rolled back by closing them. */
  override async release(): Promise<void> {
    // One that is under way is not to be disturbed.
    await this.lastCommit
    if (this.parts.size > 0) this.finish(await this.endParts())
    this.undone.rollback(0)
    await super.release()
  }

  private runnerOf(part: NodePart, shard: Shard): ParticipantQueryRunner {
    const known = part.runners.get(shard.name)
    if (known) return known
    const runner = this.newRunner(part, shard)
    part.runners.set(shard.name, runner)
    return runner
  }

  private newRunner({ transaction }: NodePart, shard: Shard, fuse?: Fuse): ParticipantQueryRunner {
    const { dataSource, bind } = this.runtime().handle(shard)
    return new ParticipantQueryRunner(dataSource, new BoundClient(transaction.connection, bind, shard.name, fuse), this)
  }

  private async commitNodes(): Promise<void> {
    const parts = await this.endParts()
    try {
      await commitTransaction(
        parts.map((part) => participantOf(part)),
        this.runtime().transactions.twoPhase,
      )
    } catch (error) {
      // As TypeORM's own COMMIT fails: a deferred constraint, a serialization failure.
      throw isServerRefusal(error) ? new QueryFailedError('COMMIT', undefined, error) : error
    } finally {
      this.finish(parts)
    }
  }

  /** @throws ShardedError SINGLE_SHARD_TRANSACTION for a second shard where there may be one only */
  private admit(shard: Shard): void {
    if (this.runtime().transactions.mode !== 'single-shard') return
    this.onlyShard ??= shard
    if (this.onlyShard.name === shard.name) return
    throw singleShard(`shard ${this.onlyShard.name}`, `shard ${shard.name}`)
  }

  /** Opens a node at the present depth; asked for twice at once, it is opened once. */
  private async openNode(node: string): Promise<NodePart> {
    if (this.ending) throw new QueryRunnerAlreadyReleasedError()
    const known = this.parts.get(node)
    if (known) return known
    const [other] = this.parts.keys()
    if (other !== undefined && this.runtime().transactions.mode === 'single-shard')
      throw singleShard(`node ${other}`, `node ${node}`)
    const opening = this.openPart(node)
    this.parts.set(node, opening)
    opening.then(
      (part) => this.watchLocks(part),
      () => this.parts.delete(node),
    )
    return opening
  }

  /** Over several nodes no server sees who waits for whom. */
  private watchLocks(part: NodePart): void {
    this.opened.push(part)
    if (this.opened.length < 2) return
    for (const { transaction } of this.opened) {
      transaction.connection.lockWatch = this.runtime().pool(transaction.node).lockWatch
    }
  }

  private async openPart(node: string): Promise<NodePart> {
    const runtime = this.runtime()
    const settings = { isolation: this.isolation, depth: this.transactionDepth }
    const part = { runners: new Map(), limited: [], isHome: node === runtime.map.home }
    if (node !== runtime.map.home) {
      return { transaction: await NodeTransaction.open(runtime.pool(node), settings), ...part }
    }
    // The home node's part speaks on this runner's own connection, which may have been taken before the transaction.
    const client: BoundClient = await this.connect()
    return { transaction: await NodeTransaction.over(node, client.connection, settings), ...part }
  }

  private async openParts(): Promise<readonly NodePart[]> {
    const settled = await Promise.allSettled(this.parts.values())
    return settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  }

  /** From here on the transaction takes no statement: one that is sent after PREPARE TRANSACTION would be a write of its own. */
  private async endParts(): Promise<readonly NodePart[]> {
    // Asked for twice at once, while subscribers were told.
    if (this.ending) throw new TransactionNotStartedError()
    this.ending = true
    const parts = await this.openParts()
    for (const part of parts) for (const runner of [...part.runners.values(), ...part.limited]) runner.end()
    return parts
  }

  private async onEach(work: (part: NodePart) => Promise<void>): Promise<void> {
    for (const part of await this.openParts()) await work(part)
  }

  /** Ends the transaction's bookkeeping and gives the other nodes' connections back, closing those that are not at rest. */
  private finish(parts: readonly NodePart[]): void {
    this.parts.clear()
    this.opened.length = 0
    this.onlyShard = undefined
    this.transactionDepth = 0
    this.isTransactionActive = false
    for (const { transaction, isHome } of parts) {
      const { connection } = transaction
      connection.lockWatch = undefined
      const broken = !connection.isAtRest
      transaction.release(broken)
      if (broken && isHome) this.closeConnection()
    }
    this.ending = false
  }

  /** TypeORM's own way to give a broken connection back; it is not part of its types. */
  private closeConnection(): void {
    const runner = this as unknown as { releasePostgresConnection(error: Error): Promise<void> }
    void runner.releasePostgresConnection(new Error('The transaction did not end.'))
  }
}

function singleShard(first: string, second: string): ShardedError {
  return new ShardedError(
    'SINGLE_SHARD_TRANSACTION',
    `The transaction is on ${first}, and would go to ${second} too.`,
    {
      details: { first, second },
    },
  )
}

function participantOf({ transaction, runners }: NodePart): Participant {
  const { node, connection } = transaction
  return {
    node,
    shards: [...runners.keys()],
    isFailed: connection.isTransactionFailed,
    get isOpen() {
      return connection.inTransaction
    },
    get hasEnded() {
      return connection.hasEnded
    },
    hasWritten: (fuse) => transaction.hasWritten(fuse),
    commit: (fuse) => transaction.commit(fuse),
    rollback: (fuse) => transaction.rollback(fuse),
    query: (...statement) => transaction.query(...statement),
  }
}

/** A stream of TypeORM fails with the driver's error as it is. */
async function* withDriverErrors<T>(rows: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  try {
    yield* rows
  } catch (error) {
    throw error instanceof QueryFailedError ? error.driverError : error
  }
}
