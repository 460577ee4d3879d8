import { type EntityManager, QueryFailedError } from 'typeorm'
import type { QueryResult } from 'typeorm/query-runner/QueryResult'
import { pushTo } from '../../collections/push-to'
import type { Worker } from '../../endpoints/activity'
import { StatementClient } from '../../endpoints/bound-client'
import type { Cancellation } from '../../endpoints/cancellation'
import { OperationEnded } from '../../endpoints/cancellation'
import type { NodeConnection } from '../../endpoints/node-connection'
import type { CursorHost } from '../../endpoints/node-cursors'
import { type Permits, takePermits } from '../../endpoints/permits'
import type { StatementResult } from '../../endpoints/statement-result'
import { ShardedError } from '../../errors/sharded-error'
import { CursorGroup, defaultStreamIdleMs } from '../../execution/cursor-group'
import type { ReadHost } from '../../execution/execute-read'
import {
  joining,
  type Operation,
  type ScatterLimits,
  scatterCancellation,
  shardCancellation,
  startOperation,
  streamCancellation,
  withoutDefaults,
} from '../../execution/operation'
import type { Row } from '../../merging/row'
import type { NodeWrite } from '../../planning/node-write'
import type { NodeStatement } from '../../planning/scatter-statement'
import type { ArmText } from '../../query/arm-source'
import type { NodeSortFacts } from '../../query/node-sort-facts'
import { mayNameOtherTables } from '../../sql/reads-tables'
import { mayChangeSession } from '../../sql/session-text'
import type { Shard } from '../../topology/shard'
import { ParticipantQueryRunner } from './participant-query-runner'
import { sendNodeWrites, type TransactionWrite } from './send-node-writes'
import { ShardQueryRunner } from './shard-query-runner'
import { loggedQuery, type ShardRuntime } from './shard-runtime'
import { releasedAfter, type ShardTransaction } from './shard-transaction'

type Statement = Pick<NodeStatement, 'shards' | 'text' | 'parameters'>

/** Statements that are needed no more have so long to end by themselves: a cancel request is a connection more. */
const unneededGraceMs = 20

/** A write that may run again in turn waits so long for a lock, in milliseconds. */
const repeatAfterMs = 250

/** The reason of a cancellation when the operation has its answer. */
const unneeded = Symbol('unneeded')

/** The statements of a scatter while they run. */
interface Scatter {
  readonly statements: readonly NodeStatement[]
  readonly answers: (readonly Row[])[]
  readonly cancellation: Cancellation
  readonly heard: (rows: readonly Row[]) => void
}

/** A statement that logs, subscribers and errors tell of: a shard's own, which may be sent with those of others. */
interface Shown {
  readonly shown: ArmText
  readonly cancellation: Cancellation | undefined
}

/** A connection for statements of one node, and how to leave it. */
interface NodeHold {
  readonly connection: NodeConnection
  release(broken?: boolean): void
}

/** Keeps a connection of a node outside of a transaction. */
type Session = Pick<ShardTransaction, 'heldConnection'>

/** An operation on shards. */
export type ShardOperation = Operation<ShardTransaction, Session>

/**
 * How one operation reaches shards: on connections of the pools, or on those of the transaction that it is part of, within
 * its limits.
 */
export class ShardAccess implements ReadHost {
  constructor(
    readonly runtime: ShardRuntime,
    readonly operation: ShardOperation = startOperation({ defaults: runtime.limits }),
  ) {}

  get transaction(): ShardTransaction | undefined {
    return this.operation.transaction
  }

  /** It holds connections while it waits: those of a transaction, or of a query runner. */
  get isHolding(): boolean {
    return this.transaction !== undefined || this.operation.session !== undefined
  }

  /** The same operation within a transaction. */
  within(transaction: ShardTransaction): ShardAccess {
    return new ShardAccess(
      this.runtime,
      joining<ShardTransaction, Session>(this.operation, { transaction, session: undefined }),
    )
  }

  /** The same without the defaults, for work that is as long as what the caller gives it. */
  withoutDefaults(): ShardAccess {
    return new ShardAccess(this.runtime, withoutDefaults(this.operation))
  }

  /**
   * Runs TypeORM's own operation on one shard, in a transaction on a query runner of its own, which may be set up for this work
   * alone: others, as subscribers that write, do not work with it.
   *
   * @throws DEADLINE_EXCEEDED, ROW_BUDGET_EXCEEDED, the reason of an abort
   */
  onShard<T>(shard: Shard, work: (manager: EntityManager) => Promise<T>, permits?: Permits): Promise<T> {
    return cancellable(shardCancellation(this.operation), async (cancellation) => {
      cancellation?.throwIfCancelled()
      if (this.transaction) return await this.transaction.onParticipant(shard, work, cancellation)
      const runner = this.runtime.handle(shard).dataSource.operationRunner({
        cancellation,
        permits,
        held: this.operation.session && (() => this.held(shard.node, cancellation)),
      })
      return releasedAfter(runner, ({ manager }) => work(manager))
    })
  }

