import type { ConnectionOptions } from 'node:tls'
import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions'
import type { ShardingFunction } from '../../functions/sharding-function'
import type { Layout, ScatterOptions } from '../../model/sharded-options'
import type { NodeCapacity } from '../../rebalancing/plan-moves'
import type { TransactionMode } from '../../transactions/transaction-mode'
import type { CurrentManager } from './current-manager'

/** One PostgreSQL database. */
export interface NodeOptions {
  readonly url?: string
  /**
   * URL of the same database past a pooler in transaction mode. What is asked of the node besides the statements of operations goes
   * there, and so do the ends of prepared transactions: they never wait for the pooler's servers, of which operations may hold all.
   */
  readonly directUrl?: string
  /** URL by which the servers of the other nodes reach this one, for a move of a shard. Default: `directUrl`, or else as this process reaches it. */
  readonly replicationUrl?: string
  readonly host?: string
  readonly port?: number
  readonly username?: string
  readonly password?: string | (() => string) | (() => Promise<string>)
  readonly database?: string
  readonly ssl?: boolean | ConnectionOptions
  /** Connections at the most. Default: the data source's `poolSize`, else 10. */
  readonly poolSize?: number
  /** Share of the shards that are placed on the node, against the other nodes' weights. Default 1. */
  readonly weight?: number
  /** Rows and bytes of shards that `topology.plan()` puts on the node at the most. Default: no bound. */
  readonly capacity?: NodeCapacity
}

/** What one environment changes of a colocation group: its shards, how they stand in a node, and on which node each is. */
export interface GroupOptions {
  /** Another sharding function than the decorator's, for this environment. */
  readonly shards?: ShardingFunction
  readonly layout?: Layout
  /** Pins shards (by name or label) to nodes; the others are placed evenly by weight. Default: all evenly. */
  readonly placement?: 'even' | Readonly<Record<string, string>>
}

/** What `findPage` makes its cursors with. */
export interface CursorOptions {
  /**
   * Signs cursors; 16 bytes at least, the same in every process. Of several the first signs and all are accepted, so that a
   * secret can be replaced: put the new one first, and drop the old one when its cursors are no longer in use.
   */
  readonly secret: string | Uint8Array | readonly (string | Uint8Array)[]
}

/** What a data source says of scatters: for its entities, and for its nodes. */
export interface DataSourceScatterOptions extends ScatterOptions {
  /**
   * Scatters that run on a node at once, and likewise streams that are open on it. Default, and the most: the node's pool
   * size less one, so that operations on one shard always find a connection.
   */
  readonly concurrencyPerNode?: number
}

/** What a query that is not local may copy of all its tables together; then it is `GATHER_TOO_LARGE`. */
export interface GatherOptions {
  /** Default 1,000,000; `Infinity`: no bound. */
  readonly rows?: number
  /** Letters of the rows' texts. Default 268,435,456; `Infinity`: no bound. */
  readonly bytes?: number
}

/** What a process counts for `topology.report()`. */
export interface LoadStatisticsOptions {
  /** Of each colocation group so many of the shard keys that operations name most often are told apart: 0 to 10,000; 0: none. Default 64. */
  readonly hotKeys?: number
}

/** How long is waited, in milliseconds, before a coded error ends the wait; `Infinity`: for ever. */
export interface TimeoutOptions {
  /** For any answer of a node, while a statement waits and a new connection is tried: then it is `SHARD_UNAVAILABLE`. Default 10,000. */
  readonly silenceMs?: number
  /** For one statement: `STATEMENT_TIMEOUT`. Default `Infinity`, or `extra.query_timeout`. */
  readonly queryMs?: number
  /** For one statement that is none of an operation's: of catalogs, ids, recovery. `STATEMENT_TIMEOUT`. Default 10,000. */
  readonly backgroundMs?: number
  /** For the next statement of an open transaction: `TRANSACTION_IDLE`. Default 3,600,000. */
  readonly transactionIdleMs?: number
  /** For the reader of an open stream: `STREAM_IDLE`. Default 3,600,000. */
  readonly streamIdleMs?: number
  /** For a read that was ended before its time to end on its server; then its connection is closed. Default 500. */
  readonly cancelMs?: number
  /** When the data source is destroyed, for what still holds a connection. Default 5,000. */
  readonly destroyMs?: number
}

type ConnectionOption =
  | 'type'
  | 'url'
  | 'host'
  | 'port'
  | 'username'
  | 'password'
  | 'database'
  | 'ssl'
  | 'replication'
  | 'driver'
  | 'nativeDriver'

