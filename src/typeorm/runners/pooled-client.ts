import type { QueryResult } from 'pg'
import type { Fuse } from '../../execution/fuse'
import type { NodeConnection } from '../../execution/node-connection'
import type { NodePool } from '../../execution/node-pool'
import type { GiveBack, Permits } from '../../execution/permits'
import { type BindText, BoundClient } from './bound-client'

export interface PooledClientSettings {
  readonly pool: NodePool
  readonly bind: BindText
  /** undefined for statements of the node itself. */
  readonly shard: string | undefined
  readonly fuse?: Fuse | undefined
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
  private last: Promise<unknown> | undefined

  constructor(private readonly settings: PooledClientSettings) {}

  async query(text: string, values?: readonly unknown[]): Promise<QueryResult> {
    const before = this.last
    const answer = before ? before.then(() => this.send(text, values)) : this.send(text, values)
    const ended = answer.then(nothing, nothing)
    this.last = ended
    try {
      return await answer
    } finally {
      if (this.last === ended) this.last = undefined
    }
  }

  private async send(text: string, values: readonly unknown[] | undefined): Promise<QueryResult> {
    const { pool, bind, shard, fuse, permits, held } = this.settings
    const kept = await held?.()
    if (kept) return new BoundClient(kept, bind, shard, fuse).query(text, values) as Promise<QueryResult>
    const leave: GiveBack | undefined = await permits?.take(fuse, fuse ? undefined : pool.waitMs)
    try {
      const lease = await pool.acquire(shard, fuse)
      try {
        const client = new BoundClient(lease.connection, bind, shard, fuse)
        return (await client.query(text, values)) as QueryResult
      } finally {
        lease.release()
      }
    } finally {
      leave?.()
    }
  }
}

const nothing = (): void => undefined
