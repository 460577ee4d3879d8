import { LRUCache } from 'lru-cache'
import { type BindText, BoundClient } from '../../endpoints/bound-client'
import type { NodePool } from '../../endpoints/node-pool'
import { bindShardNames } from '../../planning/bind-shard-names'
import type { Shard } from '../../topology/shard'

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

/** Letters of bound texts that the shards of a data source remember together: with more shards each remembers fewer. */
const maxLetters = 32_000_000
/** Longer texts are bulk statements, which rarely come back. */
const maxRememberedLength = 4_096

/** Binds texts to one of so many shards, remembering those of ordinary length: TypeORM makes the same few texts again and again. */
export function shardBinder(shard: Shard, shards: number): BindText {
  const known = new LRUCache<string, string>({
    maxSize: Math.ceil(maxLetters / shards),
    // A text may be empty, and a weight may not be 0.
    sizeCalculation: (bound, text) => 1 + bound.length + text.length,
  })
  return (text) => {
    const found = known.get(text)
    if (found !== undefined) return found
    const bound = bindShardNames(text, shard)
    if (text.length <= maxRememberedLength) known.set(text, bound)
    return bound
  }
}
