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

export type StatementListener = (event: StatementEvent) => void
