import { type BindText, BoundClient } from '../../endpoints/bound-client'
import type { NodePool } from '../../endpoints/node-pool'

type ConnectCallback = (error: unknown, client?: BoundClient, release?: (error?: Error | boolean) => void) => void

/** What TypeORM takes for a pool of pg: a view of a node's one pool, for one shard or for the home node's own tables. */
export class FacadePool {
  constructor(
    private readonly pool: () => NodePool,
    private readonly bind: BindText,
    private readonly shard: string | undefined,
  ) {}

  /** Errors of idle connections are the node pool's to report, once and not once a shard. */
  on(): this {
    return this
  }

  connect(callback: ConnectCallback): void {
    this.pool()
      .acquire(this.shard)
      .then(
        ({ connection, release }) => callback(null, new BoundClient(connection, this.bind, this.shard), release),
        (error: unknown) => callback(error),
      )
  }

  /** The node's pool outlives every view of it; the data source ends it. */
  end(callback: () => void): void {
    callback()
  }
}

/** The module that TypeORM's public `driver` option takes in place of `pg`. */
export function pgFacade(pool: () => NodePool): { readonly Pool: new () => FacadePool } {
  return {
    Pool: class extends FacadePool {
      constructor() {
        super(pool, (text) => text, undefined)
      }
    },
  }
}
