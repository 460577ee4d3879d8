import type { PoolClient, QueryResult } from 'pg'
import { ShardedError } from '../errors/sharded-error'
import { afterTurning } from './after-turning'
import { atMost } from './at-most'
import type { Cancellation } from './cancellation'
import { isRead } from './is-read'
import { NamedQuery } from './named-query'
import { descriptionOf, type NamedPlans, PreparedStatements, type StatementName } from './prepared-statements'
import type { Session } from './session'
import { sqlState } from './sql-state'
import { type PlanProblem, stalePlan } from './stale-plan'
import { mustNotPrepare } from './witnessed-text'

/** A statement as it goes to the server. */
export interface Statement {
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

/** A cancel request may meet the server between two messages of a statement, where it is ignored: it is sent again after this. */
const cancelAgainMs = 500

/** A write that does not end this long after its cancel request is ended by closing its connection: its outcome is then unknown. */
const cancelWriteMs = 5_000

/** A read likewise: of that nothing is lost but the connection. */
export const defaultCancelMs = 500

/** What the connections of one node send statements by. */
export interface SendingSettings {
  readonly plans: NamedPlans
  /** Behind a pooler that keeps sessions, a RESET gives back what the pooler's server has, and not what the connection was told. */
  readonly losesPins?: boolean
  /** Asks the server to end what a client's session runs; see `requestCancel`. */
  readonly requestCancel: (client: PoolClient) => Promise<void>
  /** Has a statement explained on another connection, within a bounded time: what is wrong with it fails there, too. */
  readonly explain: (text: string, values: readonly unknown[] | undefined) => Promise<QueryResult>
  readonly bounds: { readonly cancelMs?: number | undefined; readonly queryMs?: number | undefined }
}

/**
 * Sends the statements of one session: by name where they are worth preparing, as text, or as a COPY. Sends one again whose prepared plan
 * has gone stale, and has the server end one that is cancelled.
 */
export class StatementSender {
  constructor(
    private readonly session: Session,
    private readonly settings: SendingSettings,
    private readonly node: string,
  ) {}

  /** Sends a statement, and has the server end it on cancellation. */
  async sendCancellable(statement: Statement, cancellation: Cancellation): Promise<QueryResult> {
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
      const request = this.session.unread(this.settings.requestCancel(this.session.client)).catch(() => {
        this.session.isDoubtful = true
      })
      // One that is under way when the statement has ended would hit the next one, unless the connection is broken.
      await Promise.race([request, this.session.gone])
      await atMost(cancelAgainMs, over)
    }
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
        if (named) named.description ??= descriptionOf(result, this.session.client)
        if (isWithin) resolve(result)
        else reject(cancellation?.ended)
      }
      // What a write returns is not counted: it has taken effect.
      if (cancellation?.countsRows && onlyReads(text, named)) {
        // What comes after the budget is spent is let go, until the server has heard of it.
        query.on('row', (_row: unknown, result?: { rows: unknown[] }) => {
          if (cancellation.countRows()) return
          isWithin = false
          if (result) result.rows.length = 0
        })
      }
      this.session.sent()
      this.session.client.query(query)
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
      this.session.client.query(stream)
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
      await this.session.client.query('ROLLBACK')
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
  sendStarted(statement: Statement): Promise<QueryResult> {
    const { start } = statement
    if (start === undefined || (!statement.rows && (statement.named || statement.values?.length)))
      return this.send(statement)
    this.session.sent()
    return this.session.client.query(start).then(() => this.send({ ...statement, start: undefined }))
  }

  /** The prepared statement as which a text is to be sent; undefined: none. */
  nameOf(text: string, values: readonly unknown[] | undefined): StatementName | undefined {
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

  /**
   * Takes note of what a statement has ended: DEALLOCATE and DISCARD may have been of our names too; plans do not outlive the types that
   * they were made for.
   *
   * @returns true where the session has lost settings that every holder counts on
   */
  noteForgotten({ command }: QueryResult, text: string): boolean {
    if (forgetCommands.has(command)) this.session.prepared?.clear()
    if (typeCommands.has(command) && replacesTypes.test(text)) this.settings.plans.goneStale()
    return this.settings.losesPins === true && resetCommands.has(command)
  }
}

/** The first words of the tags of statements that may replace a type. One that is made has often been dropped before, by others. */
const typeCommands: ReadonlySet<string> = new Set(['CREATE', 'ALTER', 'DROP'])
const replacesTypes = /\b(?:CREATE|ALTER|DROP)\s+(?:TYPE|DOMAIN|SCHEMA|TABLE)\b/i

/** The tags of statements that give settings back what a new session has. */
const resetCommands: ReadonlySet<string> = new Set(['RESET', 'DISCARD'])

/** The tags of statements that drop prepared statements. */
const forgetCommands: ReadonlySet<string> = new Set(['DEALLOCATE', 'DISCARD'])

/** Read once of a text that is named: a statement over many shards has thousands of letters. */
function onlyReads(text: string, named: StatementName | undefined): boolean {
  if (!named) return isRead(text)
  named.isRead ??= isRead(text)
  return named.isRead
}

const graceOf = (text: string, cancelMs = defaultCancelMs): number =>
  isRead(text) ? cancelMs : Math.max(cancelMs, cancelWriteMs)
