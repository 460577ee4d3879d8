import type { NodeConnection } from '../execution/node-connection'
import type { Lease, NodePool } from '../execution/node-pool'

/**
 * One node's part of a transaction over shards: one connection and one PostgreSQL transaction, shared by all of the
 * node's shards, so that what it holds commits or fails as one.
 */
export class NodeTransaction {
  private constructor(
    readonly node: string,
    private readonly lease: Lease,
  ) {}

  /** Opens it at the given depth: depth 1 is the transaction, each further one a savepoint. */
  static async open(pool: NodePool, isolation: string | undefined, depth: number): Promise<NodeTransaction> {
    const transaction = new NodeTransaction(pool.name, await pool.acquire())
    try {
      await transaction.send(isolation ? `START TRANSACTION ISOLATION LEVEL ${isolation}` : 'START TRANSACTION')
      for (let level = 1; level < depth; level++) await transaction.savepoint(level)
      return transaction
    } catch (error) {
      transaction.release(true)
      throw error
    }
  }

  get connection(): NodeConnection {
    return this.lease.connection
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

  commit(): Promise<void> {
    return this.send('COMMIT')
  }

  rollback(): Promise<void> {
    return this.send('ROLLBACK')
  }

  /** Gives the connection back; `broken` closes it, so that no half-finished session reaches the next user. */
  release(broken = false): void {
    this.lease.release(broken)
  }

  private async send(text: string): Promise<void> {
    await this.connection.query(text, undefined, undefined)
  }
}
