import { type PoolClient, Query, type QueryResult } from 'pg'
import { ShardedError } from '../errors/sharded-error'
import { connectionBroke, isConnectionError, type Place } from './connection-errors'
import { PreparedStatements } from './prepared-statements'
import type { StatementListener } from './statement-event'

const inTransactionKey = Symbol('in transaction')
const failedKey = Symbol('failed transaction')
const statementsKey = Symbol('prepared statements')

/** A pooled client of `pg`, with what is known of its session. */
export type SessionClient = PoolClient & {
  [inTransactionKey]?: boolean
  [failedKey]?: boolean
  [statementsKey]?: PreparedStatements
}

/** A query object of pg as its client reads it; the types leave out what the configuration would set. */
type NamedQuery = Query & {
  name?: string | undefined
  callback?: (error: Error | null | undefined, result: QueryResult) => void
}

/** Statements that may wait for one connection: more were asked for at once inside one transaction. */
const maxWaiting = 10_000

export interface ConnectionSettings {
  readonly maxPrepared: number
  readonly listeners: ReadonlySet<StatementListener>
}

/**
 * A connection of a node while somebody holds it: sends statements one after the other (also when asked for several at
 * once, since a PostgreSQL session runs one at a time), names those worth preparing, tells the listeners, and turns a
 * broken connection into an error that says what became of the statement.
 */
export class NodeConnection {
  private isBusy = false
  private readonly waiting: (() => void)[] = []

  constructor(
    readonly client: SessionClient,
    private readonly settings: ConnectionSettings,
    private readonly node: string,
  ) {}

  /** Sends a statement. @throws ShardedError SHARD_UNAVAILABLE, CONNECTION_LOST, COMMIT_OUTCOME_UNKNOWN; else pg's DatabaseError */
  async query(text: string, values: readonly unknown[] | undefined, shard: string | undefined): Promise<QueryResult> {
    if (this.isBusy) await this.turn(shard)
    this.isBusy = true
    const { client, settings } = this
    const started = settings.listeners.size > 0 ? performance.now() : 0
    const named = this.nameOf(text, values)
    let failed = true
    try {
      if (named?.evicted !== undefined) await this.deallocate(named.evicted)
      const result = await (named ? this.sendNamed(text, values, named.name) : this.send(text, values, undefined))
      failed = false
      this.followTransaction(text)
      return result
    } catch (error) {
      // As pg does for its promises: a stack that leads to the caller, not to the socket.
      if (error instanceof Error) Error.captureStackTrace(error)
      const place = this.place(shard)
      if (client[inTransactionKey]) client[failedKey] = true
      if (isConnectionError(error)) throw connectionBroke(place, text, client[inTransactionKey] === true, error)
      // TypeORM's QueryFailedError takes over the fields of the driver's error: it then says where it happened.
      throw error instanceof Error ? Object.assign(error, place) : error
    } finally {
      this.passTurn()
      if (settings.listeners.size > 0) {
        const event = {
          node: this.node,
          shard,
          text,
          prepared: named !== undefined,
          milliseconds: performance.now() - started,
          failed,
        }
        for (const listener of settings.listeners) listener(event)
      }
    }
  }

  /** A statement of the present transaction failed, and no savepoint before it was returned to: COMMIT will roll back. */
  get isTransactionFailed(): boolean {
    return this.client[inTransactionKey] === true && this.client[failedKey] === true
  }

  private turn(shard: string | undefined): Promise<void> {
    if (this.waiting.length < maxWaiting) return new Promise((resolve) => this.waiting.push(resolve))
    throw new ShardedError('QUEUE_FULL', `${maxWaiting} statements wait for one connection of node ${this.node}.`, {
      details: { ...this.place(shard) },
    })
  }

  /** Lets the next statement go, in the order of asking: who waits keeps `isBusy`, so that nobody overtakes. */
  private passTurn(): void {
    const next = this.waiting.shift()
    if (next) next()
    else this.isBusy = false
  }

  /** A query object with a callback spares pg's copy of the configuration, and two promises a statement. */
  private send(text: string, values: readonly unknown[] | undefined, name: string | undefined): Promise<QueryResult> {
    return new Promise((resolve, reject) => {
      const query: NamedQuery = new Query(text, values as unknown[] | undefined)
      query.name = name
      query.callback = (error, result) => (error ? reject(error) : resolve(result))
      this.client.query(query)
    })
  }

  private async sendNamed(text: string, values: readonly unknown[] | undefined, name: string): Promise<QueryResult> {
    try {
      return await this.send(text, values, name)
    } catch (error) {
      if (!isStalePlan(error)) throw error
      // The table changed under the plan (0A000), or somebody dropped our statements (26000). Forget them all; outside a
      // transaction the statement did not run and may be sent again, inside one the server has aborted it.
      await this.forgetPrepared()
      if (this.client[inTransactionKey]) throw error
      return this.send(text, values, undefined)
    }
  }

  private async deallocate(name: string): Promise<void> {
    await this.client.query(`DEALLOCATE "${name}"`).catch((error: unknown) => {
      // Somebody dropped it already (DISCARD ALL).
      if (!isStalePlan(error)) throw error
    })
    delete this.parsed?.parsedStatements?.[name]
  }

  /** Where `pg` notes which names it has parsed; never emptied by itself. */
  private get parsed(): { parsedStatements?: Record<string, string> } | undefined {
    return (this.client as { connection?: { parsedStatements?: Record<string, string> } }).connection
  }

  private async forgetPrepared(): Promise<void> {
    this.client[statementsKey]?.clear()
    const { parsed } = this
    if (parsed?.parsedStatements) parsed.parsedStatements = {}
    if (!this.client[inTransactionKey]) await this.client.query('DEALLOCATE ALL')
  }

  private nameOf(text: string, values: readonly unknown[] | undefined): { name: string; evicted?: string } | undefined {
    if (this.settings.maxPrepared === 0) return undefined
    this.client[statementsKey] ??= new PreparedStatements(this.settings.maxPrepared)
    return this.client[statementsKey].nameFor(text, values?.length ?? 0)
  }

  private followTransaction(text: string): void {
    const first = text.charCodeAt(0)
    // S, B, C, R: START, BEGIN, COMMIT, ROLLBACK; everything else leaves the state as it is.
    if (first !== 83 && first !== 66 && first !== 67 && first !== 82) return
    const begins = text.startsWith('START TRANSACTION') || text.startsWith('BEGIN')
    if (begins) this.client[inTransactionKey] = true
    else if (text === 'COMMIT' || text === 'ROLLBACK') this.client[inTransactionKey] = false
    if (begins || text.startsWith('ROLLBACK')) this.client[failedKey] = false
  }

  private place(shard: string | undefined): Place {
    return { node: this.node, shard }
  }
}

function isStalePlan(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false
  return error.code === '26000' || (error.code === '0A000' && error.message.includes('cached plan'))
}
