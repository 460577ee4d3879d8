import {
  type EntityManager,
  NamedPlaceholdersNotSupportedError,
  QueryRunnerAlreadyReleasedError,
  type Table,
  TransactionNotStartedError,
} from 'typeorm'
import type { IsolationLevel } from 'typeorm/driver/types/IsolationLevel'
import { validateIsolationLevel } from 'typeorm/driver/validate-isolation-level'
import type { ReadStream } from 'typeorm/platform/PlatformTools'
import type { QueryResult } from 'typeorm/query-runner/QueryResult'
import type { Activity } from '../../endpoints/activity'
import type { Cancellation } from '../../endpoints/cancellation'
import type { NodeConnection } from '../../endpoints/node-connection'
import { ShardedError } from '../../errors/sharded-error'
import { joining, type Operation, startOperation } from '../../execution/operation'
import type { Row } from '../../merging/row'
import type { Explanation } from '../../planning/explain-plan'
import type { Arm } from '../../query/arm-source'
import { loadParser } from '../../sql/parser'
import { mayChangeSession, sessionText } from '../../sql/session-text'
import type { Shard } from '../../topology/shard'
import { checkOutside } from '../../transactions/session-script'
import { CallTurns } from '../../transactions/turns'
import { writeReferences } from '../references/write-references'
import { followingMap } from '../runners/following-map'
import { inTransaction } from '../runners/in-transaction'
import { refuseOverShards } from '../runners/refuse-session'
import { RestingBroadcaster } from '../runners/resting-broadcaster'
import { ShardAccess } from '../runners/shard-access'
import type { NodeText, RowMoves, ShardTransaction } from '../runners/shard-transaction'
import type { StatementContext } from '../statements/statement-run'
import type { Statements } from '../statements/statements'
import { deferred } from '../writes/deferred-transaction'
import { HomeQueryRunner, type QueryParameters, type RunnerSource } from './home-query-runner'
import { openRunner } from './open-runner'
import { rawStream, refuseSessionStream, type StreamArguments } from './query-stream'
import { RunnerSession } from './runner-session'
import { hasOnAllShards, loadShardedTable } from './sharded-tables'

/** Statements that were planned before have to notice what these change. */
const changesSchema = /^\s*(?:alter|create|drop|do)\b/i

/**
 * The query runner of a sharded data source. Its own connection is the home node's, for unsharded entities; its transactions
 * are those of `TransactionControl`, on every node that they touch.
 */
export class ShardedQueryRunner extends HomeQueryRunner implements ShardTransaction {
  readonly runner = this
  /** Made for the first statement about the session, which most runners never get. */
  private ownSession: RunnerSession | undefined
  /** Queries that were asked for and have no answer yet. */
  private running = 0
  private isReleaseDue = false
  private readonly turns = new CallTurns()
  private readonly referenceTurns = new CallTurns()
  /** Its holder has released it. TypeORM's `isReleased` is true as well where the home node's connection has broken. */
  private wasReleased = false

  constructor(source: RunnerSource) {
    super(source)
    this.broadcaster = new RestingBroadcaster(this)
  }

  /** Statements that name a sharded table are routed and merged; all others are the home node's. */
  override query(
    query: string,
    parameters: QueryParameters | undefined,
    useStructuredResult: true,
  ): Promise<QueryResult>
  override query(query: string, parameters?: QueryParameters): Promise<unknown>
  override async query(query: string, parameters?: QueryParameters, useStructuredResult?: boolean): Promise<unknown> {
    if (this.isReleased || this.isReleaseDue) throw new QueryRunnerAlreadyReleasedError()
    this.running += 1
    const isOfSession = mayChangeSession(query)
    // The end of a transaction may be one.
    const end = this.isInTransaction && !isOfSession ? this.control.pending.begin() : undefined
    try {
      const ofSession = isOfSession ? await this.querySession(query, parameters) : undefined
      const result = ofSession ?? (await this.inTurn(query, parameters))
      return useStructuredResult ? result : result.raw
    } finally {
      end?.()
      this.running -= 1
      if (this.running === 0 && this.isReleaseDue) await this.runner.release()
    }
  }

