import { type BindText, BoundClient } from '../../endpoints/bound-client'
import type { NodePool } from '../../endpoints/node-pool'

/** What TypeORM asks of a client when it starts: to make extensions, which an earlier start has made where this one lacks the home node. */
const startingClient = {
  on: () => undefined,
  query: (_text: string, callback: (error: null, result: { readonly rows: readonly never[] }) => void): void =>
    callback(null, { rows: [] }),
}

type ConnectCallback = (
  error: unknown,
  client?: BoundClient | typeof startingClient,
  release?: (error?: Error | boolean) => void,
) => void

/** What TypeORM takes for a pool of pg: a view of a node's one pool, for one shard or for the home node's own tables. */
export class FacadePool {
  constructor(
    private readonly pool: () => NodePool,
    private readonly bind: BindText,
    private readonly shard: string | undefined,
    private readonly isStarting?: () => boolean,
  ) {}

  /** Errors of idle connections are the node pool's to report, once and not once a shard. */
  on(): this {
    return this
  }

  connect(callback: ConnectCallback): void {
    const pool = this.pool()
    // TypeORM takes a connection when it starts, of which it needs nothing.
    if (pool.isAbsent && this.isStarting?.()) {
      callback(null, startingClient, () => undefined)
      return
    }
    pool.acquire(this.shard).then(
      ({ connection, release }) => callback(null, new BoundClient(connection, this.bind, this.shard), release),
      (error: unknown) => callback(error),
    )
  }

  /** The node's pool outlives every view of it; the data source ends it. */
  end(callback: () => void): void {
    callback()
  }
}

/**
 * The module that TypeORM's public `driver` option takes in place of `pg`.
 *
 * @param isStarting whether TypeORM starts, which it also does where the home node does not answer
 */
export function pgFacade(pool: () => NodePool, isStarting?: () => boolean): { readonly Pool: new () => FacadePool } {
  return {
    Pool: class extends FacadePool {
      constructor() {
        super(pool, (text) => text, undefined, isStarting)
      }
    },
  }
}
