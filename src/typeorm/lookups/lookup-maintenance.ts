import { type LookupEntry, textsIn } from '../../lookups/lookup-table'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { ShardTransaction } from '../runners/shard-transaction'
import type { LookupStates } from './lookup-states'

/** What building, verifying and repairing lookups works with. */
export interface LookupMaintenance {
  readonly runtime: ShardRuntime
  readonly states: LookupStates
  readonly openRunner: () => ShardTransaction
}

/** An entry of a lookup, or one that it should have: texts of values, as PostgreSQL writes them. */
export interface LookupDifference {
  readonly values: readonly string[]
  readonly shardKey: readonly string[]
  readonly primaryKey: readonly string[]
}

/** What one lookup had too few and too many. */
export interface LookupReport {
  readonly lookup: string
  readonly entity: string
  /** The properties that are looked up. */
  readonly properties: readonly string[]
  /** Entries that the rows of the entity ask for. */
  readonly entries: number
  /** Rows that the lookup did not find: the first 1,000. */
  readonly missing: readonly LookupDifference[]
  /** Entries of rows that are not there, or have another value: the first 1,000. */
  readonly dangling: readonly LookupDifference[]
  /** Rows that cannot be entered, since another row has their value of a `@GlobalUnique`: the first 1,000. */
  readonly duplicates: readonly LookupDifference[]
}

/** How far `buildLookups` is. */
export interface LookupBuildProgress {
  readonly lookup: string
  /** The shard whose rows were entered. */
  readonly shard: string
  /** Rows of that shard entered by this call so far. */
  readonly rows: number
  readonly shardsDone: number
  readonly shards: number
}

/** The options of `buildLookups`. */
export interface BuildLookupsOptions {
  /** Called after every page of 1,000 rows. */
  readonly onProgress?: (progress: LookupBuildProgress) => void
  /** Ends the building between two pages; a later call goes on from there. */
  readonly signal?: AbortSignal
}

/** Rows in one page, and in one transaction. */
export const pageRows = 1_000

/** Differences that a report lists. */
export const maxListed = 1_000

export const entriesIn = (rows: readonly Readonly<Record<string, unknown>>[]): readonly LookupEntry[] =>
  rows.map((row) => textsIn(row['e']))