  /** What is about the session has no turn: it may ask for others. Nor has anything where a subscriber may ask for others, and await them. */
  private inTurn(query: string, parameters: QueryParameters | undefined): Promise<QueryResult> {
    if (this.dataSource.subscribers.length > 0) return this.answer(query, parameters)
    // The caller may change the list while it waits.
    const values = Array.isArray(parameters) ? [...parameters] : parameters
    return this.turns.run(() => this.answer(query, values))
  }

  private answer(query: string, parameters: QueryParameters | undefined): Promise<QueryResult> {
    const statements = this.source.statements()
    if (!statements?.mentions(query, Array.isArray(parameters) ? parameters : []))
      return this.atHomeInTime(query, parameters)
    const followed = { map: () => this.runtime.map, follow: this.source.follow, isRepeatable: !this.isInTransaction }
    return followingMap(followed, () => this.overShards(this.source.statements() ?? statements, query, parameters))
  }

  private async overShards(
    statements: Statements,
    query: string,
    parameters: QueryParameters | undefined,
  ): Promise<QueryResult> {
    const values = positional(parameters)
    const context = this.statementContext()
    const engine = await statements.engine()
    return (await engine.run(query, values, context)) ?? this.atHomeInTime(query, parameters)
  }

  /** What statements about the session, or the transaction, answer; undefined for a text that is about neither. */
  private async querySession(query: string, parameters: QueryParameters | undefined): Promise<QueryResult | undefined> {
    await loadParser()
    const parts = sessionText(query)
    if (!parts) return undefined
    if (this.isReleased) throw new QueryRunnerAlreadyReleasedError()
    const values = positional(parameters)
    const catalog = this.source.statements()?.catalog
    refuseOverShards(parts, catalog)
    const [part, another] = parts
    this.runner.ownSession ??= new RunnerSession(this.runner, this.control)
    const session = this.runner.ownSession
    if (part && !another) return session.run({ ...part, text: query }, values)
    return session.runText(query, { runner: this, parts, parameters: values, catalog })
  }

  /** How a query over shards would be answered. @throws ShardedError NOT_SHARDED, and what `query` refuses */
  async explain(query: string, parameters: readonly unknown[] = []): Promise<Explanation> {
    const statements = this.source.statements()
    if (!statements?.mentions(query)) throw new ShardedError('NOT_SHARDED', 'The query names no sharded table.', {})
    const context = this.statementContext()
    return (await statements.engine()).explain(query, parameters, context)
  }

  async moveRows({ shard, text, parameters }: Arm, moves: RowMoves): Promise<number> {
    const context = { ...this.statementContext(), isExplicit: true, pinned: shard, moves }
    const engine = await this.source.statements()?.engine()
    return (await engine?.run(text, parameters, context))?.affected ?? 0
  }

  async readOverShards({ shard, text, parameters }: Arm): Promise<QueryResult> {
    // The policy was asked when the operation was routed.
    const context = { ...this.statementContext(), isExplicit: true, pinned: undefined, own: shard }
    const engine = await this.source.statements()?.engine()
    // What names no sharded table is the home node's.
    return (await engine?.run(text, parameters, context)) ?? this.sendHomeOnce(text, [...parameters])
  }

  async runWithin(text: string, parameters: readonly unknown[]): Promise<readonly Row[]> {
    const context = { ...this.statementContext(), isExplicit: true, pinned: undefined }
    const engine = await this.source.statements()?.engine()
    const result = await engine?.run(text, parameters, context)
    return result ? result.records : this.onNode(this.runtime.map.home, text, parameters)
  }

