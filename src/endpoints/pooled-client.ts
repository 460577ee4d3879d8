import type { QueryResult } from 'pg'
import { type BindText, BoundClient } from './bound-client'
import type { Cancellation } from './cancellation'
import type { NodeConnection } from './node-connection'
import type { NodePool } from './node-pool'
import type { Permits } from './permits'

export interface PooledClientSettings {
  readonly pool: NodePool
  readonly bind: BindText
  /** undefined for statements of the node itself. */
  readonly shard: string | undefined
  readonly cancellation?: Cancellation | undefined
  /** Each statement takes one of these first: it is one of many that are sent at once. */
  readonly permits?: Permits | undefined
  /** The connection that the caller keeps anyway. It waits for none, and so takes no permit. */
  readonly held?: (() => Promise<NodeConnection | undefined>) | undefined
}

/**
 * What TypeORM takes for a client of pg. It takes a connection for each statement and gives it back with the answer, one
 * statement at a time: between statements, while listeners and subscribers have their turn, an operation holds neither a
 * connection nor a permit. What they ask for themselves can so never wait for the operation that told them.
 */
export class PooledClient {
  private isBusy = false
  private readonly waiting: (() => void)[] = []

  constructor(private readonly settings: PooledClientSettings) {}

  async query(text: string, values?: readonly unknown[]): Promise<QueryResult> {
    if (this.isBusy) await new Promise<void>((go) => this.waiting.push(go))
    this.isBusy = true
    try {
      const { bind, shard, cancellation, held } = this.settings
      const kept = held && (await held())
      if (kept) return await new BoundClient(kept, bind, shard, cancellation).run(text, values)
      return await this.onOne(text, values)
    } finally {
      const next = this.waiting.shift()
      if (next) next()
      else this.isBusy = false
    }
  }

  private async onOne(text: string, values: readonly unknown[] | undefined): Promise<QueryResult> {
    const { pool, bind, shard, cancellation, permits } = this.settings
    const leave = permits && (await permits.take(cancellation, cancellation ? undefined : pool.waitMs))
    try {
      const lease = await pool.acquire(shard, cancellation)
      try {
        return await new BoundClient(lease.connection, bind, shard, cancellation).run(text, values)
      } finally {
        lease.release()
      }
    } finally {
      leave?.()
    }
  }
}
