import type { Shard } from '../topology/shard'
import type { ReadPlan } from './read-plan'

/** Copies the rows that a query needs of its sharded tables to one node, where PostgreSQL answers the query over them. */
export interface GatherPlan {
  readonly kind: 'gather'
  /** The rows of each table, their columns as texts `c0 …`. */
  readonly inputs: readonly ReadPlan[]
  readonly statement: GatherStatement
}

/** The query over the copies: a `ColumnArray` stands for a column of an input. */
export interface GatherStatement {
  readonly node: string
  /** The shard of that node whose types the text names; undefined where it names none. */
  readonly shard: Shard | undefined
  readonly text: string
  readonly parameters: readonly unknown[]
}
