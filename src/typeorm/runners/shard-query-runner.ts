import { Readable } from 'node:stream'
import { type EntityManager, QueryRunnerAlreadyReleasedError, type ReplicationMode } from 'typeorm'
import type { Driver } from 'typeorm/driver/Driver'
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver'
import { PostgresQueryRunner } from 'typeorm/driver/postgres/PostgresQueryRunner'
import type { ReadStream } from 'typeorm/platform/PlatformTools'
import type { QueryResult } from 'typeorm/query-runner/QueryResult'
import { ShardedError } from '../../errors/sharded-error'
import { mayNameOtherTables } from '../../sql/reads-tables'
import type { Shard } from '../../topology/shard'
import type { OwnWords } from './own-words'
import type { ShardStatement } from './shard-statement'
import type { ShardTransaction } from './shard-transaction'

/** The data source of one shard, as its runners need it. */
interface ShardSource {
  readonly driver: Driver
  readonly shard: Shard
}

/** A query runner of one shard: what the application's own words name in its statements is bound, read elsewhere, or refused. */
export class ShardQueryRunner extends PostgresQueryRunner {
  declare readonly manager: EntityManager
  /** What it is a part of; undefined for a runner of the shard's own data source. */
  readonly transaction: ShardTransaction | undefined

  /** @param words undefined for statements that were bound before */
  constructor(
    private readonly shardSource: ShardSource,
    mode: ReplicationMode,
    private readonly words: OwnWords | undefined,
    transaction?: ShardTransaction,
  ) {
    super(shardSource.driver as PostgresDriver, mode)
    this.transaction = transaction
  }

  override async query(query: string, parameters?: unknown[], useStructuredResult?: boolean): Promise<never> {
    const { words } = this
    if (!words || !mayNameOtherTables(query)) return this.send(query, parameters, useStructuredResult)
    if (this.isReleased) throw new QueryRunnerAlreadyReleasedError()
    const statement = this.statement(query, parameters)
    const text = await words.textOn(statement)
    if (text !== undefined) return this.send(text, parameters, useStructuredResult)
    const result = await this.overShards(words, statement)
    return (useStructuredResult ? result : result.raw) as never
  }

  override async stream(
    query: string,
    parameters?: unknown[],
    onEnd?: () => unknown,
    onError?: (error: Error) => unknown,
  ): Promise<ReadStream> {
    const { words } = this
    if (!words || !mayNameOtherTables(query))
      return super.stream(query, parameters as never, onEnd as never, onError as never)
    const statement = this.statement(query, parameters)
    const text = await words.textOn(statement)
    if (text !== undefined) return super.stream(text, parameters as never, onEnd as never, onError as never)
    const rows = Readable.from((await this.overShards(words, statement)).records ?? [])
    if (onEnd) rows.once('close', onEnd)
    return rows as unknown as ReadStream
  }

  private statement(text: string, parameters: unknown): ShardStatement {
    return { shard: this.shardSource.shard, text, parameters: Array.isArray(parameters) ? parameters : [] }
  }

  /** @throws ShardedError STATEMENT_UNSUPPORTED in a transaction that no other shard is part of: its own writes would not be seen */
  private async overShards(words: OwnWords, statement: ShardStatement): Promise<QueryResult> {
    if (this.transaction || !this.isTransactionActive) return words.overShards(statement, this.transaction)
    throw new ShardedError(
      'STATEMENT_UNSUPPORTED',
      `A statement in a transaction of ${statement.shard.name} alone names rows of other shards.`,
      { details: { shard: statement.shard.name, statement: statement.text.slice(0, 500) } },
    )
  }

  private send(query: string, parameters?: unknown[], useStructuredResult?: boolean): Promise<never> {
    return super.query(query, parameters as never, useStructuredResult as never) as Promise<never>
  }
}