  /** As TypeORM's: a readable of raw rows; over shards it is merged from cursors on every node. */
  override async stream(...given: StreamArguments): Promise<ReadStream> {
    const [query, parameters] = given
    const statements = this.source.statements()
    if (mayChangeSession(query)) await refuseSessionStream(query)
    if (!statements?.mentions(query)) {
      if (this.limited)
        throw new ShardedError('LIMITS_UNSUPPORTED', 'withLimits does not apply to a stream of unsharded tables.', {})
      if (this.isInTransaction) await this.control.nodes.open(this.runtime.map.home)
      return super.stream(...given)
    }
    if (this.isReleased) throw new QueryRunnerAlreadyReleasedError()
    const context = this.statementContext()
    const engine = await statements.engine()
    return rawStream(engine.stream(query, parameters ?? [], context), this.limited, given)
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
    const sharded = names.flatMap((name) => this.shardTable(name) ?? [])
    const { access } = this.statementContext()
    const catalog = this.source.statements()?.catalog
    const { searchSchema: schema } = this.homePool.facts
    for (const one of sharded) {
      const isOfGroup = (name: string) => catalog?.table(undefined, name)?.group === one.table.group
      const table = await loadShardedTable(access, one, { schema, isOfGroup })
      if (table) tables.push(table)
    }
    return tables
  }

  private shardTable(tableOrName: Table | string) {
    const { schema, tableName } = this.driver.parseTableName(tableOrName)
    const table = this.source.statements()?.catalog.table(schema, tableName)
    return table && { table, shards: this.runtime.map.groups.get(table.group) ?? [] }
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
    checkOutside(this.control.script)
    return undefined
  }

  /** How one operation of this runner reaches shards. @throws QueryRunnerAlreadyReleasedError; ShardedError SESSION_NOT_HELD */
  access(operation?: Operation): ShardAccess {
    this.refuseReleased()
    return this.accessOf(operation)
  }

  private accessOf(
    operation: Operation = startOperation({ kind: 'statement', defaults: this.runtime.limits }),
  ): ShardAccess {
    return new ShardAccess(this.runtime, joining(operation, { transaction: this.transaction, session: this }))
  }

  private statementContext(): StatementContext {
    return {
      access: this.accessOf(this.limited),
      home: (text, values) =>
        this.writtenReferences(text, [...values], () => this.sendHomeOnce(text, [...values])) ??
        this.sendHomeOnce(text, [...values]),
      openRunner: () => openRunner(this.dataSource),
      isExplicit: this.narrowing?.isExplicit ?? false,
      pinned: this.narrowing?.pinned,
    }
  }

  private atHomeInTime(query: string, parameters: QueryParameters | undefined): Promise<QueryResult> {
    const send = () => this.sendHomeInTime(query, parameters)
    return this.writtenReferences(query, parameters, send) ?? send()
  }

  /** A statement that writes reference tables, in a transaction over all nodes; undefined for all others. */
  private writtenReferences(
    text: string,
    parameters: QueryParameters | undefined,
    send: () => Promise<QueryResult>,
  ): Promise<QueryResult> | undefined {
    const write = this.runtime.references.writtenBy(text)
    if (!write) return undefined
    const access = this.accessOf(this.limited)
    const values = Array.isArray(parameters) ? parameters : []
    if (access.transaction) {
      const parts = { access, transaction: this.runner, statement: { text, parameters: values }, send }
      // Two at once would take each other's notes.
      return this.runner.referenceTurns.run(() => writeReferences(write, parts))
    }
    return this.heldConnection(this.runtime.map.home).then((held) =>
      inTransaction(
        access,
        deferred(() => openRunner(this.dataSource)),
        (_, transaction) => {
          if (held) transaction.adopt(this.runtime.map.home, held)
          return transaction.query(text, values, true)
        },
      ),
    )
  }

  async onNode(node: string, text: string, parameters: readonly unknown[]): Promise<readonly Row[]> {
    const { transaction } = await this.control.nodes.open(node)
    return (await transaction.connection.query(text, parameters, undefined)).rows
  }

