import type { Shard } from '../topology/shard'
import type { ArmSource } from './arm-source'
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

/** What the search for a page's start has to know of one term of a total order. */
export interface PivotTerm {
  readonly descending: boolean
  /** Where NULLs stand in the output, whatever the direction. */
  readonly nullsFirst: boolean
  readonly nullable: boolean
}

/** An order term in SQL: both sides of a comparison. */
export interface PivotColumn extends PivotTerm {
  /** The column, qualified and quoted; where a type is each shard's own, something that sorts like it. */
  readonly expression: string
  /** The type that a pivot's text is cast to, so that the database compares and an index serves. */
  readonly castTo: string
}

/** An order term of a `KeySource`, over a column of its arms as the subquery `"b"`. */
export interface SeekColumn extends PivotColumn {
  /** SQL for a value as the text that is sent to the database again, from SQL for the value. */
  readonly textOf: (value: string) => string
}

/** The keys of a read and its order, for statements that count and compare by them. */
export interface KeySource {
  /** `SELECT keys, sort columns, __v0 … FROM …`, without ORDER BY and LIMIT: a subquery that PostgreSQL pulls up. */
  readonly arms: ArmSource
  /** Output columns of an arm, without `__v0 …`, whose types may be each shard's own. */
  readonly outputs: readonly string[]
  readonly order: readonly OrderTerm[]
  /** One for each term of the order: by what an arm is sorted, over a column of it. */
  readonly sortBy: readonly string[]
  /** One for each term of the order; none where `notCountable` says why the rows cannot be counted by them. */
  readonly columns: readonly SeekColumn[]
  readonly notCountable: string | undefined
}

/** The place of a list of keys among the parameters of an arm. */
export class KeyList {
  /** @param column which column of the primary key, counted from 0 */
  constructor(readonly column: number) {
    Object.freeze(this)
  }
}
