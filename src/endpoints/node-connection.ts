import type { PoolClient, QueryResult, Submittable } from 'pg'
import { wordSet } from '../collections/words'
import { ShardedError } from '../errors/sharded-error'
import { maxParameters } from '../sql/max-parameters'
import type { Worker } from './activity'
import { afterTurning } from './after-turning'
import { Cancellation, OperationEnded } from './cancellation'
import { connectionBroke, isConnectionError, type Place, unavailable } from './connection-errors'
import type { ConnectionSettings } from './connection-settings'
import type { LockWatch } from './lock-watch'
import { internalsOf } from './pg-internals'
import type { PooledSession } from './pooled-session'
import { isServerRefusal, transactionAborted } from './sql-state'
import type { Statement, StatementEvent, StatementListener } from './statement'

/** Statements that may wait for one connection: more were asked for at once inside one transaction. */
const maxWaiting = 10_000

/** The tags of statements that write rows, and of those that leave the session and the schema as they are. */
const writeCommands = wordSet('INSERT UPDATE DELETE MERGE COPY')
const dataCommands: ReadonlySet<string> = new Set(['SELECT', ...writeCommands])

/** What a failed transaction takes: its end, and the return to a savepoint. */
const leavesFailure = /^\s*rollback\b/i

/**
 * A connection of a node while somebody holds it: sends statements one after the other (also when asked for several at
 * once, since a PostgreSQL session runs one at a time), names those worth preparing, tells the listeners, and turns a
 * broken connection into an error that says what became of the statement.
 */
export class NodeConnection {
  /** Ends statements that wait for a lock too long, where it is set. */
  lockWatch: LockWatch | undefined
  /** All that works in the transaction that the connection is part of, where that is more than the connection. */
  activity: Worker | undefined
  /** Whether a statement of that transaction has failed on another connection: one database would have aborted all of it. */
  failedElsewhere: (() => boolean) | undefined
  /** A statement has written rows since this was last set to false. */
  hasWritten = false
  /** Its session has what the next holder must not have: it is closed when it is given back. */
  isChanged = false
  private pid: number | undefined
  private isBusy = false
  private isReleased = false
  private atRetirement: Set<() => void> | undefined
  private lastUsed = performance.now()
  private readonly held = new DeferredBegin()
  private readonly waiting: (() => void)[] = []
  readonly client: PoolClient
  private readonly node: string

  constructor(
    private readonly session: PooledSession,
    private readonly settings: ConnectionSettings,
  ) {
    this.client = session.client
    this.node = settings.node
  }

  /**
   * Sends a statement. On cancellation, it leaves the queue, or the server is asked to end it; either way the
   * connection is at rest when this fails, and may be used on. In a transaction, the server has then aborted that.
   *
   * @throws ShardedError SHARD_UNAVAILABLE, CONNECTION_LOST, COMMIT_OUTCOME_UNKNOWN, QUEUE_FULL; OperationEnded; else
   *   pg's DatabaseError
   */
  query(
    text: string,
    values: readonly unknown[] | undefined,
    shard: string | undefined,
    cancellation?: Cancellation,
  ): Promise<QueryResult> {
    return this.perform({ text, rows: undefined, values, cancellation }, shard)
  }

  /**
   * Sends a COPY … FROM STDIN and its rows. @returns how many rows the server took
   *
   * @throws as `query`
   */
  async copy(text: string, rows: Buffer, shard: string, cancellation?: Cancellation): Promise<number> {
    const { rowCount } = await this.perform({ text, rows, values: undefined, cancellation }, shard)
    return rowCount ?? 0
  }

