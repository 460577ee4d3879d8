import {
  CannotExecuteNotConnectedError,
  type EntityManager,
  NamedPlaceholdersNotSupportedError,
  QueryFailedError,
  QueryRunnerAlreadyReleasedError,
  type ReplicationMode,
  type Table,
  TransactionNotStartedError,
} from 'typeorm'
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver'
import { PostgresQueryRunner } from 'typeorm/driver/postgres/PostgresQueryRunner'
import type { IsolationLevel } from 'typeorm/driver/types/IsolationLevel'
import { validateIsolationLevel } from 'typeorm/driver/validate-isolation-level'
import type { ReadStream } from 'typeorm/platform/PlatformTools'
import type { QueryResult } from 'typeorm/query-runner/QueryResult'
import { Activity } from '../../endpoints/activity'
import { BoundClient } from '../../endpoints/bound-client'
import type { Cancellation } from '../../endpoints/cancellation'
import type { NodeConnection } from '../../endpoints/node-connection'
import type { NodePool } from '../../endpoints/node-pool'
import { PooledClient } from '../../endpoints/pooled-client'
import { isServerRefusal } from '../../endpoints/server-refusal'
import type { TransactionTurns } from '../../endpoints/transaction-turns'
import { ShardedError } from '../../errors/sharded-error'
import { OperationLimits } from '../../execution/operation-limits'
import type { ScatterLimits } from '../../execution/scatter-limits'
import type { Explanation } from '../../planning/explanation'
import { loadParser } from '../../sql/parser'
import type { KeptStatement } from '../../sql/session-statement'
import { mayChangeSession, sessionText } from '../../sql/session-text'
import type { Shard } from '../../topology/shard'
import { commitTransaction } from '../../transactions/commit-transaction'
import { NodeTransaction } from '../../transactions/node-transaction'
import type { Participant } from '../../transactions/participant'
import { PendingWork } from '../../transactions/pending-work'
import { SavepointTurns } from '../../transactions/savepoint-turns'
import { type HeldSetting, SessionScript } from '../../transactions/session-script'
import { UndoLog } from '../../transactions/undo-log'
import type { Query } from '../runners/own-words-query-runner'
import { ParticipantQueryRunner } from '../runners/participant-query-runner'
import { readableOf } from '../runners/readable-of'
import { refuseOverShards, refuseSession } from '../runners/refuse-session'
import { RestingBroadcaster } from '../runners/resting-broadcaster'
import type { RowMoves } from '../runners/row-moves'
import { ShardAccess, unwrap } from '../runners/shard-access'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { ShardStatement } from '../runners/shard-statement'
import type { MovingStatement, NodeText } from '../runners/shard-transaction'
import type { StatementContext } from '../statements/statement-run'
import type { Statements } from '../statements/statements'
import { checkInside, checkOutside } from './check-session'
import { runSessionText } from './run-session-text'
import { SessionControl, type SessionHost, type Telling } from './session-control'
import { hasOnAllShards, loadShardedTable } from './sharded-tables'

interface NodePart {
  readonly transaction: NodeTransaction
  /** Those that were touched. */
  readonly shards: Set<string>
  readonly runners: Map<string, ParticipantQueryRunner>
  readonly isHome: boolean
  /** It speaks on the connection that the runner has taken for itself. */
  readonly isOwn: boolean
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

/** What it misses is noticed by the statements that were planned before. */
const changesSchema = /^\s*(?:alter|create|drop|do)\b/i

/**
 * The query runner of a sharded data source. Its own connection is the home node's, for unsharded entities; in a
 * transaction it opens each node when it is first touched, one connection and one PostgreSQL transaction a node, and
 * commits them as `commit-transaction.ts` says.
 */
export class ShardedQueryRunner extends PostgresQueryRunner implements SessionHost {
  declare readonly manager: EntityManager
  private readonly parts = new Map<string, Promise<NodePart>>()
  private readonly opened: NodePart[] = []
  /** Connections by their nodes that a shard's runner holds, and shares with this one. */
  private readonly adopted = new Map<string, NodeConnection>()
  /** The transaction ends: see `endParts`. */
  private ending = false
  /** Its commit failed: to TypeORM it is active until somebody rolls it back, and to the nodes it is over. */
  private hasFailedCommit = false
  /** Queries that were asked for and have no answer yet. */
  private running = 0
  private isReleaseDue = false
  /** By its holder; TypeORM's `isReleased` it is also where the home node's connection has broken, which is said otherwise. */
  private wasReleased = false
  /** It was released while its transaction was open. */
  private wasReleasedInside = false
  /** The commit or rollback that was asked for last, until the nodes have ended. */
  private lastEnd: Promise<void> | undefined
  private readonly undone = new UndoLog()
  private readonly savepoints = new SavepointTurns()
  private readonly pending = new PendingWork()
  readonly activity = new Activity()
  /** What the session was told, which every node of a transaction is told. */
  readonly script = new SessionScript()
  private readonly control = new SessionControl(this)
  /** As the transaction was begun. */
  isolation: string | undefined
  /** SQL has ended a transaction that a call began: the call that ends it finds it over. */
  private wasEnded = false
  /** The transaction, or a level of it, was begun by a call, which will be ended by one. */
  private isCalled = false
  /** The home node has done in this transaction, or in this session, what cannot be prepared. */
  private readonly unpreparable = { inTransaction: false, inSession: false }
  /** The home node's session has what no next holder must have. */
  private isChanged = false
  /** The home node's connection is kept in a turn, or waits for one. */
  private hasTurn = false
  /** Queries outside of a transaction that run on the home node's connection. */
  private shortUses = 0
  /** In the mode `single-shard`, the shard of the transaction. */
  private onlyShard: Shard | undefined
  /** The runner itself, also where a view of it is asked: what outlives one operation belongs to it. */
  private readonly self = this
  /** Of views that `narrowed` gives. */
  readonly narrowing: StatementNarrowing | undefined = undefined
  private readonly operationLimits: OperationLimits | undefined = undefined

