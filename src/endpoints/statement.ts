import type { Cancellation } from './cancellation'
import type { StatementName } from './prepared-statements'

/** A statement as it goes to the server. */
export interface Statement {
  readonly text: string
  /** What follows a COPY … FROM STDIN. */
  readonly rows: Buffer | undefined
  readonly values: readonly unknown[] | undefined
  /** The prepared statement as which it is sent. */
  readonly named: StatementName | undefined
  readonly cancellation: Cancellation | undefined
  /** Begins the transaction whose first statement it is. */
  readonly start: string | undefined
}

/** One statement that was sent to a node: for tests, logs and telemetry. Parameters are not part of it. */
export interface StatementEvent {
  readonly node: string
  /** The shard whose statement it is; undefined for the home node's own tables and for statements of several shards. */
  readonly shard: string | undefined
  readonly text: string
  /** Sent as a named prepared statement. */
  readonly prepared: boolean
  /** 0 of a START TRANSACTION: it goes with the first statement of its transaction, in one message. */
  readonly milliseconds: number
  readonly failed: boolean
  /** It failed after its operation was ended before its time: by an abort, a deadline, a budget or a failed peer. */
  readonly cancelled: boolean
}

/** Called after every statement. What it throws is a warning of the process, and does not fail the statement. */
export type StatementListener = (event: StatementEvent) => void
