import { Readable } from 'node:stream'
import { type DataSource, type EntityManager, QueryRunnerAlreadyReleasedError, type ReplicationMode } from 'typeorm'
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver'
import { PostgresQueryRunner } from 'typeorm/driver/postgres/PostgresQueryRunner'
import type { IsolationLevel } from 'typeorm/driver/types/IsolationLevel'
import type { ReadStream } from 'typeorm/platform/PlatformTools'
import { type BindText, BoundClient } from '../../endpoints/bound-client'
import type { Cancellation } from '../../endpoints/cancellation'
import { PooledClient } from '../../endpoints/pooled-client'
import type { Arm } from '../../query/arm-source'
import { mayNameOtherTables } from '../../sql/reads-tables'
import { mayChangeSession } from '../../sql/session-text'
import type { Shard } from '../../topology/shard'
import type { EntityBinding } from '../binding/entity-binding'
import { GuardedBroadcaster, settingOf } from './guarded-broadcaster'
import type { KeyGuard } from './key-guard'
import type { OwnWords } from './own-words'
import { staysBehind } from './refuse-session'
import type { NodeText, ShardTransaction } from './shard-transaction'

/** The arguments of TypeORM's `query`. */
type Query = [query: string, parameters?: unknown[], useStructuredResult?: boolean]

/** What a shard's data source shares with all others. */
export interface ShardTemplate {
  readonly dataSource: DataSource
  readonly guard: KeyGuard
  readonly words: OwnWords
  readonly bindingOf: (target: unknown) => EntityBinding | undefined
  readonly openRunner: () => ShardTransaction
  readonly synchronizeShard: (shard: Shard, drop: boolean) => Promise<void>
  readonly dropShard: (shard: Shard) => Promise<void>
}

/** A shard's data source, as its query runners need it. */
export interface ShardSource extends DataSource {
  readonly shard: Shard
  readonly bind: BindText
  readonly template: ShardTemplate
}

export interface ShardQueryRunnerSettings {
  readonly mode?: ReplicationMode
  /** What it speaks on outside of transactions. Without one it takes a connection, as TypeORM's runner does, and keeps it. */
  readonly client?: PooledClient | BoundClient | undefined
  /** The application's runner that it is a part of. Without one it opens its own, when that is needed. */
  readonly application?: ShardTransaction
  readonly cancellation?: Cancellation | undefined
  /** The application's own words may stand in its statements, and are looked at: see `OwnWords`. Default: true. */
  readonly hasOwnWords?: boolean
}

/**
 * TypeORM's query runner of one shard: what TypeORM itself works with. Its transactions are those of a query runner of the
 * application's data source, and that one is what users see, in events, in loggers and by lazy relations: it reads all
 * shards, and a write to another node joins the transaction. What the application's own words name in its statements is bound,
 * read elsewhere, or refused.
 */
export class ShardQueryRunner extends PostgresQueryRunner {
  declare readonly manager: EntityManager
  private applicationRunner: ShardTransaction | undefined
  private ownData: object = {}
  /** Undefined where no words of the application stand in its statements. */
  private readonly words: OwnWords | undefined

  constructor(
    private readonly source: ShardSource,
    private readonly settings: ShardQueryRunnerSettings = {},
  ) {
    // The driver of a shard's data source, whose type TypeORM leaves open.
    super(source.driver as PostgresDriver, settings.mode ?? 'master')
    this.words = settings.hasOwnWords === false ? undefined : source.template.words
    this.applicationRunner = settings.application
    this.broadcaster = new GuardedBroadcaster(this, source.template.guard, source.shard)
    source.createEntityManager(this)
  }

