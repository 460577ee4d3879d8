import type { QueryResult } from 'typeorm/query-runner/QueryResult'
import type { Arm } from '../../query/arm-source'
import type { ShardTransaction } from './shard-transaction'

/**
 * What becomes of names of tables in the application's own words inside a statement for one shard: in the query of a virtual
 * column, in a `Raw` condition, in a value that is a function. TypeORM's own names mean the tables of the shard; the
 * application means all rows of the table that it names.
 */
export interface OwnWords {
  /**
   * The statement as the shard is to be sent it, where all that it names lies on the shard: rows that meet there by their
   * keys, or keys that are its own.
   *
   * @param isTypeOrms TypeORM has made the statement: all that does not name the shard is the application's words
   * @returns undefined where it names rows that may lie elsewhere
   * @throws ShardedError STATEMENT_UNSUPPORTED where only words of the application name tables of shards, in a statement that may be
   *   the application's own: it is not said which rows are meant
   */
  textOn(statement: Arm, isTypeOrms?: boolean): Promise<string | undefined>
  /**
   * Answers such a statement over all shards, where it only reads: what lies elsewhere is read first.
   *
   * @throws ShardedError STATEMENT_UNSUPPORTED for a statement that writes, and what a query over shards throws
   */
  overShards(statement: Arm, transaction: ShardTransaction | undefined): Promise<QueryResult>
}
