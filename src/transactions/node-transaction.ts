import type { Cancellation } from '../endpoints/cancellation'
import type { Lease } from '../endpoints/connection-pool'
import type { NodeConnection } from '../endpoints/node-connection'
import type { NodePool } from '../endpoints/node-pool'
import { isServerRefusal } from '../endpoints/sql-state'
import type { StatementResult } from '../endpoints/statement-result'
import { ShardedError } from '../errors/sharded-error'
import { savepointName } from './session-script'

export interface TransactionSettings {
  readonly isolation: string | undefined
  /** What the other nodes were told since the transaction began: asked for when there is a connection to tell it on. */
  readonly script: () => readonly string[]
}

/**
 * One node's part of a transaction over shards: one connection and one PostgreSQL transaction, shared by all of the
 * node's shards, so that what it holds commits or fails as one.
 */
export class NodeTransaction {
  private asked: Promise<string> | undefined

  private constructor(
    readonly node: string,
    readonly connection: NodeConnection,
    private readonly lease: Lease | undefined,
  ) {}

  /**
   * Opens it on a connection of its own, in the turn of its holder.
   * @throws ShardedError POOL_EXHAUSTED, and what `NodePool.acquire` throws
   */
  static async open(pool: NodePool, holder: object, settings: TransactionSettings): Promise<NodeTransaction> {
    const giveBack = await pool.transactions.take(holder)
    const lease = await pool.acquire().catch((error: unknown) => {
      giveBack()
      throw error
    })
    lease.connection.onRetire(giveBack)
    return new NodeTransaction(pool.name, lease.connection, lease).begin(settings)
  }

  /** Opens it on a connection that somebody else holds and gives back. */
  static over(node: string, connection: NodeConnection, settings: TransactionSettings): Promise<NodeTransaction> {
    return new NodeTransaction(node, connection, undefined).begin(settings)
  }

  private async begin({ isolation, script: told }: TransactionSettings): Promise<this> {
    const script = told()
    this.connection.hasWritten = false
    const start = isolation ? `START TRANSACTION ISOLATION LEVEL ${isolation}` : 'START TRANSACTION'
    try {
      // All of the script goes in one message. A line of its own ends a text whose last line is a comment.
      await this.send([start, ...script].join('\n;'))
      return this
    } catch (error) {
      await this.abandon()
      throw script.length > 0 && isServerRefusal(error) ? notHeld(this.node, error) : error
    }
  }

  /** Asks which process of the server it speaks with, for the watch of locks; it is given up where that fails. */
  async learnPid(): Promise<void> {
    try {
      await this.connection.learnPid()
    } catch (error) {
      await this.abandon()
      throw error
    }
  }

  private async abandon(): Promise<void> {
    if (this.lease) this.release(true)
    else if (this.connection.inTransaction) await this.rollback().catch(() => undefined)
  }

  /** The time of the transaction, asked once. In ISO 8601, which a session reads alike whatever its DateStyle. */
  time(): Promise<string> {
    this.asked ??= this.askTime()
    return this.asked
  }

  private async askTime(): Promise<string> {
    try {
      const { rows } = await this.query(`SELECT to_json(now()) #>> '{}' AS time`)
      return String(rows[0]?.time)
    } catch (error) {
      // After a savepoint the transaction may be asked again.
      this.asked = undefined
      throw error
    }
  }

  savepoint(name: string): Promise<void> {
    return this.send(`SAVEPOINT ${savepointName(name)}`)
  }

  releaseSavepoint(name: string): Promise<void> {
    return this.send(`RELEASE SAVEPOINT ${savepointName(name)}`)
  }

  rollbackToSavepoint(name: string): Promise<void> {
    return this.send(`ROLLBACK TO SAVEPOINT ${savepointName(name)}`)
  }

  /** False where the server answered COMMIT with a rollback, since an earlier statement had failed. */
  async commit(cancellation?: Cancellation): Promise<boolean> {
    const { command } = await this.query('COMMIT', undefined, cancellation)
    return command === 'COMMIT'
  }

  /** A statement of the transaction; of the session, once that has ended. */
  query(text: string, values?: readonly unknown[], cancellation?: Cancellation): Promise<StatementResult> {
    return this.connection.query(text, values, undefined, cancellation)
  }

  /** Whether there is anything to commit: PostgreSQL gives a transaction its id at its first write, or lock of a row. */
  async hasWritten(cancellation?: Cancellation): Promise<boolean> {
    if (this.connection.hasWritten) return true
    if (this.connection.hasSentNothing) return false
    const { rows } = await this.query(
      'SELECT pg_current_xact_id_if_assigned() IS NOT NULL AS written',
      undefined,
      cancellation,
    )
    return rows[0]?.written === true
  }

  async rollback(cancellation?: Cancellation): Promise<void> {
    await this.query('ROLLBACK', undefined, cancellation)
  }

  /** Gives the connection back; `broken` closes it, so that no half-finished session reaches the next user. */
  release(broken = false): void {
    this.lease?.release(broken)
  }

  private async send(text: string): Promise<void> {
    await this.query(text)
  }
}

function notHeld(node: string, cause: Error): ShardedError {
  return new ShardedError(
    'SESSION_NOT_HELD',
    `Node ${node} joined the transaction, and refused what its session had been told: ${cause.message}.`,
    { details: { node }, cause, labels: ['no-writes'] },
  )
}
