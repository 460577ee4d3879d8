import type { PoolClient, QueryResult } from 'pg'
import { connectionBroke, isConnectionError, type Place } from './connection-errors'
import { PreparedStatements } from './prepared-statements'
import type { StatementListener } from './statement-event'

const inTransactionKey = Symbol('in transaction')
const statementsKey = Symbol('prepared statements')

/** A pooled client of `pg`, with what is known of its session. */
export type SessionClient = PoolClient & { [inTransactionKey]?: boolean; [statementsKey]?: PreparedStatements }

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
  private tail: Promise<unknown> | undefined

  constructor(
    readonly client: SessionClient,
    private readonly settings: ConnectionSettings,
    private readonly node: string,
  ) {}

  /** Sends a statement. @throws ShardedError SHARD_UNAVAILABLE, CONNECTION_LOST, COMMIT_OUTCOME_UNKNOWN; else pg's DatabaseError */
  query(text: string, values: readonly unknown[] | undefined, shard: string | undefined): Promise<QueryResult> {
    if (this.tail === undefined) {
      const run = this.send(text, values, shard)
      this.tail = run
      const done = () => {
        if (this.tail === run) this.tail = undefined
      }
      run.then(done, done)
      return run
    }
    const next = () => this.send(text, values, shard)
    const run = this.tail.then(next, next)
    this.tail = run
    const done = () => {
      if (this.tail === run) this.tail = undefined
    }
    run.then(done, done)
    return run
  }

  private async send(
    text: string,
    values: readonly unknown[] | undefined,
    shard: string | undefined,
  ): Promise<QueryResult> {
    const { client, settings } = this
    const started = settings.listeners.size > 0 ? performance.now() : 0
    const named = this.nameOf(text, values)
    let failed = true
    try {
      if (named?.evicted !== undefined) await this.deallocate(named.evicted)
      const result = await this.run(text, values, named?.name)
      failed = false
      this.followTransaction(text)
      return result
    } catch (error) {
      const place = this.place(shard)
      if (isConnectionError(error)) throw connectionBroke(place, text, client[inTransactionKey] === true, error)
      // TypeORM's QueryFailedError takes over the fields of the driver's error: it then says where it happened.
      throw error instanceof Error ? Object.assign(error, place) : error
    } finally {
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

  private async run(
    text: string,
    values: readonly unknown[] | undefined,
    name: string | undefined,
  ): Promise<QueryResult> {
    const { client } = this
    const mutable = values as unknown[] | undefined
    if (name === undefined) return client.query(text, mutable)
    try {
      return await client.query({ name, text, ...(mutable && { values: mutable }) })
    } catch (error) {
      if (!isStalePlan(error)) throw error
      // The table changed under the plan (0A000), or somebody dropped our statements (26000). Forget them all; outside a
      // transaction the statement did not run and may be sent again, inside one the server has aborted it.
      await this.forgetPrepared()
      if (client[inTransactionKey]) throw error
      return client.query(text, mutable)
    }
  }

  private async deallocate(name: string): Promise<void> {
    await this.client.query(`DEALLOCATE "${name}"`)
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
    if (text.startsWith('START TRANSACTION') || text.startsWith('BEGIN')) this.client[inTransactionKey] = true
    else if (text === 'COMMIT' || text === 'ROLLBACK') this.client[inTransactionKey] = false
  }

  private place(shard: string | undefined): Place {
    return { node: this.node, shard }
  }
}

function isStalePlan(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false
  return error.code === '26000' || (error.code === '0A000' && error.message.includes('cached plan'))
}
