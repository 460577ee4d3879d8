import type { QueryResult } from 'pg'
import { ShardedError } from '../errors/sharded-error'
import { afterTurning } from './after-turning'
import { atMost } from './at-most'
import { isRead } from './is-read'
import type { PlanProblem } from './named-plans'
import { Session } from './session'
import { sqlState } from './sql-state'
import type { Statement } from './statement'
import { mustNotPrepare } from './witnessed-text'

/** A cancel request may meet the server between two messages of a statement, where it is ignored: it is sent again after this. */
const cancelAgainMs = 500

/** A write that does not end this long after its cancel request is ended by closing its connection: its outcome is then unknown. */
const cancelWriteMs = 5_000

/** A read likewise: of that nothing is lost but the connection. */
export const defaultCancelMs = 500

/** A session with what is rare on it: statements that are cancelled, sent again since their plans have gone stale, or a COPY. */
export class PooledSession extends Session {
  protected async cancel(running: Promise<unknown>, text: string): Promise<void> {
    let isOver = false
    const over = running.then(
      () => undefined,
      () => undefined,
    )
    const off = afterTurning(graceOf(text, this.settings.bounds.cancelMs), () => this.destroy())
    void over.then(() => {
      isOver = true
      off()
    })
    while (!isOver) {
      const request = this.unread(this.settings.requestCancel(this.client)).catch(() => {
        this.isDoubtful = true
      })
      // One that is under way when the statement has ended would hit the next one, unless the connection is broken.
      await Promise.race([request, this.gone])
      await atMost(cancelAgainMs, over)
    }
  }

  protected copy(text: string, rows: Buffer): Promise<QueryResult> {
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
      this.sent()
      this.client.query(stream)
      stream.end(rows)
    })
  }

  protected async sendAgain(statement: Statement, problem: PlanProblem, error: Error): Promise<QueryResult> {
    await this.ready()
    const canRepeat = !this.inTransaction || statement.start !== undefined
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
    if (this.inTransaction) await this.sendText('ROLLBACK')
    return this.send({ ...statement, named: undefined })
  }

  private forgetNames({ named, text }: Statement, problem: PlanProblem): void {
    const { plans } = this.settings
    if (problem === 'lost' || problem === 'taken') plans.mixedUp(problem === 'taken')
    else if (problem === 'doubtful' && !named?.description) mustNotPrepare(text)
    else plans.goneStale()
    this.prepared.clear()
  }

  private planStale(text: string, cause: unknown): ShardedError {
    const { node } = this.settings
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

  /**
   * Takes note of what a statement has ended: DEALLOCATE and DISCARD may have been of our names too; plans do not outlive the types that
   * they were made for.
   *
   * @returns true where the session has lost settings that every holder counts on
   */
  noteForgotten({ command }: QueryResult, text: string): boolean {
    if (forgetCommands.has(command)) this.prepared.clear()
    if (typeCommands.has(command) && replacesTypes.test(text)) this.settings.plans.goneStale()
    return this.settings.losesPins === true && resetCommands.has(command)
  }

  /** Reads nothing more from the server until `work` has ended: a flood of rows would keep all else from being heard. */
  private async unread(work: Promise<void>): Promise<void> {
    const { stream } = this.wire
    stream.pause()
    try {
      await work
    } finally {
      stream.resume()
    }
  }
}

/** The first words of the tags of statements that may replace a type. One that is made has often been dropped before, by others. */
const typeCommands: ReadonlySet<string> = new Set(['CREATE', 'ALTER', 'DROP'])
const replacesTypes = /\b(?:CREATE|ALTER|DROP)\s+(?:TYPE|DOMAIN|SCHEMA|TABLE)\b/i

/** The tags of statements that give settings back what a new session has. */
const resetCommands: ReadonlySet<string> = new Set(['RESET', 'DISCARD'])

/** The tags of statements that drop prepared statements. */
const forgetCommands: ReadonlySet<string> = new Set(['DEALLOCATE', 'DISCARD'])

const graceOf = (text: string, cancelMs = defaultCancelMs): number =>
  isRead(text) ? cancelMs : Math.max(cancelMs, cancelWriteMs)
