import type { LookupEntry } from './lookup-table'

/** One change of a row that concerns a lookup, as a trigger noted it. */
export interface CapturedChange {
  readonly lookup: string
  /** The row has come to have the entry, or has it no more. */
  readonly isGain: boolean
  readonly entry: LookupEntry
  /** What was done to the row: `INSERT`, `UPDATE`, `DELETE` or `TRUNCATE`. */
  readonly event: string
  /** The shard of the row. */
  readonly source: string
  /** Of the shard's statements in the transaction; those of one statement have no order. */
  readonly statement: number
}
