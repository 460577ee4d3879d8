import type { ArmSource } from './arm-source'
import type { OrderTerm } from './order-term'

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
