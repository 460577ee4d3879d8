import type { PoolClient, QueryResult, Submittable } from 'pg'
import { ShardedError } from '../errors/sharded-error'
import { maxParameters } from '../sql/max-parameters'
import type { Worker } from './activity'
import { afterTurning } from './after-turning'
import { atMost } from './at-most'
import { Cancellation } from './cancellation'
import { connectionBroke, isConnectionError, type Place, unavailable } from './connection-errors'
import { DeferredBegin } from './deferred-begin'
import { isRead } from './is-read'
import { type LockWatch, pidOf } from './lock-watch'
import type { NamedPlans } from './named-plans'
import { NamedQuery } from './named-query'
import { OperationEnded } from './operation-ended'
import { PreparedStatements, type StatementName } from './prepared-statements'
import { descriptionOf } from './row-description'
import { isServerRefusal } from './server-refusal'
import { Session } from './session'
import type { SilenceWatch } from './silence-watch'
import { sqlState } from './sql-state'
import { type PlanProblem, stalePlan } from './stale-plan'
import type { StatementEvent, StatementListener } from './statement-event'
import { mustNotPrepare } from './witnessed-text'

interface Statement {
  readonly text: string
  /** What follows a COPY … FROM STDIN. */
  readonly rows: Buffer | undefined
  readonly values: readonly unknown[] | undefined
  /** The prepared statement as which it is sent. */
  readonly named: StatementName | undefined
  readonly cancellation: Cancellation | undefined
  /** Begins the transaction whose first statement it is. */
  readonly start: string | undefined
}

/** Statements that may wait for one connection: more were asked for at once inside one transaction. */
const maxWaiting = 10_000

/** A cancel request may meet the server between two messages of a statement, where it is ignored: it is sent again after this. */
const cancelAgainMs = 500

/** A write that does not end this long after its cancel request is ended by closing its connection: its outcome is then unknown. */
const cancelWriteMs = 5_000

/** A read likewise: of that nothing is lost but the connection. */
export const defaultCancelMs = 500

/** The tags of statements that write rows. */
const writeCommands: ReadonlySet<string> = new Set(['INSERT', 'UPDATE', 'DELETE', 'MERGE', 'COPY'])