/** TypeORM's options for PostgreSQL, less those of one connection, and the topology. */
export interface ShardedDataSourceOptions extends Omit<PostgresDataSourceOptions, ConnectionOption> {
  readonly type: 'postgres'
  readonly nodes: Readonly<Record<string, NodeOptions>>
  /**
   * Names what belongs together, in lower-case letters, digits and underscores. Data sources of another cluster may use the same databases: each
   * cluster has a schema for what this package stores, `sharding` or `sharding_<cluster>`. Default `'default'`.
   */
  readonly cluster?: string
  /** The node of the unsharded entities. Default: the one that the databases know; at the first start, the first. */
  readonly home?: string
  /**
   * What a start does where the databases know another topology than the options make: other sharding functions, layouts, places
   * or another home. `'refuse'`, the default: TOPOLOGY_MISMATCH. `'replace'`: the options take its place where the shards that are stored
   * hold no rows; stop all other processes first.
   */
  readonly onTopologyChange?: 'refuse' | 'replace'
  /**
   * Which nodes a start may lack. `'any'`, the default: operations on nodes that do not answer fail with SHARD_UNAVAILABLE until these
   * answer and were checked. `'none'`: the start fails with SHARD_UNAVAILABLE. A first start lacks none, nor does one that makes or changes tables.
   */
  readonly startWithout?: 'none' | 'any'
  /**
   * Whether operations end with LEASE_LOST where no node takes the lease of this process for 25 seconds. Off: for processes that only read.
   * Default true.
   */
  readonly selfFencing?: boolean
  /**
   * Nodes that go on with what they have, although a start has noticed that they were restored from an older backup, are copies, or were
   * promoted from a standby that lagged. For one start: what was lost then is lost.
   */
  readonly acceptRestored?: readonly string[]
  /**
   * Who does `onDelete` of relations whose rows may lie on two databases, for which there is no foreign key. By default nobody: an action is
   * refused at start, and what is referred to can be deleted. `'application'`: a delete of sharded rows, however it is written, deletes
   * the rows that refer to them, sets their references to NULL, or fails with 23503, in its own transaction.
   */
  readonly onDelete?: 'application'
  /** For groups that do not say. Default `'schema'`. */
  readonly layout?: Layout
  readonly groups?: Readonly<Record<string, GroupOptions>>
  /**
   * Whether schema work takes schemas and tables that have the names of shards' and no mark: shards that a version without
   * marks made, or that were restored without comments. Their tables must have the primary keys of the entities. Default false.
   */
  readonly adoptShards?: boolean
  /** For entities that do not say. */
  readonly scatter?: DataSourceScatterOptions
  /** For queries that are answered from copies of rows. */
  readonly gather?: GatherOptions
  /** For entities that do not say. Default true; see `ShardedOptions.primaryKeyCheck`. */
  readonly primaryKeyCheck?: boolean
  /** Named statements per connection: true means 256 of them. Turn off behind a pooler in transaction mode. Default true. */
  readonly preparedStatements?: boolean | { readonly max: number }
  /**
   * Settings that the sessions of all nodes have. Default: those that decide the text or meaning of values are as the home
   * node has them by itself.
   *
   * @example session: { TimeZone: 'UTC' }
   */
  readonly session?: Readonly<Record<string, string>>
  /**
   * How a write over several nodes is committed. Default: `'two-phase'` where every node allows it (its
   * `max_prepared_transactions` is above 0), else `'best-effort'`, and the log says so once.
   */
  readonly transactions?: TransactionMode
  /**
   * Milliseconds that a statement of a transaction over several nodes may wait for a lock, before it fails with
   * LOCK_TIMEOUT: a deadlock over nodes is seen by none of them. Default 10,000; `Infinity`: for ever.
   */
  readonly lockTimeoutMs?: number
  /** Whether this process counts its statements and the shard keys that operations name, for `topology.report()` and plans by load. Default false. */
  readonly loadStatistics?: boolean | LoadStatisticsOptions
  /** What is waited for, and how long. */
  readonly timeouts?: TimeoutOptions
  /**
   * Connections of each node that transactions leave to operations on that node alone, so that those go on while
   * transactions wait for another node. Default: a fifth of the pool.
   */
  readonly poolReserve?: number
  /** For `findPage`, which is refused without. */
  readonly cursors?: CursorOptions
  /**
   * Gives the manager of the transaction that the present request is in, as code that keeps it in an `AsyncLocalStorage` has
   * it; undefined outside of one. Repositories and managers that were made for no query runner then work in that transaction, and
   * so do `dataSource.query`, `createQueryBuilder` and `transaction` (nested). It is asked for each operation. What was made for
   * a query runner, and `createQueryRunner` itself, do not ask.
   *
   * @example currentManager: () => requests.getStore()?.manager
   */
  readonly currentManager?: CurrentManager
}