  /**
   * Sends a statement of one shard, with the placeholder schema, as TypeORM would send it: by its query runner where that is needed,
   * where it changes the session, and where it may name tables in the application's own words.
   *
   * @throws as `onShard`; QueryFailedError
   */
  run(shard: Shard, statement: Pick<Statement, 'text' | 'parameters'>): Promise<QueryResult> {
    const { text } = statement
    if (!this.needsRunner(shard) && !mayNameOtherTables(text) && !mayChangeSession(text))
      return this.sendTo(shard, statement)
    return this.onShard(shard, (manager) => queryOn(manager, statement))
  }

  /** True where a statement of a shard is sent by TypeORM's query runner: in a transaction, and where somebody sees it. */
  needsRunner(shard: Shard): boolean {
    return this.transaction !== undefined || this.runtime.handle(shard).dataSource.showsRunner
  }

  /**
   * Sends a statement of one shard, with the placeholder schema, where no query runner is needed: one connection for one statement.
   *
   * @throws as `onShard`; QueryFailedError
   */
  sendTo(shard: Shard, statement: Pick<Statement, 'text' | 'parameters'>): Promise<QueryResult> {
    return cancellable(shardCancellation(this.operation), async (cancellation) => {
      cancellation?.throwIfCancelled()
      const { dataSource } = this.runtime.handle(shard)
      return loggedQuery(dataSource, statement, () => this.sendOnce(shard, statement, cancellation))
    })
  }

  private async sendOnce(
    shard: Shard,
    { text, parameters }: Pick<Statement, 'text' | 'parameters'>,
    cancellation: Cancellation | undefined,
  ): Promise<StatementResult> {
    const bound = this.runtime.handle(shard).bind(text)
    const held = this.operation.session && (await this.held(shard.node, cancellation))
    if (held) return held.query(bound, parameters, shard.name, cancellation)
    const { connection, release } = await this.runtime.pool(shard.node).acquire(shard.name, cancellation)
    try {
      return await connection.query(bound, parameters, shard.name, cancellation)
    } finally {
      release()
    }
  }

  /**
   * Sends the statements of a scatter, all nodes at once, those of one node one after the other; the answers come in the
   * order of the statements. When one fails, or the limits are reached, the others are cancelled on their servers, and all
   * connections are at rest when this throws. In a transaction, each node whose statement was cancelled has aborted it.
   *
   * @param isEnough tells of an answer whether the others are needed any more: those that do not come soon are cancelled too,
   *   but for in a transaction, and then they are empty
   * @throws ShardedError DEADLINE_EXCEEDED, ROW_BUDGET_EXCEEDED, QUEUE_FULL, SHARD_UNAVAILABLE; the reason of an abort;
   *   else the first error of a statement
   */
  query(
    statements: readonly NodeStatement[],
    limits?: ScatterLimits,
    isEnough: (rows: readonly Row[]) => boolean = () => false,
  ): Promise<readonly (readonly Row[])[]> {
    return cancellable(scatterCancellation(this.operation, limits), async (cancellation) => {
      cancellation.throwIfCancelled()
      const byNode = new Map<string, number[]>()
      for (const [index, { node }] of statements.entries()) pushTo(byNode, node, index)
      if (this.transaction) await this.openNodes([...byNode.keys()], cancellation)
      let grace: NodeJS.Timeout | undefined
      try {
        const answers: (readonly Row[])[] = statements.map(() => [])
        const heard = (rows: readonly Row[]): void => {
          if (!this.transaction && isEnough(rows))
            grace ??= setTimeout(() => cancellation.cancel(unneeded), unneededGraceMs)
        }
        const nodes = [...byNode].map(async ([node, indexes]) => {
          try {
            await this.onNode(node, indexes, { statements, answers, cancellation, heard })
          } catch (error) {
            cancellation.cancel(unwrap(error))
            throw error
          }
        })
        const settled = await Promise.allSettled(nodes)
        if (settled.some((one) => one.status === 'rejected') && cancellation.ended.reason !== unneeded)
          throw cancellation.ended
        return answers
      } finally {
        clearTimeout(grace)
      }
    })
  }

  sortFacts(node: string, collations: readonly string[]): Promise<NodeSortFacts> {
    return this.runtime.pool(node).sortFactsWith(collations)
  }