  private async perform(given: Omit<Statement, 'named' | 'start'>, shard: string | undefined): Promise<QueryResult> {
    const { text, rows, values } = given
    given.cancellation?.throwIfCancelled()
    if (values && values.length > maxParameters) throw tooManyParameters(values.length, { node: this.node, shard })
    if (this.isBusy) await this.turn(shard, given.cancellation)
    const lost = this.whyLost(shard)
    if (lost) {
      this.passTurn()
      throw lost
    }
    if (this.failedElsewhere?.() && !leavesFailure.test(text)) {
      this.passTurn()
      throw transactionAborted()
    }
    const answer = values?.length ? undefined : this.held.answer(text, this.session.inTransaction)
    if (answer) {
      this.passTurn()
      return answer
    }
    this.isBusy = true
    const { session, settings } = this
    const start = this.held.take()
    const isWatched = this.lockWatch !== undefined || settings.bounds.queryMs !== undefined
    const cancellation = given.cancellation ?? (isWatched ? new Cancellation() : undefined)
    const unwatch = isWatched && cancellation ? this.watch(text, shard, cancellation) : undefined
    session.waitsSince = settings.watch.tick
    const started = settings.listeners.size > 0 ? performance.now() : 0
    const named = session.nameOf(text, values)
    let failed = true
    let cancelled = false
    try {
      // Field by field: V8 takes 10 µs to spread an object into a literal that has more.
      const statement = { text, rows, values, named, cancellation: given.cancellation, start }
      const result = await (cancellation ? session.sendCancellable(statement, cancellation) : session.send(statement))
      failed = false
      this.note(result, text)
      session.heardAt = settings.watch.tick
      return result
    } catch (error) {
      // The error comes before the server is ready: only then does the session know its state.
      const isAnswer = isServerRefusal(error)
      session.waitsSince = undefined
      if (isAnswer) {
        session.heardAt = settings.watch.tick
        await session.ready()
        if (start !== undefined && !session.inTransaction) this.held.putBack(start)
      }
      cancelled = cancellation?.isCancelled === true
      // As pg does for its promises: a stack that leads to the caller, not to the socket.
      if (error instanceof Error) Error.captureStackTrace(error)
      const failure = this.failure(error, { text, start, shard }, cancellation)
      // Nobody else knows of a cancellation that is the watch's alone.
      throw !given.cancellation && failure instanceof OperationEnded ? failure.reason : failure
    } finally {
      session.waitsSince = undefined
      unwatch?.()
      this.lastUsed = performance.now()
      this.passTurn()
      if (settings.listeners.size > 0) {
        const told = { shard, text, prepared: named !== undefined, failed, cancelled }
        this.tell({ node: this.node, ...told, milliseconds: performance.now() - started }, start)
      }
    }
  }

  /** Ends a statement that waits for a lock, or takes, too long. */
  private watch(text: string, shard: string | undefined, cancellation: Cancellation): () => void {
    const { queryMs } = this.settings.bounds
    const unwatch = this.lockWatch?.over(this.pid ?? internalsOf(this.client).processID, text, cancellation)
    const unbound =
      queryMs === undefined || endsTransaction.test(text)
        ? undefined
        : afterTurning(queryMs, () => cancellation.cancel(this.timedOut(text, queryMs, shard)))
    return () => {
      unwatch?.()
      unbound?.()
    }
  }

  /** Takes note of what a statement has done to the session. */
  private note(result: QueryResult, text: string): void {
    // pg gives a result for each statement of a text.
    const results: readonly QueryResult[] = Array.isArray(result) ? result : [result]
    for (const one of results)
      if (!dataCommands.has(one.command) && this.session.noteForgotten(one, text)) this.isChanged = true
    if (result.rowCount && writeCommands.has(result.command)) this.hasWritten = true
  }

  /** @param start went in the statement's message */
  private tell(event: StatementEvent, start: string | undefined): void {
    const events = start === undefined || this.held.isHeld ? [event] : [startOf(event, start), event]
    for (const listener of this.settings.listeners) for (const one of events) tell(listener, one)
  }

  /** A statement of the present transaction failed, and no savepoint before it was returned to: COMMIT will roll back. */
  get isTransactionFailed(): boolean {
    return this.session.isTransactionFailed
  }