  static {
    // TypeScript lets no accessor override a property. The state is the application runner's: a subscriber may begin there.
    Object.defineProperties(ShardQueryRunner.prototype, {
      isTransactionActive: {
        get(this: ShardQueryRunner) {
          return this.isActive
        },
        // TypeORM sets it in its constructor; whatever else changes it is overridden here.
        set() {},
      },
      data: {
        get(this: ShardQueryRunner) {
          return this.applicationRunner ? this.applicationRunner.data : this.ownData
        },
        set(this: ShardQueryRunner, data: object) {
          // TypeORM lets applications say what is in it.
          if (this.applicationRunner) this.applicationRunner.data = data as never
          else this.ownData = data
        },
      },
    })
  }

  /** The query runner that users see in place of this one. */
  get application(): ShardTransaction {
    if (this.applicationRunner) return this.applicationRunner
    const runner = this.source.template.openRunner()
    // As above: it is the application's.
    runner.data = this.data as never
    this.applicationRunner = runner
    return runner
  }

  /** The transaction that it is in. */
  get transaction(): ShardTransaction | undefined {
    return this.applicationRunner?.isInTransaction ? this.applicationRunner : undefined
  }

  /** What TypeORM takes for its flag `isTransactionActive`. */
  protected get isActive(): boolean {
    return this.applicationRunner?.isTransactionActive === true
  }

  /** The shard's client in the transaction, or else what it speaks on outside of any. */
  override async connect(): Promise<unknown> {
    const { transaction, settings } = this
    if (!transaction) {
      if (settings.client) return settings.client
      // It was made for a transaction that is over, and nobody would give a connection of its own back.
      if (settings.application) throw new QueryRunnerAlreadyReleasedError()
      return super.connect()
    }
    const { shard, bind } = this.source
    const opening = transaction.connectionFor(shard)
    const connection = await (settings.cancellation?.race(opening) ?? opening)
    return new BoundClient(connection, bind, shard.name, settings.cancellation)
  }

  override query(...given: Query): Promise<never> {
    const [text, parameters] = given
    const query = () =>
      this.words && mayNameOtherTables(text) ? this.queryOwnWords(this.words, ...given) : this.send(...given)
    return this.keepsConnection && mayChangeSession(text) ? this.markChanged(text, parameters).then(query) : query()
  }

  private async queryOwnWords(words: OwnWords, ...[query, parameters, useStructuredResult]: Query): Promise<never> {
    if (this.isReleased) throw new QueryRunnerAlreadyReleasedError()
    const statement = this.statement(query, parameters)
    const text = await words.textOn(statement, settingOf(this)?.persists)
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
    if (this.keepsConnection && mayChangeSession(query)) await this.markChanged(query, parameters)
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

  private statement(text: string, parameters: unknown): Arm {
    return { shard: this.source.shard, text, parameters: listOf(parameters) }
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
    return this.transaction.inTime({ node: this.source.shard.node, text, parameters: listOf(parameters) })
  }

  private get keepsConnection(): boolean {
    return !(this.settings.client instanceof PooledClient)
  }

  /** A connection that is kept goes back to the pool of the whole node: what its session is told must not go with it. */
  private async markChanged(query: string, parameters: unknown): Promise<void> {
    if (this.isReleased || !(await staysBehind(query, parameters))) return
    const client = await this.connect()
    if (client instanceof BoundClient) client.connection.isChanged = true
  }

  override async startTransaction(isolationLevel?: IsolationLevel): Promise<void> {
    const { application, settings } = this
    if (!settings.client && !application.isInTransaction) {
      // Without a client of its own it takes one of the façade, which are such.
      const { connection } = (await this.connect()) as BoundClient
      application.adopt(this.source.shard.node, connection)
    }
    return application.startTransaction(isolationLevel)
  }

  override async commitTransaction(): Promise<void> {
    this.settings.cancellation?.throwIfCancelled()
    return this.application.commitTransaction()
  }

  override async rollbackTransaction(): Promise<void> {
    return this.application.rollbackTransaction()
  }

  override release(): Promise<void> {
    const { applicationRunner, settings } = this
    if (!applicationRunner || settings.application) return super.release()
    return applicationRunner.release().finally(() => super.release())
  }
}

const listOf = (parameters: unknown): readonly unknown[] => (Array.isArray(parameters) ? parameters : [])
