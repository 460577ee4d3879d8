import type { Shard } from '../topology/shard'
import type { ColumnArray, ReadPlan } from './read-plan'
import type { TemporaryTable } from './shipped-rows'

/** Copies the rows that a query needs of its sharded tables to one node, where PostgreSQL answers the query over them. */
export interface GatherPlan {
  readonly kind: 'gather'
  /** In the order in which they are read. */
  readonly inputs: readonly GatherInput[]
  readonly statement: GatherStatement
  /** What is done instead where there are many rows; undefined where a transaction is to see them, or no shard is on the node. */
  readonly many: ManyRows | undefined
}

/** Rows go to the node in arrays, which its planner knows nothing of. Of more than this many it makes good plans only as tables. */
export const manyGathered = 5_000

/** The same of rows that are looked for once for each row of others: an array has no index. */
export const manyAskedByRow = 500

/** The rows as temporary tables, one for each input in their order, and the query over them. */
export interface ManyRows {
  /** There are many where all inputs have more than this. */
  readonly from: number
  readonly tables: readonly TemporaryTable[]
  readonly statement: GatherStatement
}

/** The rows of one table. */
export interface GatherInput {
  readonly table: string
  /** Gives its rows, their columns as texts `c0 …`. */
  readonly source: InputSource
  /** How many rows the servers expect of it, by their statistics; undefined where nothing hangs on it. */
  readonly expected: number | undefined
  /** What is asked instead where tables that were read before have few values. */
  readonly reduced: ReducedInput | undefined
}

export type InputSource = ReadPlan | HomeRead

/** A statement of the home node. */
export interface HomeRead {
  readonly kind: 'home'
  readonly node: string
  readonly table: string
  readonly text: string
  readonly parameters: readonly unknown[]
}

export interface ReducedInput {
  /** The columns of inputs before it that its own columns must equal. */
  readonly keys: readonly ColumnArray[]
  /**
   * @param keys the values of each of `keys`, each once; undefined where these are too many to be asked for
   * @returns what gives the rows that have such values
   */
  readonly plan: (keys: readonly (readonly unknown[] | undefined)[]) => Promise<InputSource>
}

/** The query over the copies: a `ColumnArray` stands for a column of an input. */
export interface GatherStatement {
  readonly node: string
  /** The shard of that node whose types the text names; undefined where it names none. */
  readonly shard: Shard | undefined
  readonly text: string
  readonly parameters: readonly unknown[]
}