  /** There is a transaction: open on the server, failed or not, or waiting for its first statement. */
  get inTransaction(): boolean {
    return this.session.inTransaction || this.held.isHeld
  }

  /** A transaction has been started, and no statement of it sent. */
  get hasSentNothing(): boolean {
    return this.held.isHeld
  }

  /** Sends what pg itself speaks with the server for: a cursor, a query stream. */
  submit<T extends Submittable>(stream: T): T {
    const start = this.held.take()
    // Without its transaction, the stream is not to run.
    if (start !== undefined) void this.client.query(start).catch(() => this.session.destroy())
    return this.client.query(stream)
  }

  get hasEnded(): boolean {
    return this.session.hasEnded
  }

  /** Milliseconds since the last statement ended, or the last part of a stream came; 0 while a statement runs. */
  get idleMs(): number {
    return this.isBusy ? 0 : performance.now() - Math.max(this.lastUsed, this.session.lastAnswered)
  }

  /** As `idleMs`, for the whole transaction: a node that is quiet while another one works is not idle. */
  get transactionIdleMs(): number {
    return Math.min(this.idleMs, this.activity?.idleMs ?? Number.POSITIVE_INFINITY)
  }

  /** Why its holder can send nothing on it any more; undefined while that can. */
  whyLost(shard?: string): ShardedError | undefined {
    // Who holds it may have given it back at the moment it broke.
    const { hasEnded, endedBy } = this.session
    if (hasEnded || endedBy)
      return unavailable({ node: this.node, shard }, endedBy ?? new Error('the connection has ended'))
    return this.isReleased ? this.givenBack(shard) : undefined
  }

  /** Calls `done` when the holder gives the connection back, or has it taken away; the returned function ends that. */
  onRetire(done: () => void): () => void {
    this.atRetirement ??= new Set()
    this.atRetirement.add(done)
    return () => void this.atRetirement?.delete(done)
  }

  /** Breaks the connection: what runs on it fails, and what is asked of it later. */
  destroy(reason: Error): void {
    this.session.destroy(reason)
  }

  /** Asks which process of the server it speaks with: a pooler does not tell, and the watch of locks has to know. */
  async learnPid(): Promise<void> {
    const { rows } = await this.query('SELECT pg_backend_pid() AS pid', undefined, undefined)
    this.pid = rows[0].pid
  }

  /** Nothing is left open, and nothing is still on its way. */
  get isAtRest(): boolean {
    return this.session.isClean
  }

  /** The holder gives the connection back, and may use it no more. @returns false where nobody else may use it either */
  retire(): boolean {
    this.isReleased = true
    for (const done of this.atRetirement ?? []) done()
    this.atRetirement = undefined
    return this.session.isClean && !this.isChanged
  }

  /** What a statement failed with, by what is then known of it. */
  private failure(
    error: unknown,
    { text, start, shard }: Pick<Statement, 'text' | 'start'> & { readonly shard: string | undefined },
    cancellation: Cancellation | undefined,
  ): unknown {
    const place = { node: this.node, shard }
    if (isConnectionError(error)) {
      const cause = this.session.endedBy ?? error
      const broke = connectionBroke(place, text, this.session.inTransaction || start !== undefined, cause)
      return cancellation?.isCancelled && !broke.has('outcome-unknown') ? cancellation.ended : broke
    }
    if (cancellation?.isCancelled) return cancellation.ended
    // TypeORM's QueryFailedError takes over the fields of the driver's error: it then says where it happened.
    return error instanceof Error ? Object.assign(error, place) : error
  }

  /** Retrying does not help: its operation has ended, or the data source was destroyed. */
  private givenBack(shard: string | undefined): ShardedError {
    const { node } = this
    return new ShardedError('SHARD_UNAVAILABLE', `A connection of node ${node} was used after it was given back.`, {
      details: { node, shard },
      cause: new Error('its operation had ended, or the data source was destroyed'),
      labels: ['no-writes'],
    })
  }