  /** In a transaction that began on another node, the time is that node's. */
  private sendHomeInTime(query: string, parameters: QueryParameters | undefined): Promise<QueryResult> {
    const { home: node } = this.runtime.map
    const mayBeTold = this.isInTransaction && (!parameters || Array.isArray(parameters))
    const telling = mayBeTold ? this.inTime({ node, text: query, parameters: parameters ?? [] }) : undefined
    const send = (told?: NodeText) => this.sendHome(told?.text ?? query, told ? [...told.parameters] : parameters)
    const sent = telling ? telling.then(send) : send()
    if (!changesSchema.test(query)) return sent
    // The rest of its transaction has to plan with the changed table.
    return sent.then((result) => {
      this.source.statements()?.schemaChanged()
      return result
    })
  }

  override async startTransaction(isolationLevel?: IsolationLevel): Promise<void> {
    const isolation = isolationLevel ?? this.dataSource.options.isolationLevel
    validateIsolationLevel(this.driver.supportedIsolationLevels, isolation)
    this.refuseReleased()
    await this.control.startByCall(isolation)
  }

  async start(isolation: string | undefined): Promise<void> {
    this.refuseReleased()
    await this.control.start(isolation)
  }

  override commitTransaction(): Promise<void> {
    return this.control.end('Commit')
  }

  override rollbackTransaction(): Promise<void> {
    return this.control.end('Rollback')
  }

  /** Gives all connections back; a transaction that nobody ended is rolled back by closing them. */
  override async release(): Promise<void> {
    // A query that was asked for before is answered, as on a connection that goes back to its pool with a query under way.
    this.isReleaseDue = this.running > 0 && !this.isInTransaction
    if (this.isReleaseDue) return this.leaveDriver()
    this.wasReleased = true
    await this.control.abandon()
    if (this.ownConnection && this.ownSession?.hasLeftovers) this.ownConnection.isChanged = true
    await super.release()
  }

  /** TypeORM's driver ends by asking those of this list to give their connections back, in a loop until it is empty. */
  private leaveDriver(): void {
    const { connectedQueryRunners: listed } = this.driver
    const index = listed.indexOf(this)
    if (index >= 0) listed.splice(index, 1)
  }

  /** What a transaction's manager is asked for after its end was meant for the transaction, and is not to be written outside of it. */
  private refuseReleased(): void {
    if (this.wasReleased || this.isReleaseDue) throw new QueryRunnerAlreadyReleasedError()
  }

  onParticipant<T>(
    shard: Shard,
    work: (manager: EntityManager) => Promise<T>,
    cancellation: Cancellation | undefined,
  ): Promise<T> {
    return this.control.nodes.onRunner(shard, work, cancellation)
  }

  connectionFor(shard: Shard): Promise<NodeConnection> {
    return this.control.nodes.connectionFor(shard)
  }

  get firstNode(): string | undefined {
    return this.control.nodes.first?.node
  }

  get activity(): Activity {
    return this.control.nodes.activity
  }

  async time(): Promise<string> {
    const { first } = this.control.nodes
    if (!first) throw new TransactionNotStartedError()
    return first.time()
  }

  inTime(statement: NodeText): Promise<NodeText | undefined> | undefined {
    // A transaction on one node has that node's time anyway.
    if (this.control.nodes.isOnly(statement.node)) return undefined
    const statements = this.source.statements()
    if (!statements?.mayTellTime(statement.text)) return undefined
    const context = this.statementContext()
    return statements.engine().then((engine) => engine.carried.withTransactionTime(statement, context))
  }

  adopt(node: string, connection: NodeConnection): void {
    this.control.nodes.adopt(node, connection)
  }

  async openNodes(nodes: readonly string[]): Promise<void> {
    for (const node of nodes) await this.control.nodes.open(node)
  }

  atomically<T>(work: () => Promise<T>): Promise<T> {
    return this.control.atomically(work)
  }

  onRollback(undo: () => void): void {
    this.control.script.onRollback(undo)
  }

  /** Runs work that the end of the transaction waits for. */
  during<T>(work: () => Promise<T>): Promise<T> {
    return this.control.pending.during(work)
  }
}

/** @throws NamedPlaceholdersNotSupportedError as TypeORM's query does */
function positional(parameters: QueryParameters | undefined): unknown[] {
  if (!parameters) return []
  if (Array.isArray(parameters)) return parameters
  throw new NamedPlaceholdersNotSupportedError()
}
