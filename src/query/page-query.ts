import type { Shard } from '../topology/shard'
import type { ArmSource } from './arm-source'
import type { KeySource } from './key-source'
import type { OrderTerm } from './order-term'
import type { Page } from './page'

/** Arms that are sorted, without LIMIT, and the order in which they are. */
export interface SortedArms {
  readonly source: ArmSource
  readonly order: readonly OrderTerm[]
}

/** Shards whose rows follow each other in the order of a read. */
export interface ShardOrder {
  /** Indexes of the shards of the route. */
  readonly shards: readonly number[]
  readonly reason: string
}

/** A read of a page of entities over several shards, as a front end lowers it. The planner chooses among its arms. */
export interface PageQuery {
  readonly entity: string
  readonly shards: readonly Shard[]
  readonly page: Page
  /** The arms give primary keys only, by which entities are loaded: rows are not entities one to one. */
  readonly givesKeys: boolean
  readonly isOrdered: boolean
  /** Rows that an operation may fetch into the application. */
  readonly rowBudget: number
  /** undefined where the rows of the shards interleave. */
  readonly shardOrder: ShardOrder | undefined
  readonly arms: PageArms
}

/** The arms of a page. Making one takes longer than planning: each is made when a strategy needs it, and not before. */
export interface PageArms {
  /** Ties are settled by the primary key, so that all pages cut them alike. */
  sorted(): SortedArms
  /** Ordered by the terms alone, to be compared by the driver's values; undefined where these do not tell the order. */
  shares(): SortedArms | undefined
  /** One row for each row of the page's read, without order. */
  counted(): ArmSource
  /** A text says why the rows cannot be counted by their order. */
  keys(): KeySource | string
  /** Whole rows, with a `KeyList` for each column of the primary key. */
  loaded(): ArmSource
}
