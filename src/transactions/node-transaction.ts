import type { Fuse } from '../execution/fuse'
import type { NodeConnection } from '../execution/node-connection'
import type { Lease, NodePool } from '../execution/node-pool'
import type { StatementResult } from '../execution/statement-result'

export interface TransactionSettings {
  readonly isolation: string | undefined
  /** 1 is the transaction, each further level a savepoint. */
  readonly depth: number
}

/**
 * One node's part of a transaction over shards: one connection and one PostgreSQL transaction, shared by all of the
 * node's shards, so that what it holds commits or fails as one.
 */
export class NodeTransaction {
  private constructor(
    readonly node: string,
    readonly connection: NodeConnection,
    private readonly lease: Lease | undefined,
  ) {}

  /** Opens it on a connection of its own. */
  static async open(pool: NodePool, settings: TransactionSettings): Promise<NodeTransaction> {
    const lease = await pool.acquire()
    return new NodeTransaction(pool.name, lease.connection, lease).begin(settings)
  }

  /** Opens it on a connection that somebody else holds and gives back. */
  static over(node: string, connection: NodeConnection, settings: TransactionSettings): Promise<NodeTransaction> {
    return new NodeTransaction(node, connection, undefined).begin(settings)
  }

  private async begin({ isolation, depth }: TransactionSettings): Promise<this> {
    this.connection.hasWritten = false
    try {
      await this.send(isolation ? `START TRANSACTION ISOLATION LEVEL ${isolation}` : 'START TRANSACTION')
      for (let level = 1; level < depth; level++) await this.savepoint(level)
      return this
    } catch (error) {
      this.release(true)
      throw error
    }
  }

  savepoint(level: number): Promise<void> {
    return this.send(`SAVEPOINT typeorm_${level}`)
  }

  releaseSavepoint(level: number): Promise<void> {
    return this.send(`RELEASE SAVEPOINT typeorm_${level}`)
  }

  rollbackToSavepoint(level: number): Promise<void> {
    return this.send(`ROLLBACK TO SAVEPOINT typeorm_${level}`)
  }

  /** False where the server answered COMMIT with a rollback, since an earlier statement had failed. */
  async commit(fuse?: Fuse): Promise<boolean> {
    const { command } = await this.query('COMMIT', undefined, fuse)
    return command === 'COMMIT'
  }

  /** A statement of the transaction; of the session, once that has ended. */
  query(text: string, values?: readonly unknown[], fuse?: Fuse): Promise<StatementResult> {
    return this.connection.query(text, values, undefined, fuse)
  }

  /** Whether there is anything to commit: PostgreSQL gives a transaction its id at its first write, or lock of a row. */
  async hasWritten(fuse?: Fuse): Promise<boolean> {
    if (this.connection.hasWritten) return true
    if (this.connection.hasSentNothing) return false
    const { rows } = await this.query('SELECT pg_current_xact_id_if_assigned() IS NOT NULL AS written', undefined, fuse)
    return rows[0]?.written === true
  }

  async rollback(fuse?: Fuse): Promise<void> {
    await this.query('ROLLBACK', undefined, fuse)
  }

  /** Gives the connection back; `broken` closes it, so that no half-finished session reaches the next user. */
  release(broken = false): void {
    this.lease?.release(broken)
  }

  private async send(text: string): Promise<void> {
    await this.query(text)
  }
}