  private turn(shard: string | undefined, cancellation: Cancellation | undefined): Promise<void> {
    if (this.waiting.length >= maxWaiting) {
      throw new ShardedError('QUEUE_FULL', `${maxWaiting} statements wait for one connection of node ${this.node}.`, {
        details: { node: this.node, shard },
      })
    }
    return new Promise((resolve, reject) => {
      const go = (): void => {
        off?.()
        resolve()
      }
      this.waiting.push(go)
      const off = cancellation?.onCancel(() => {
        this.waiting.splice(this.waiting.indexOf(go), 1)
        reject(cancellation.ended)
      })
    })
  }

  /** Lets the next statement go, in the order of asking: who waits keeps `isBusy`, so that nobody overtakes. */
  private passTurn(): void {
    const next = this.waiting.shift()
    if (next) next()
    else this.isBusy = false
  }

  private timedOut(text: string, queryMs: number, shard: string | undefined): ShardedError {
    const { node } = this
    const statement = text.slice(0, maxShown)
    return new ShardedError(
      'STATEMENT_TIMEOUT',
      `A statement on node ${node} did not end within ${queryMs} ms: ${statement}`,
      {
        details: { node, shard, statement, queryMs },
      },
    )
  }
}

/** Statements that are not ended before their time: a rollback follows an ended statement, and a commit has to be known. */
const endsTransaction = /^\s*(?:COMMIT|ROLLBACK|END|PREPARE TRANSACTION)\b/i

/** Letters of a statement in a message. */
const maxShown = 200

function tooManyParameters(count: number, place: Place): ShardedError {
  return new ShardedError(
    'TOO_MANY_PARAMETERS',
    `The statement has ${count} parameters, and ${maxParameters} are the most.`,
    {
      details: { ...place, parameters: count },
    },
  )
}

/** The start that went in a statement's message. */
const startOf = (event: StatementEvent, text: string): StatementEvent => ({
  ...event,
  text,
  prepared: false,
  milliseconds: 0,
  failed: false,
  cancelled: false,
})

/** What a listener throws is not the statement's affair, which has had its effect: a COMMIT would seem to have failed. */
function tell(listener: StatementListener, event: StatementEvent): void {
  try {
    listener(event)
  } catch (error) {
    process.emitWarning(error instanceof Error ? error : String(error))
  }
}

/** As TypeORM and this product begin transactions. */
const starts = /^START TRANSACTION(?: ISOLATION LEVEL [A-Z ]+)?$/

/**
 * A START TRANSACTION that is held back, to go with the first statement of its transaction in one message: a transaction
 * costs a round trip less. PostgreSQL takes its snapshot at that statement anyway.
 *
 * @example
 * const start = new DeferredBegin()
 * start.answer('START TRANSACTION', false) // held: this result, and nothing is sent
 * start.take() // 'START TRANSACTION': goes before the next statement
 */
class DeferredBegin {
  private text: string | undefined

  /**
   * What is answered to a statement without sending it: to a start, and to the end of a transaction that has sent nothing.
   *
   * @returns undefined for one that is to be sent
   */
  answer(text: string, inTransaction: boolean): QueryResult | undefined {
    if (this.text === undefined) {
      if (inTransaction || !starts.test(text)) return undefined
      this.text = text
      return resultOf('START')
    }
    if (text !== 'COMMIT' && text !== 'ROLLBACK') return undefined
    this.text = undefined
    return resultOf(text)
  }

  get isHeld(): boolean {
    return this.text !== undefined
  }

  /** What is to be sent now. */
  take(): string | undefined {
    const { text } = this
    this.text = undefined
    return text
  }

  /** It has not begun: what comes next must not run outside of its transaction. */
  putBack(text: string): void {
    this.text = text
  }
}

const resultOf = (command: string): QueryResult => ({ command, rowCount: null, oid: 0, rows: [], fields: [] })
