import type { PoolClient, PoolConfig, QueryResult } from 'pg'
import type { NamedPlans } from './named-plans'
import type { SilenceWatch } from './silence-watch'
import type { StatementListener } from './statement'

/** What the connections of one node have alike. */
export interface ConnectionSettings {
  readonly node: string
  readonly plans: NamedPlans
  /** Behind a pooler that keeps sessions, a RESET gives back what the pooler's server has, and not what the connection was told. */
  readonly losesPins?: boolean
  /** Asks the server to end what a client's session runs; see `requestCancel`. */
  readonly requestCancel: (client: PoolClient) => Promise<void>
  /** Has a statement explained on another connection, within a bounded time: what is wrong with it fails there, too. */
  readonly explain: (text: string, values: readonly unknown[] | undefined) => Promise<QueryResult>
  readonly bounds: {
    readonly cancelMs?: number | undefined
    readonly queryMs?: number | undefined
    /** Without a statement in an open transaction; then it is rolled back. */
    readonly transactionIdleMs: number
  }
  readonly listeners: ReadonlySet<StatementListener>
  /** Breaks connections of a node that has fallen silent. */
  readonly watch: SilenceWatch
}

export interface ConnectionPoolSettings {
  /** As pg takes it, with the client that it opens. */
  readonly pool: PoolConfig
  /** How long is waited for a connection, in milliseconds; `Infinity` without a bound. */
  readonly waitMs: number
  readonly connections: ConnectionSettings
  readonly onPoolError: (error: Error) => void
  /** Connections that it may lend at once, beyond its size. */
  readonly lent?: number
  /** The schema of this package's own tables. Default: that of the default cluster. */
  readonly ownSchema?: string | undefined
}