  constructor(
    private readonly runtime: () => ShardRuntime,
    driver: PostgresDriver,
    mode: ReplicationMode,
    private readonly statements: () => Statements | undefined,
  ) {
    super(driver, mode)
    this.broadcaster = new RestingBroadcaster(this)
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

  /** The entity manager of a shard inside this transaction. */
  async participant(shard: Shard): Promise<EntityManager> {
    this.admit(shard)
    return this.runnerOf(await this.openNode(shard.node), shard).manager
  }

  async openParticipant(shard: Shard, cancellation?: Cancellation): Promise<ParticipantQueryRunner> {
    this.admit(shard)
    const part = await this.openNode(shard.node)
    part.shards.add(shard.name)
    return this.newRunner(part, shard, cancellation)
  }

  /** The connection of a shard's node inside this transaction. */
  async connectionFor(shard: Shard): Promise<NodeConnection> {
    this.admit(shard)
    const part = await this.openNode(shard.node)
    part.shards.add(shard.name)
    return part.transaction.connection
  }

  get firstNode(): string | undefined {
    return this.opened[0]?.transaction.node
  }

  async time(): Promise<string> {
    const [first] = this.opened
    if (!first) throw new TransactionNotStartedError()
    return first.transaction.time()
  }

  inTime(statement: NodeText): Promise<NodeText | undefined> | undefined {
    const statements = this.statements()
    // A transaction on one node has that node's time anyway.
    if (this.opened.length < 2 && this.firstNode === statement.node) return undefined
    if (!statements?.mayTellTime(statement.text)) return undefined
    const context = this.statementContext()
    return statements.engine().then((engine) => engine.carried.withTransactionTime(statement, context))
  }

  adopt(node: string, connection: NodeConnection): void {
    this.adopted.set(node, connection)
  }

  /** Opens nodes one after the other, in the given order. */
  async openNodes(nodes: readonly string[]): Promise<void> {
    for (const node of nodes) await this.openNode(node)
  }

  /** Statements that name a sharded table are routed and merged; all others are the home node's. */
  override async query(query: string, parameters?: unknown[], useStructuredResult?: boolean): Promise<never> {
    if (this.isReleased || this.isReleaseDue) throw new QueryRunnerAlreadyReleasedError()
    this.running += 1
    const isOfSession = mayChangeSession(query)
    // The end of a transaction may be one.
    const end = this.isInTransaction && !isOfSession ? this.pending.begin() : undefined
    try {
      const result = isOfSession ? await this.aboutSession(query, parameters) : undefined
      if (result) return (useStructuredResult ? result : result.raw) as never
      return await this.answer(query, parameters, useStructuredResult)
    } finally {
      end?.()
      this.running -= 1
      if (this.running === 0 && this.isReleaseDue) await this.self.release()
    }
  }

  during<T>(work: () => Promise<T>): Promise<T> {
    const end = this.pending.begin()
    const working = work()
    working.then(end, end)
    return working
  }

  private answer(query: string, parameters?: unknown[], useStructuredResult?: boolean): Promise<never> {
    const statements = this.statements()
    return statements?.mentions(query, Array.isArray(parameters) ? parameters : [])
      ? this.overShards(statements, query, parameters, useStructuredResult)
      : this.atHomeInTime(query, parameters, useStructuredResult)
  }

  private async overShards(statements: Statements, ...[query, parameters, useStructuredResult]: Query): Promise<never> {
    if (parameters && !Array.isArray(parameters)) throw new NamedPlaceholdersNotSupportedError()
    const context = this.statementContext()
    const engine = await statements.engine()
    const result = await engine.run(query, parameters ?? [], context)
    if (result) return (useStructuredResult ? result : result.raw) as never
    return this.atHomeInTime(query, parameters, useStructuredResult)
  }

  /** What statements about the session, or the transaction, answer; undefined for a text that is about neither. */
  private async aboutSession(query: string, parameters: unknown[] | undefined): Promise<QueryResult | undefined> {
    await loadParser()
    const parts = sessionText(query)
    if (!parts) return undefined
    if (this.isReleased) throw new QueryRunnerAlreadyReleasedError()
    if (parameters && !Array.isArray(parameters)) throw new NamedPlaceholdersNotSupportedError()
    const catalog = this.statements()?.catalog
    refuseOverShards(parts, catalog)
    const [part, another] = parts
    if (part && !another) return this.control.run({ ...part, text: query }, parameters ?? [])
    return runSessionText(this, query, { parts, parameters: parameters ?? [], catalog })
  }

  override async hasTable(tableOrName: Table | string): Promise<boolean> {
    const sharded = this.shardTable(tableOrName)
    return sharded ? hasOnAllShards(this.statementContext().access, sharded) : super.hasTable(tableOrName)
  }

  override async hasColumn(tableOrName: Table | string, columnName: string): Promise<boolean> {
    const sharded = this.shardTable(tableOrName)
    if (!sharded) return super.hasColumn(tableOrName, columnName)
    return hasOnAllShards(this.statementContext().access, sharded, columnName)
  }

  protected override async loadTables(tableNames?: string[]): Promise<Table[]> {
    const names = tableNames ?? []
    const home = names.filter((name) => !this.shardTable(name))
    const tables = tableNames && home.length === 0 ? [] : await super.loadTables(tableNames && home)
    const { access } = this.statementContext()
    const catalog = this.statements()?.catalog
    for (const sharded of names.flatMap((name) => this.shardTable(name) ?? [])) {
      const isOfGroup = (name: string) => catalog?.table(undefined, name)?.group === sharded.table.group
      const { searchSchema: schema } = this.runtime().pool(this.runtime().map.home).facts
      const table = await loadShardedTable(access, sharded, { schema, isOfGroup })
      if (table) tables.push(table)
    }
    return tables
  }

  private shardTable(tableOrName: Table | string) {
    const { schema, tableName } = this.driver.parseTableName(tableOrName)
    const table = this.statements()?.catalog.table(schema, tableName)
    return table && { table, shards: this.runtime().map.groups.get(table.group) ?? [] }
  }

  async moveRows({ from, text, parameters }: MovingStatement, moves: RowMoves): Promise<number> {
    const context = { ...this.statementContext(), isExplicit: true, pinned: from, moves }
    const engine = await this.statements()?.engine()
    return (await engine?.run(text, parameters, context))?.affected ?? 0
  }

  async readOverShards({ shard, text, parameters }: ShardStatement): Promise<QueryResult> {
    // The policy was asked when the operation was routed.
    const context = { ...this.statementContext(), isExplicit: true, pinned: undefined, own: shard }
    const engine = await this.statements()?.engine()
    const result = await engine?.run(text, parameters, context)
    if (result) return result
    throw new RangeError('A statement for a shard names a table of it.')
  }

  atomically<T>(work: () => Promise<T>): Promise<T> {
    return this.savepoints.run(() => this.inSavepoint(work))
  }

  private async inSavepoint<T>(work: () => Promise<T>): Promise<T> {
    const depth = this.transactionDepth
    const name = levelName(depth)
    await this.savepoint(name)
    this.transactionDepth = depth + 1
    try {
      const result = await work()
      await this.releaseSavepoint(name)
      return result
    } catch (error) {
      const parts = await this.openParts()
      const undoneTo = this.script.depthOf(name)
      // A statement that failed has aborted its node's transaction, as it would without us, and so nothing can be committed.
      if (!parts.some((part) => part.transaction.connection.isTransactionFailed)) await this.rollbackToSavepoint(name)
      this.undone.rollback(undoneTo)
      throw error
    } finally {
      this.transactionDepth = depth
    }
  }

  onRollback(undo: () => void): void {
    this.undone.add(this.script.depth, undo)
  }

  /** How a query over shards would be answered. @throws ShardedError NOT_SHARDED, and what `query` refuses */
  async explain(query: string, parameters: readonly unknown[] = []): Promise<Explanation> {
    const statements = this.statements()
    if (!statements?.mentions(query)) throw new ShardedError('NOT_SHARDED', 'The query names no sharded table.', {})
    const context = this.statementContext()
    return (await statements.engine()).explain(query, parameters, context)
  }

  /**
   * The transaction that operations on shards are part of; undefined: they have connections of the pools.
   *
   * @throws QueryRunnerAlreadyReleasedError; ShardedError SESSION_NOT_HELD where those connections would not have what the
   *   session was told
   */
  get transaction(): this | undefined {
    if (this.wasReleased) throw new QueryRunnerAlreadyReleasedError()
    if (this.isInTransaction) return this
    checkOutside(this.script)
    return undefined
  }

  /** How one operation of this runner reaches shards. @throws QueryRunnerAlreadyReleasedError; ShardedError SESSION_NOT_HELD */
  access(limits?: OperationLimits): ShardAccess {
    this.refuseReleased()
    return this.accessWithin(limits)
  }

  private accessWithin(limits: OperationLimits | undefined): ShardAccess {
    return new ShardAccess(this.runtime(), this.transaction, limits, this)
  }

  private statementContext(): StatementContext {
    return {
      access: this.accessWithin(this.operationLimits),
      home: (text, values) => this.sendHomeOnce(text, [...values]),
      openRunner: () => this.dataSource.createQueryRunner() as ShardedQueryRunner,
      isExplicit: this.narrowing?.isExplicit ?? false,
      pinned: this.narrowing?.pinned,
    }
  }

  atHome(text: string, parameters: readonly unknown[] = []): Promise<QueryResult> {
    return this.sendHome(text, parameters.length > 0 ? [...parameters] : undefined, true)
  }

  private async sendHome(query: string, parameters?: unknown[], useStructuredResult?: boolean): Promise<never> {
    const cancellation = this.operationLimits?.shardCancellation()
    if (cancellation) return this.atHomeApart(cancellation, query, parameters, useStructuredResult)
    if (this.isInTransaction) await this.openNode(this.runtime().map.home)
    this.shortUses += 1
    try {
      return (await super.query(query, parameters as never, useStructuredResult as never)) as never
    } finally {
      this.shortUses -= 1
    }
  }

  /**
   * What a statement over shards asks of the home node. It takes a connection and gives it back: the runner would keep one
   * while the statement waits for others of the same pool. A session that drew a number of a sequence is kept, so that
   * `currval` finds it.
   */
  private async sendHomeOnce(query: string, parameters: unknown[]): Promise<QueryResult> {
    if (this.isInTransaction || mayCallSequence(query)) return this.sendHome(query, parameters, true)
    return this.atHomeApart(this.operationLimits?.shardCancellation(), query, parameters, true)
  }

  async heldConnection(node: string): Promise<NodeConnection | undefined> {
    if (node !== this.runtime().map.home || this.isReleased || this.isInTransaction) return undefined
    const isHeld = this.databaseConnection || this.databaseConnectionPromise || this.hasTurn || this.adopted.has(node)
    // The caller that asked for the connection is told why it did not come.
    const client = isHeld ? await this.connect().catch(() => undefined) : undefined
    return client?.connection
  }

  /** The home node's connection of the transaction, or the one that is kept outside of any. */
  private async ownConnection(home: string): Promise<NodeConnection | undefined> {
    if (!this.isInTransaction) return this.heldConnection(home)
    await this.openNode(home)
    return (await this.connect()).connection
  }

  /** In a transaction that began on another node, the time is that node's. */
  private atHomeInTime(...[query, parameters, useStructuredResult]: Query): Promise<never> {
    const { home: node } = this.runtime().map
    const mayBeTold = this.isInTransaction && (!parameters || Array.isArray(parameters))
    const telling = mayBeTold ? this.inTime({ node, text: query, parameters: parameters ?? [] }) : undefined
    const send = (told?: NodeText) =>
      this.sendHome(told?.text ?? query, told ? [...told.parameters] : parameters, useStructuredResult)
    const sent = telling ? telling.then(send) : send()
    if (!changesSchema.test(query)) return sent
    // The transaction that it stands in is to see it at once.
    return sent.then((result) => {
      this.statements()?.schemaChanged()
      return result
    })
  }

  /**
   * TypeORM's query on a client of its own. The cancellation ends its statement, and it holds a connection only while it sends. Where
   * the runner keeps a connection, the client speaks on that: its session has what it was told.
   */
  private async atHomeApart(
    cancellation: Cancellation | undefined,
    ...query: [string, unknown[]?, boolean?]
  ): Promise<never> {
    const { map } = this.runtime()
    try {
      cancellation?.throwIfCancelled()
      const connection = await within(cancellation, this.ownConnection(map.home))
      const client = connection
        ? new BoundClient(connection, asWritten, undefined, cancellation)
        : new PooledClient({ pool: this.homePool(), bind: asWritten, shard: undefined, cancellation })
      const apart = Object.create(this, { connect: { value: async () => client } }) as this
      return (await super.query.apply(apart, query as never)) as never
    } catch (error) {
      throw unwrap(error)
    } finally {
      cancellation?.close()
    }
  }

  /** As TypeORM's: a readable of raw rows; over shards it is merged from cursors on every node. */
  override async stream(
    query: string,
    parameters?: unknown[],
    onEnd?: () => unknown,
    onError?: (error: Error) => unknown,
  ): Promise<ReadStream> {
    const statements = this.statements()
    if (mayChangeSession(query)) {
      await loadParser()
      const what = sessionText(query)?.find(({ session }) => session)
      if (what)
        throw refuseSession(`A stream of ${what.text.slice(0, 50)}`, 'statements about the session are sent by query()')
    }
    if (!statements?.mentions(query)) {
      if (this.operationLimits)
        throw new ShardedError('LIMITS_UNSUPPORTED', 'withLimits does not reach a stream of unsharded tables.', {})
      if (this.isInTransaction) await this.openNode(this.runtime().map.home)
      return super.stream(query, parameters as never, onEnd as never, onError as never)
    }
    if (this.isReleased) throw new QueryRunnerAlreadyReleasedError()
    const context = this.statementContext()
    const engine = await statements.engine()
    const answered = withDriverErrors(engine.stream(query, parameters ?? [], context))
    const rows = readableOf(answered, this.operationLimits)
    if (onError) rows.on('error', onError)
    // A reader that stops early is at its end too.
    if (onEnd) rows.once('close', onEnd)
    return rows as unknown as ReadStream
  }

  /**
   * The home node's connection, kept until `release`: in the turn of a transaction, since it is kept as long. Queries outside of
   * a transaction take it without one, for they always come to an end.
   */
  override connect(): Promise<BoundClient> {
    // Where a shard's runner holds a connection of the home node for this one, it needs none of its own.
    const adopted = this.adopted.size > 0 ? this.adopted.get(this.runtime().map.home) : undefined
    if (adopted) return Promise.resolve(new BoundClient(adopted, asWritten, undefined))
    const needsNoTurn = this.hasTurn || this.databaseConnection || (this.shortUses > 0 && !this.isInTransaction)
    return needsNoTurn ? this.connectHome() : this.connectInTurn()
  }

  private async connectInTurn(): Promise<BoundClient> {
    this.hasTurn = true
    try {
      const giveBack = await this.homeTurns.take(this.self)
      const client: BoundClient = await this.connectHome().catch((error: unknown) => {
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

  /**
   * The turn of a connection that was taken for a query, and is kept for a transaction now. Where none is free it goes on
   * without: those that have the turns may be waiting for this connection.
   */
  private holdTurn({ connection }: BoundClient): void {
    if (this.hasTurn) return
    const giveBack = this.homeTurns.tryTake(this.self)
    if (!giveBack) return
    this.hasTurn = true
    connection.onRetire(giveBack)
  }

  private get homeTurns(): TransactionTurns {
    return this.homePool().transactions
  }

  get isInTransaction(): boolean {
    return this.isTransactionActive && !this.hasFailedCommit
  }

  override async startTransaction(isolationLevel?: IsolationLevel): Promise<void> {
    const isolation = isolationLevel ?? this.dataSource.options.isolationLevel
    validateIsolationLevel(this.driver.supportedIsolationLevels, isolation)
    await this.start(isolation)
    this.wasEnded = false
    this.isCalled = true
  }

  get hasLastingSession(): boolean {
    return this.homePool().pooling !== 'transaction'
  }

  get resetsExactly(): boolean {
    return this.homePool().pooling !== 'session'
  }

  private homePool(): NodePool {
    const runtime = this.runtime()
    return runtime.pool(runtime.map.home)
  }

  begin(isolation: string | undefined): Promise<void> {
    return this.start(isolation)
  }

  /** What a transaction's manager is asked for after its end was meant for the transaction, and is not to be written outside of it. */
  private refuseReleased(): void {
    if (this.wasReleased || this.isReleaseDue) throw new QueryRunnerAlreadyReleasedError()
  }

  /** To TypeORM, a transaction that is open when its runner is released never ends. */
  private refuseEndOfReleased(): void {
    if (this.wasReleasedInside) throw new QueryRunnerAlreadyReleasedError()
  }

  private async start(isolation: string | undefined): Promise<void> {
    this.refuseReleased()
    if (this.hasFailedCommit) this.settleFailedCommit()
    this.isTransactionActive = true
    try {
      await this.broadcaster.broadcast('BeforeTransactionStart')
    } catch (error) {
      this.isTransactionActive = this.transactionDepth > 0
      throw error
    }
    if (this.transactionDepth === 0) this.isolation = isolation
    else await this.savepoint(levelName(this.transactionDepth))
    this.transactionDepth += 1
    await this.broadcaster.broadcast('AfterTransactionStart')
  }

  /** As SQL ends a transaction: with all levels that are nested in it. */
  async end(by: 'commit' | 'rollback'): Promise<readonly HeldSetting[]> {
    this.transactionDepth = 1
    const modes = this.script.settings.filter(({ isMode }) => isMode)
    const { isCalled } = this
    await (by === 'commit' ? this.commitTransaction() : this.rollbackTransaction())
    this.wasEnded = isCalled
    return modes
  }

  async savepoint(name: string): Promise<void> {
    const parts = await this.openParts()
    this.script.savepoint(name)
    for (const { transaction } of parts) await transaction.savepoint(name)
  }

  async releaseSavepoint(name: string): Promise<void> {
    const parts = await this.openParts()
    for (const { transaction } of parts) await transaction.releaseSavepoint(name)
    const depth = this.script.depthOf(name)
    this.script.release(name)
    this.undone.release(depth)
  }

  async rollbackToSavepoint(name: string): Promise<void> {
    const parts = await this.openParts()
    this.undone.rollback(this.script.depthOf(name))
    for (const { transaction } of parts) await transaction.rollbackToSavepoint(name)
    this.script.rollbackTo(name)
  }

  async tell(setting: HeldSetting, { text, parameters, mayWait }: Telling): Promise<QueryResult | undefined> {
    const isSingle = this.runtime().transactions.mode === 'single-shard'
    const waits = (mayWait || (isSingle && !setting.isOfSession)) && this.parts.size === 0
    if (!waits && (setting.isOfSession || this.parts.size === 0)) await this.openNode(this.runtime().map.home)
    const parts = await this.openParts()
    this.script.hold(setting)
    try {
      const result = parts.some(({ isHome }) => isHome) ? await this.atHome(text, parameters) : undefined
      const { localText } = setting
      if (localText !== undefined)
        for (const part of parts) if (!part.isHome) await tellNode(part.transaction, localText)
      return result
    } catch (error) {
      this.script.drop(setting)
      throw error
    }
  }

  noteKept({ what, leaks, isPreparable }: KeptStatement): void {
    if (leaks) this.isChanged = true
    if (isPreparable) return
    // Temporary tables may be read again in any later transaction.
    if (leaks) this.unpreparable.inSession = true
    if (!this.isInTransaction) return
    this.unpreparable.inTransaction = true
    // PostgreSQL gives a transaction no id for a notification, which goes out when it commits all the same.
    if (what.toLowerCase().includes('notify')) this.notesWrite()
  }

  private notesWrite(): void {
    const client: BoundClient | undefined = this.databaseConnection
    if (client) client.connection.hasWritten = true
  }

  shardedConstraints(names: readonly string[]): readonly string[] {
    const runtime = this.runtime()
    const constraints = this.dataSource.entityMetadatas
      .filter(({ target }) => runtime.bindingOf(target))
      .flatMap(({ foreignKeys, uniques, exclusions }) => [...foreignKeys, ...uniques, ...exclusions])
    return names.filter((name) => constraints.some((one) => one.name === name))
  }

  override async commitTransaction(): Promise<void> {
    if (this.hasEndedBefore()) return
    await this.untilEnded(this.commit())
    await this.broadcaster.broadcast('AfterTransactionCommit')
  }

  private async untilEnded(end: Promise<void>): Promise<void> {
    this.lastEnd = end.catch(() => undefined)
    await end
  }

  private async commit(): Promise<void> {
    this.refuseEndOfReleased()
    if (!this.isTransactionActive || this.ending) throw new TransactionNotStartedError()
    await this.broadcaster.broadcast('BeforeTransactionCommit')
    if (this.hasFailedCommit) {
      this.settleFailedCommit()
    } else if (this.transactionDepth > 1) {
      await this.releaseSavepoint(levelName(this.transactionDepth - 1))
      this.transactionDepth -= 1
    } else {
      await this.pending.atRest()
      try {
        await this.commitNodes()
      } catch (error) {
        this.undone.rollback(0)
        this.script.end({ committed: false })
        this.isTransactionActive = true
        this.transactionDepth = 1
        this.hasFailedCommit = true
        throw error
      }
      this.undone.clear()
      this.script.end({ committed: true })
    }
  }

  /** PostgreSQL warns of the end of a transaction that SQL has ended, and does nothing. */
  private hasEndedBefore(): boolean {
    const { wasEnded } = this
    this.wasEnded = false
    return wasEnded && !this.isTransactionActive
  }

  override async rollbackTransaction(): Promise<void> {
    if (this.hasEndedBefore()) return
    await this.untilEnded(this.rollback())
    await this.broadcaster.broadcast('AfterTransactionRollback')
  }

  private async rollback(): Promise<void> {
    this.refuseEndOfReleased()
    if (!this.isTransactionActive || this.ending) throw new TransactionNotStartedError()
    await this.broadcaster.broadcast('BeforeTransactionRollback')
    if (this.hasFailedCommit) {
      // The error of the commit is what the caller has to hear of: there is nothing left to roll back.
      this.settleFailedCommit()
    } else if (this.transactionDepth > 1) {
      await this.rollbackToSavepoint(levelName(this.transactionDepth - 1))
      this.transactionDepth -= 1
    } else {
      await this.pending.atRest()
      this.undone.rollback(0)
      this.script.end({ committed: false })
      const parts = await this.endParts()
      const results = await Promise.allSettled(parts.map((part) => part.transaction.rollback()))
      this.finish(parts)
      const failed = results.find((result) => result.status === 'rejected')
      if (failed) throw failed.reason
    }
  }

  /** Gives all connections back; a transaction that nobody ended is rolled back by closing them. */
  override async release(): Promise<void> {
    // A query that was asked for before is answered, as on a connection that goes back to its pool with a query under way.
    this.isReleaseDue = this.running > 0 && !this.isInTransaction
    if (this.isReleaseDue) return this.leaveDriver()
    this.wasReleased = true
    // One that is under way is not to be disturbed.
    await this.lastEnd
    this.wasReleasedInside ||= this.isTransactionActive
    if (this.parts.size > 0) this.finish(await this.endParts())
    this.undone.rollback(0)
    const client: BoundClient | undefined = this.databaseConnection
    if (client && (this.isChanged || this.script.ofSession.length > 0)) client.connection.isChanged = true
    await super.release()
  }

  /** TypeORM's driver ends by asking those of this list to give their connections back, in a loop until it is empty. */
  private leaveDriver(): void {
    const { connectedQueryRunners: listed } = this.driver
    const index = listed.indexOf(this)
    if (index >= 0) listed.splice(index, 1)
  }

  private settleFailedCommit(): void {
    this.hasFailedCommit = false
    this.isTransactionActive = false
    this.transactionDepth = 0
  }

  private runnerOf(part: NodePart, shard: Shard): ParticipantQueryRunner {
    part.shards.add(shard.name)
    const known = part.runners.get(shard.name)
    if (known) return known
    const runner = this.newRunner(part, shard)
    part.runners.set(shard.name, runner)
    return runner
  }

  private newRunner({ transaction }: NodePart, shard: Shard, cancellation?: Cancellation): ParticipantQueryRunner {
    const { dataSource, bind } = this.runtime().handle(shard)
    return new ParticipantQueryRunner(
      dataSource,
      new BoundClient(transaction.connection, bind, shard.name, cancellation),
      this.self,
    )
  }

  private async commitNodes(): Promise<void> {
    const parts = await this.endParts()
    try {
      await commitTransaction(
        parts.map((part) => participantOf(part, part.isHome && this.isUnpreparable)),
        this.runtime().transactions.twoPhase,
      )
    } catch (error) {
      // As TypeORM's own COMMIT fails: a deferred constraint, a serialization failure.
      throw isServerRefusal(error) ? new QueryFailedError('COMMIT', undefined, error) : error
    } finally {
      this.finish(parts)
    }
  }

  /** @throws ShardedError SESSION_NOT_HELD; SINGLE_SHARD_TRANSACTION for a second shard where there may be one only */
  private admit(shard: Shard): void {
    checkInside(this.script)
    if (this.runtime().transactions.mode !== 'single-shard') return
    this.onlyShard ??= shard
    if (this.onlyShard.name === shard.name) return
    throw singleShard(`shard ${this.onlyShard.name}`, `shard ${shard.name}`)
  }

  /** Opens a node at the present depth; asked for twice at once, it is opened once. */
  private async openNode(node: string): Promise<NodePart> {
    // What comes after the end would be written outside of the transaction.
    if (this.ending || !this.isInTransaction) throw new QueryRunnerAlreadyReleasedError()
    const known = this.parts.get(node)
    if (known) return known
    const [other] = this.parts.keys()
    if (other !== undefined && this.runtime().transactions.mode === 'single-shard')
      throw singleShard(`node ${other}`, `node ${node}`)
    const opening = this.openPart(node)
    this.parts.set(node, opening)
    opening.then(
      (part) => this.join(part),
      () => this.parts.delete(node),
    )
    return opening
  }

  private join(part: NodePart): void {
    this.opened.push(part)
    const { connection } = part.transaction
    connection.activity = this.activity
    this.activity.add(connection)
    this.watchLocks()
  }

  /** Over several nodes no server sees who waits for whom. */
  private watchLocks(): void {
    if (this.opened.length < 2) return
    for (const { transaction } of this.opened) {
      transaction.connection.lockWatch = this.runtime().pool(transaction.node).lockWatch
    }
  }

  private async openPart(node: string): Promise<NodePart> {
    const runtime = this.runtime()
    const { isolation, script } = this
    const isHome = node === runtime.map.home
    const part = { shards: new Set<string>(), runners: new Map(), isHome }
    const settings = { isolation, script: () => script.forNode(part) }
    const pool = runtime.pool(node)
    const adopted = this.adopted.get(node)
    // The home node's part speaks on this runner's own connection, which may have been taken before the transaction.
    const client = adopted || !isHome ? undefined : await this.connect()
    if (client) this.holdTurn(client)
    const held = adopted ?? client?.connection
    const transaction = held
      ? await NodeTransaction.over(node, held, settings)
      : await NodeTransaction.open(pool, this.self, settings)
    // Before it may wait for a lock.
    if (pool.pooling !== 'none' && pool.lockWatch) await transaction.learnPid()
    return { transaction, ...part, isOwn: client !== undefined }
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
    for (const part of parts) for (const runner of part.runners.values()) runner.end()
    return parts
  }

  /** Ends the transaction's bookkeeping and gives the other nodes' connections back, closing those that are not at rest. */
  private finish(parts: readonly NodePart[]): void {
    this.parts.clear()
    this.opened.length = 0
    this.onlyShard = undefined
    this.transactionDepth = 0
    this.isTransactionActive = false
    this.isCalled = false
    this.unpreparable.inTransaction = false
    for (const { transaction, isOwn } of parts) {
      const { connection } = transaction
      connection.lockWatch = undefined
      connection.activity = undefined
      this.activity.leave(connection)
      const broken = !connection.isAtRest
      transaction.release(broken)
      if (broken && isOwn) this.closeConnection()
    }
    this.ending = false
  }

  private get isUnpreparable(): boolean {
    return this.unpreparable.inTransaction || this.unpreparable.inSession
  }

  /** TypeORM's own way to give a broken connection back; it is not part of its types. */
  private closeConnection(): void {
    const runner = this as unknown as { releasePostgresConnection(error: Error): Promise<void> }
    void runner.releasePostgresConnection(new Error('The transaction did not end.'))
  }
}

/** The savepoint of a nested transaction, as TypeORM names it. */
const levelName = (depth: number): string => `typeorm_${depth}`

const asWritten = (text: string): string => text

const within = <T>(cancellation: Cancellation | undefined, work: Promise<T>): Promise<T> =>
  cancellation?.race(work) ?? work

/** Defaults of columns call sequences in an INSERT. */
const mayCallSequence = (text: string): boolean => /\b(?:insert|merge|nextval|currval|lastval|setval)\b/i.test(text)

/** By TypeORM's error, as the home node's own connection would. */
async function tellNode({ connection, node }: NodeTransaction, text: string): Promise<void> {
  try {
    await connection.query(text, undefined, undefined)
  } catch (error) {
    throw isServerRefusal(error) ? new QueryFailedError(text, [], Object.assign(error, { node })) : error
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

function participantOf({ transaction, shards }: NodePart, mustDecide: boolean): Participant {
  const { node, connection } = transaction
  return {
    node,
    shards: [...shards],
    isFailed: connection.isTransactionFailed,
    mustDecide,
    get isOpen() {
      return connection.inTransaction
    },
    get hasEnded() {
      return connection.hasEnded
    },
    hasWritten: (cancellation) => transaction.hasWritten(cancellation),
    commit: (cancellation) => transaction.commit(cancellation),
    rollback: (cancellation) => transaction.rollback(cancellation),
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