export interface ConnectionSettings {
  readonly plans: NamedPlans
  /** Behind a pooler that keeps sessions, a RESET gives back what the pooler's server has, and not what the connection was told. */
  readonly losesPins?: boolean
  readonly listeners: ReadonlySet<StatementListener>
  /** Asks the server to end what a client's session runs; see `requestCancel`. */
  readonly requestCancel: (client: PoolClient) => Promise<void>
  /** Has a statement explained on another connection, within a bounded time: what is wrong with it fails there, too. */
  readonly explain: (text: string, values: readonly unknown[] | undefined) => Promise<QueryResult>
  /** Breaks connections of a node that has fallen silent. */
  readonly watch: Pick<SilenceWatch, 'begin' | 'end'>
  readonly bounds: { readonly cancelMs?: number | undefined; readonly queryMs?: number | undefined }
}

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
  private readonly session: Session

  constructor(
    readonly client: PoolClient,
    private readonly settings: ConnectionSettings,
    private readonly node: string,
  ) {
    this.session = Session.of(client)
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
    const answer = values?.length ? undefined : this.held.answer(text, this.session.inTransaction)
    if (answer) {
      this.passTurn()
      return answer
    }
    this.isBusy = true
    const { session, settings, lockWatch } = this
    const start = this.held.take()
    const { queryMs } = settings.bounds
    const isBounded = queryMs !== undefined && !endsTransaction.test(text)
    const cancellation = given.cancellation ?? (lockWatch || isBounded ? new Cancellation() : undefined)
    const unwatch = cancellation && lockWatch?.over(this.pid ?? pidOf(this.client), text, cancellation)
    const unbound =
      cancellation && isBounded
        ? afterTurning(queryMs, () => cancellation.cancel(this.timedOut(text, queryMs, shard)))
        : undefined
    settings.watch.begin(session)
    const started = settings.listeners.size > 0 ? performance.now() : 0
    const named = this.nameOf(text, values)
    let failed = true
    let cancelled = false
    try {
      // Field by field: V8 takes 10 µs to spread an object into a literal that has more.
      const statement = { text, rows, values, named, cancellation: given.cancellation, start }
      const result = await (cancellation ? this.sendCancellable(statement, cancellation) : this.sendStarted(statement))
      failed = false
      // pg gives a result for each statement of a text.
      if (Array.isArray(result)) for (const one of result as readonly QueryResult[]) this.noteForgotten(one, text)
      else this.noteForgotten(result, text)
      settings.watch.end(session, true)
      if (result.rowCount && writeCommands.has(result.command)) this.hasWritten = true
      return result
    } catch (error) {
      // The error comes before the server is ready: only then does the session know its state.
      const isAnswer = isServerRefusal(error)
      settings.watch.end(session, isAnswer)
      if (isAnswer) {
        await session.ready()
        if (start !== undefined && !session.inTransaction) this.held.putBack(start)
      }
      cancelled = cancellation?.isCancelled === true
      // As pg does for its promises: a stack that leads to the caller, not to the socket.
      if (error instanceof Error) Error.captureStackTrace(error)
      const failure = this.failure(error, { text, start }, shard, cancellation)
      // Nobody else knows of a cancellation that is the watch's alone.
      throw !given.cancellation && failure instanceof OperationEnded ? failure.reason : failure
    } finally {
      unwatch?.()
      unbound?.()
      this.lastUsed = performance.now()
      this.passTurn()
      if (settings.listeners.size > 0) {
        const milliseconds = performance.now() - started
        const event = { node: this.node, shard, text, prepared: named !== undefined, milliseconds, failed, cancelled }
        const events = start === undefined || this.held.isHeld ? [event] : [startOf(event, start), event]
        for (const listener of settings.listeners) for (const one of events) tell(listener, one)
      }
    }
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
    { text, start }: Pick<Statement, 'text' | 'start'>,
    shard: string | undefined,
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

  /** Sends a statement, and has the server end it on cancellation. */
  private async sendCancellable(statement: Statement, cancellation: Cancellation): Promise<QueryResult> {
    const running = this.sendStarted(statement)
    let cancelling: Promise<void> | undefined
    const off = cancellation.onCancel(() => {
      cancelling = this.cancel(running, graceOf(statement.text, this.settings.bounds.cancelMs))
    })
    try {
      return await running
    } finally {
      off()
      // A request that is still under way would hit the next statement.
      await cancelling
    }
  }

  /** Asks the server to end the running statement, until that has ended; bounded by closing the connection. */
  private async cancel(running: Promise<unknown>, graceMs: number): Promise<void> {
    let isOver = false
    const over = running.then(
      () => undefined,
      () => undefined,
    )
    const off = afterTurning(graceMs, () => this.session.destroy())
    void over.then(() => {
      isOver = true
      off()
    })
    while (!isOver) {
      const request = this.session.unread(this.settings.requestCancel(this.client)).catch(() => {
        this.session.isDoubtful = true
      })
      // One that is under way when the statement has ended would hit the next one, unless the connection is broken.
      await Promise.race([request, this.session.gone])
      await atMost(cancelAgainMs, over)
    }
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

  private send(statement: Statement): Promise<QueryResult> {
    const { text, rows, values, named, cancellation, start } = statement
    if (rows) return this.sendCopy(text, rows)
    return new Promise((resolve, reject) => {
      const query = new NamedQuery(text, values, named, this.session, start)
      let isWithin = true
      let hasFailed = false
      query.callback = (error, result) => {
        if (error) {
          hasFailed = true
          const problem = named && stalePlan(error, this.session.isBound)
          if (problem) resolve(this.sendAgain(statement, problem, error))
          else reject(error)
          return
        }
        if (hasFailed) {
          // pg could not send a value: it closed the statement on the server, and keeps its name as one that is parsed.
          if (named) this.session.forgetParsed(named.name)
          return
        }
        if (named) named.description ??= descriptionOf(result, this.client)
        if (isWithin) resolve(result)
        else reject(cancellation?.ended)
      }
      // What a write returns is not counted: it has taken effect.
      if (cancellation?.countsRows && isRead(text)) {
        // What comes after the budget is spent is let go, until the server has heard of it.
        query.on('row', (_row: unknown, result?: { rows: unknown[] }) => {
          if (cancellation.countRows()) return
          isWithin = false
          if (result) result.rows.length = 0
        })
      }
      this.session.sent()
      this.client.query(query)
    })
  }

  private sendCopy(text: string, rows: Buffer): Promise<QueryResult> {
    // Loaded when it is used: only bulk loads copy.
    const { from: copyFrom }: typeof import('pg-copy-streams') = require('pg-copy-streams')
    return new Promise((resolve, reject) => {
      const stream = copyFrom(text)
      stream.on('error', (error) => {
        // Now, while it still knows its connection: it would go on to tell the server of the end of its rows, and fail there.
        stream.destroy()
        reject(error)
      })
      stream.on('finish', () => resolve({ command: 'COPY', rowCount: stream.rowCount, rows: [], fields: [], oid: 0 }))
      this.session.sent()
      this.client.query(stream)
      stream.end(rows)
    })
  }

  /** A named statement has not run. It is sent again if nothing else has run in its transaction, which the server has aborted. */
  private async sendAgain(statement: Statement, problem: PlanProblem, error: Error): Promise<QueryResult> {
    await this.session.ready()
    const canRepeat = !this.session.inTransaction || statement.start !== undefined
    if (problem === 'doubtful') return this.sendDoubtful(statement, error, canRepeat)
    this.forgetNames(statement, problem)
    if (canRepeat) return this.repeat(statement)
    throw this.planStale(statement.text, error)
  }

  /** As `sendAgain`. If the statement itself is the mistake, the server refuses it in the same way without its name. */
  private async sendDoubtful(statement: Statement, error: Error, canRepeat: boolean): Promise<QueryResult> {
    const { text, values } = statement
    const unnamed = canRepeat ? this.repeat(statement) : this.settings.explain(text, values)
    const refusal = await unnamed.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    if (sqlState(refusal) === sqlState(error)) throw refusal
    this.forgetNames(statement, 'doubtful')
    if (canRepeat) return unnamed
    throw this.planStale(text, error)
  }

  private async repeat(statement: Statement): Promise<QueryResult> {
    if (this.session.inTransaction) {
      this.session.sent()
      await this.client.query('ROLLBACK')
    }
    return this.sendStarted({ ...statement, named: undefined })
  }

  private forgetNames({ named, text }: Statement, problem: PlanProblem): void {
    const { plans } = this.settings
    if (problem === 'lost' || problem === 'taken') plans.mixedUp(problem === 'taken')
    else if (problem === 'doubtful' && !named?.description) mustNotPrepare(text)
    else plans.goneStale()
    this.session.prepared?.clear()
  }

  private planStale(text: string, cause: unknown): ShardedError {
    const { node } = this
    const statement = text.slice(0, 500)
    return new ShardedError(
      'PLAN_STALE',
      `A prepared statement of node ${node} is no longer what it was: ${String(cause)}.`,
      {
        details: { node, statement },
        cause,
      },
    )
  }

  /** A statement that goes as text, or a COPY, cannot have the start of its transaction in its own message. */
  private sendStarted(statement: Statement): Promise<QueryResult> {
    const { start } = statement
    if (start === undefined || (!statement.rows && (statement.named || statement.values?.length)))
      return this.send(statement)
    this.session.sent()
    return this.client.query(start).then(() => this.send({ ...statement, start: undefined }))
  }

  private nameOf(text: string, values: readonly unknown[] | undefined): StatementName | undefined {
    const { session, settings } = this
    const { generation, maxPrepared } = settings.plans
    if (session.generation !== generation) {
      session.generation = generation
      session.prepared?.clear()
    }
    if (maxPrepared === 0) return undefined
    session.prepared ??= new PreparedStatements(
      maxPrepared,
      (name) => session.closeLater(name),
      (one) => settings.plans.mayBeRewritten(one),
    )
    return session.prepared.nameFor(text, values?.length ?? 0)
  }

  /** DEALLOCATE and DISCARD may have been of our names too; plans do not outlive the types that they were made for. */
  private noteForgotten({ command }: QueryResult, text: string): void {
    if (forgetCommands.has(command)) this.session.prepared?.clear()
    if (this.settings.losesPins && resetCommands.has(command)) this.isChanged = true
    if (typeCommands.has(command) && replacesTypes.test(text)) this.settings.plans.goneStale()
  }
}

/** The first words of the tags of statements that may replace a type. One that is made has often been dropped before, by others. */
const typeCommands: ReadonlySet<string> = new Set(['CREATE', 'ALTER', 'DROP'])
const replacesTypes = /\b(?:CREATE|ALTER|DROP)\s+(?:TYPE|DOMAIN|SCHEMA|TABLE)\b/i

/** The tags of statements that give settings back what a new session has. */
const resetCommands: ReadonlySet<string> = new Set(['RESET', 'DISCARD'])

/** The tags of statements that drop prepared statements. */
const forgetCommands: ReadonlySet<string> = new Set(['DEALLOCATE', 'DISCARD'])
/** Statements that are not ended before their time: a rollback follows an ended statement, and a commit has to be known. */
const endsTransaction = /^\s*(?:COMMIT|ROLLBACK|END|PREPARE TRANSACTION)\b/i

/** Letters of a statement in a message. */
const maxShown = 200

const graceOf = (text: string, cancelMs = defaultCancelMs): number =>
  isRead(text) ? cancelMs : Math.max(cancelMs, cancelWriteMs)

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
