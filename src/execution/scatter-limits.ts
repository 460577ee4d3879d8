/** What bounds one operation: the caller's, in `withLimits`. */
export interface ScatterLimits {
  /** Rows, of all shards together, that an answer may have. `Infinity`: no bound. */
  readonly rowBudget?: number
  /** Milliseconds from the start of the operation, waiting for connections included. `Infinity`: no deadline. */
  readonly deadlineMs?: number
  /** Ends the operation when it is aborted; the operation then throws the signal's reason, as `fetch` does. */
  readonly signal?: AbortSignal
}