  /**
   * The rows of the statements, batch by batch as they are asked for: see `CursorGroup`. The limits are those that the
   * caller gave; the defaults of scatters bound what is held in memory, and this is not.
   */
  cursors(statements: readonly NodeStatement[], limits: ScatterLimits & { batchRows?: number } = {}): CursorGroup {
    return new CursorGroup({
      statements,
      batchRows: limits.batchRows,
      inTransaction: this.transaction !== undefined,
      idleMs: this.runtime.limits.streamIdleMs ?? defaultStreamIdleMs,
      cancellation: () => streamCancellation(this.operation, limits),
      enter: (cancellation, reader) =>
        this.enterStreams([...new Set(statements.map((one) => one.node))], cancellation, reader),
      open: (node, cancellation) =>
        this.openHost(node, statements.find((one) => one.node === node)?.shards ?? [], cancellation),
      unwrap,
    })
  }

  /**
   * Sends the statements of a write: see `sendNodeWrites`. Where it may run again in turn, it waits for locks a short time only.
   *
   * @returns the result of each shard, by its name
   * @throws as `onShard`; ShardedError PLAN_STALE, LOCK_TIMEOUT
   */
  write(
    writes: readonly NodeWrite[],
    { transaction, arms, onRefused, pace, nodes }: TransactionWrite,
  ): Promise<ReadonlyMap<string, QueryResult>> {
    return cancellable(shardCancellation(this.operation), async (cancellation) => {
      cancellation?.throwIfCancelled()
      const send = async (one: NodeWrite) => {
        const shards = one.shards.map((name) => this.runtime.handle({ name }).shard)
        const opening = Promise.all(shards.map((shard) => transaction.connectionFor(shard)))
        const [connection] = await (cancellation?.race(opening) ?? opening)
        if (!connection) throw new RangeError('A statement has at least one shard.')
        const { lockWatch } = connection
        if (pace === 'at-once-first') connection.lockWatch = lockWatch?.within(repeatAfterMs)
        try {
          const shown = arms.find(({ shard }) => shard.name === one.shards[0]) ?? one
          return { connection, result: await this.sendAsRunner(connection, one, { shown, cancellation }) }
        } finally {
          connection.lockWatch = lockWatch
        }
      }
      return sendNodeWrites(writes, { send, onRefused, pace, nodes })
    })
  }

  /** Waits for what the operation asks on its own account, within its limits. @throws as `onShard` */
  waitFor<T>(work: Promise<T>): Promise<T> {
    return cancellable(shardCancellation(this.operation), async (cancellation) => cancellation?.race(work) ?? work)
  }

  /** As `onShard`, for one of many shards at once: outside of a transaction each statement waits for a permit of a scatter. */
  onOneOfMany<T>(shard: Shard, work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return this.onShard(shard, work, this.runtime.pool(shard.node).scatters)
  }

  /** Runs work with the query runner that users see of this operation: the transaction's, or one that is released then. */
  async asApplication<T>(shard: Shard, work: (runner: ShardTransaction) => Promise<T>): Promise<T> {
    if (this.transaction) return work(this.transaction)
    return releasedAfter(this.runtime.handle(shard).dataSource.template.openRunner(), work)
  }

  /** A stream's permits of all its nodes, or in a transaction its connections. */
  private async enterStreams(
    nodes: readonly string[],
    cancellation: Cancellation,
    reader: Worker,
  ): Promise<() => void> {
    if (!this.transaction) {
      const pools = nodes.map((node) => this.runtime.pool(node))
      return takePermits(
        pools.map((pool) => ({ name: pool.name, permits: pool.streams })),
        cancellation,
      )
    }
    await this.openNodes(nodes, cancellation)
    const { activity } = this.transaction
    activity.add(reader)
    return () => activity.leave(reader)
  }

  /**
   * In one order everywhere, as writes do: two transactions never wait for each other's connections. A permit is for who holds no
   * connection yet: to wait for one here would be to wait for those who wait for this connection.
   */
  private async openNodes(nodes: readonly string[], cancellation: Cancellation): Promise<void> {
    await cancellation.race(this.transaction?.openNodes([...nodes].sort()) ?? Promise.resolve())
  }

  private async onNode(
    node: string,
    indexes: readonly number[],
    { statements, answers, cancellation, heard }: Scatter,
  ): Promise<void> {
    const [first = 0] = indexes
    const hold = await this.holdInTurn(node, statements[first]?.shards ?? [], cancellation)
    try {
      for (const index of indexes) {
        const statement = statements[index]
        if (!statement) continue
        const rows = await this.send(hold.connection, statement, cancellation)
        answers[index] = rows
        heard(rows)
      }
    } finally {
      hold.release()
    }
  }

