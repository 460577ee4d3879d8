import { Readable } from 'node:stream'
import { type EntityManager, QueryRunnerAlreadyReleasedError, type ReplicationMode } from 'typeorm'
import type { Driver } from 'typeorm/driver/Driver'
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver'
import { PostgresQueryRunner } from 'typeorm/driver/postgres/PostgresQueryRunner'
import type { ReadStream } from 'typeorm/platform/PlatformTools'
import { mayNameOtherTables } from '../../sql/reads-tables'
import type { Shard } from '../../topology/shard'
import type { OwnWords } from './own-words'
import type { ShardStatement } from './shard-statement'
import type { NodeText, ShardTransaction } from './shard-transaction'

/** The data source of one shard, as its runners need it. */
interface ShardSource {
  readonly driver: Driver
  readonly shard: Shard
}

/** The arguments of TypeORM's `query`. */
export type Query = [query: string, parameters?: unknown[], useStructuredResult?: boolean]

/** A query runner of one shard: what the application's own words name in its statements is bound, read elsewhere, or refused. */
export class OwnWordsQueryRunner extends PostgresQueryRunner {
  declare readonly manager: EntityManager
  /** @param words undefined where no words of the application stand in its statements */
  constructor(
    private readonly shardSource: ShardSource,
    mode: ReplicationMode,
    private readonly words: OwnWords | undefined,
  ) {
    // The driver of a shard's data source, whose type TypeORM leaves open.
    super(shardSource.driver as PostgresDriver, mode)
  }

  /** The transaction over shards that it is in. */
  get transaction(): ShardTransaction | undefined {
    return undefined
  }

  override query(query: string, parameters?: unknown[], useStructuredResult?: boolean): Promise<never> {
    const { words } = this
    return words && mayNameOtherTables(query)
      ? this.queryOwnWords(words, query, parameters, useStructuredResult)
      : this.send(query, parameters, useStructuredResult)
  }

  private async queryOwnWords(words: OwnWords, ...[query, parameters, useStructuredResult]: Query): Promise<never> {
    if (this.isReleased) throw new QueryRunnerAlreadyReleasedError()
    const statement = this.statement(query, parameters)
    const text = await words.textOn(statement)
    if (text !== undefined) return this.send(text, parameters, useStructuredResult)
    const result = await words.overShards(statement, this.transaction)
    // TypeORM's overloads tell the two apart.
    return (useStructuredResult ? result : result.raw) as never
  }

  override async stream(
    query: string,
    parameters?: unknown[],
    onEnd?: () => unknown,
    onError?: (error: Error) => unknown,
  ): Promise<ReadStream> {
    const { words } = this
    const ofShard = async (text: string): Promise<ReadStream> => {
      const told = (await this.inTime(text, parameters)) ?? { text, parameters }
      // TypeORM's types ask for other functions than it calls.
      return super.stream(told.text, told.parameters as never, onEnd as never, onError as never)
    }
    if (!words || !mayNameOtherTables(query)) return ofShard(query)
    const statement = this.statement(query, parameters)
    const text = await words.textOn(statement)
    if (text !== undefined) return ofShard(text)
    const rows = Readable.from((await words.overShards(statement, this.transaction)).records ?? [])
    if (onEnd) rows.once('close', onEnd)
    // Its name for a readable of Node.
    return rows as unknown as ReadStream
  }

  private statement(text: string, parameters: unknown): ShardStatement {
    return { shard: this.shardSource.shard, text, parameters: listOf(parameters) }
  }

  private send(...[query, parameters, useStructuredResult]: Query): Promise<never> {
    const telling = this.inTime(query, parameters)
    const send = (told?: NodeText) =>
      // TypeORM's overloads, of which an override takes all.
      super.query(told?.text ?? query, (told?.parameters ?? parameters) as never, useStructuredResult as never) as never
    return telling ? telling.then(send) : send()
  }

  /** Statements that were bound before have the time of their transaction. */
  private inTime(text: string, parameters: unknown): Promise<NodeText | undefined> | undefined {
    if (!this.words || !this.transaction) return undefined
    return this.transaction.inTime({ node: this.shardSource.shard.node, text, parameters: listOf(parameters) })
  }
}

const listOf = (parameters: unknown): readonly unknown[] => (Array.isArray(parameters) ? parameters : [])
