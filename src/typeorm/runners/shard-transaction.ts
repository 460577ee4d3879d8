import type { EntityManager, QueryRunner } from 'typeorm'
import type { QueryResult } from 'typeorm/query-runner/QueryResult'
import type { Activity } from '../../endpoints/activity'
import type { Cancellation } from '../../endpoints/cancellation'
import type { NodeConnection } from '../../endpoints/node-connection'
import type { Row } from '../../merging/row'
import type { Arm } from '../../query/arm-source'
import type { Shard } from '../../topology/shard'

/** A transaction over shards: a query runner that opens nodes as they are touched. */
export interface ShardTransaction extends QueryRunner {
  /**
   * Its statements are a transaction's. TypeORM's `isTransactionActive` says whether a call is still to end it: after a commit
   * that failed it is to be rolled back, and statements are, as the server has it, each their own.
   */
  readonly isInTransaction: boolean
  /** Runs work with a shard's query runner inside this transaction that nobody else works with; within the limits of one operation. */
  onParticipant<T>(
    shard: Shard,
    work: (manager: EntityManager) => Promise<T>,
    cancellation: Cancellation | undefined,
  ): Promise<T>
  /** Asks a node inside this transaction, beside what the application's statements are told of. */
  onNode(node: string, text: string, parameters: readonly unknown[]): Promise<readonly Row[]>
  /** The connection of a shard's node inside this transaction. */
  connectionFor(shard: Shard): Promise<NodeConnection>
  /**
   * The connection of a node that it keeps outside of a transaction, until it is released. What else its caller asks of the
   * node speaks on this one: another may never come, where all are kept by callers that ask for another.
   */
  heldConnection(node: string): Promise<NodeConnection | undefined>
  /** The node that it opened first, whose time is that of the transaction; undefined before it opens any. */
  readonly firstNode: string | undefined
  /** Its time, as its first node says it, in ISO 8601: asked once. */
  time(): Promise<string>
  /**
   * A statement of one node with the time of the transaction in place of clocks, and of defaults that are one. undefined where
   * it has none, and where its node has that time anyway.
   */
  inTime(statement: NodeText): Promise<NodeText | undefined> | undefined
  /** Has a node's part of the next transaction speak on a connection that somebody else holds and gives back. */
  adopt(node: string, connection: NodeConnection): void
  /** Opens nodes one after the other, in the given order. */
  openNodes(nodes: readonly string[]): Promise<void>
  /** Runs an UPDATE that may set the shard key of one shard's rows and so move them. @returns how many rows it found */
  moveRows(statement: Arm, moves: RowMoves): Promise<number>
  /** Answers a query that was made for one shard and names, in the application's own words, rows of others. */
  readOverShards(statement: Arm): Promise<QueryResult>
  /** Runs a statement of an operation that is under way, over all shards or at home: it takes no turn among the calls of users. */
  runWithin(text: string, parameters: readonly unknown[]): Promise<readonly Row[]>
  /** Runs work of several steps that must not stay half done where the caller goes on after its error: in savepoints. */
  atomically<T>(work: () => Promise<T>): Promise<T>
  /** What is to be undone in memory when the present level of the transaction, or one around it, rolls back. */
  onRollback(undo: () => void): void
  /** What works in it. It is rolled back when nothing does for `timeouts.transactionIdleMs`. */
  readonly activity: Activity
  /** What its operations are narrowed to. */
  readonly narrowing?: { readonly cacheScope?: string | undefined } | undefined
}

/** A statement of one node. */
export interface NodeText {
  readonly node: string
  readonly text: string
  readonly parameters: readonly unknown[]
}

/** True for the query runner of a sharded data source, false for those of single shards. */
export const isShardTransaction = (runner: QueryRunner | undefined): runner is ShardTransaction =>
  runner !== undefined && 'onParticipant' in runner

/** How rows are moved that a caller asked to be moved. */
export interface RowMoves {
  /** Their colocated children go with them, and theirs. */
  readonly children: boolean
}

/** Runs work with a query runner that nobody needs afterwards. */
export async function releasedAfter<Runner extends { release(): Promise<void> }, T>(
  runner: Runner,
  work: (runner: Runner) => Promise<T>,
): Promise<T> {
  try {
    return await work(runner)
  } finally {
    await runner.release()
  }
}