  /** For a scatter. It takes a turn where it takes a connection: a wait for both with one in hand may have no end. */
  private async holdInTurn(node: string, shards: readonly string[], cancellation: Cancellation): Promise<NodeHold> {
    if (this.transaction) return this.hold(node, shards, cancellation)
    const held = await this.held(node, cancellation)
    if (held) return { connection: held, release: nothing }
    // A turn of this node only: a node that does not answer must not keep the turns of those that do.
    const leave = await this.runtime.pool(node).scatters.take(cancellation)
    try {
      const { connection, release } = await this.hold(node, shards, cancellation)
      return {
        connection,
        release: () => {
          release()
          leave()
        },
      }
    } catch (error) {
      leave()
      throw error
    }
  }

  /** The connection of a node that the caller's runner keeps. */
  private async held(node: string, cancellation: Cancellation | undefined): Promise<NodeConnection | undefined> {
    const held = this.operation.session?.heldConnection(node)
    return held && (cancellation?.race(held) ?? held)
  }

  private async openHost(node: string, shards: readonly string[], cancellation: Cancellation): Promise<CursorHost> {
    const { connection, release } = await this.hold(node, shards, cancellation)
    // The transaction is the stream's own, which has a bound of its own.
    if (!this.transaction) connection.activity = neverIdle
    return { release, send: (statement, own) => this.send(connection, statement, own) }
  }

  private async hold(node: string, shards: readonly string[], cancellation: Cancellation): Promise<NodeHold> {
    if (this.transaction) {
      const [name = ''] = shards
      const connection = await cancellation.race(this.transaction.connectionFor(this.runtime.handle({ name }).shard))
      return { connection, release: nothing }
    }
    return this.runtime.pool(node).acquire(onlyOf(shards), cancellation)
  }

  private async send(
    connection: NodeConnection,
    statement: Statement,
    cancellation: Cancellation | undefined,
  ): Promise<readonly Row[]> {
    const { node } = this.runtime.handle({ name: statement.shards[0] ?? '' }).shard
    const told = await this.transaction?.inTime({ node, ...statement })
    const sent = told ? { ...statement, ...told } : statement
    return (await this.sendAsRunner(connection, sent, { shown: sent, cancellation })).records
  }

  /** As TypeORM's query runner sends it: logged, told to subscribers, and with TypeORM's errors. */
  private sendAsRunner(
    connection: NodeConnection,
    { shards, text, parameters }: Statement,
    { shown, cancellation }: Shown,
  ): Promise<QueryResult> {
    const { transaction } = this
    const { dataSource } = this.runtime.handle({ name: shards[0] ?? '' })
    const only = onlyOf(shards)
    const send = () => connection.query(text, parameters, only, cancellation)
    if (!dataSource.showsRunner && !mayChangeSession(text)) return loggedQuery(dataSource, shown, send)
    const client = new StatementClient(connection, send)
    const runner = transaction
      ? new ParticipantQueryRunner(dataSource, client, transaction, { hasOwnWords: false })
      : new ShardQueryRunner(dataSource, { client, hasOwnWords: false })
    return releasedAfter(runner, () => runner.query(shown.text, [...shown.parameters], true))
  }
}

/** Sends a statement by TypeORM's query runner: that of a manager, which each of a shard's work has. */
export function queryOn({ queryRunner }: EntityManager, { text, parameters }: ArmText): Promise<QueryResult> {
  if (!queryRunner) throw new RangeError('The manager has no query runner.')
  return queryRunner.query(text, [...parameters], true)
}

const nothing = (): void => undefined

const neverIdle: Worker = Object.freeze({ idleMs: 0 })

const onlyOf = (shards: readonly string[]): string | undefined => (shards.length === 1 ? shards[0] : undefined)

/** Runs work that may be cancelled, and throws what its caller is to be thrown. */
async function cancellable<C extends Cancellation | undefined, T>(
  cancellation: C,
  work: (cancellation: C) => Promise<T>,
): Promise<T> {
  try {
    return await work(cancellation)
  } catch (error) {
    throw unwrap(error)
  } finally {
    cancellation?.close()
  }
}

/**
 * What a caller is to be thrown. TypeORM wraps whatever a statement throws: an error of a shard is thrown as itself, and of
 * an operation that was ended the reason.
 */
export function unwrap(error: unknown): unknown {
  const own: unknown = error instanceof QueryFailedError ? error.driverError : error
  if (own instanceof OperationEnded) return own.reason
  return own instanceof ShardedError ? own : error
}
