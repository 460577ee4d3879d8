import { type DataSource, QueryFailedError } from 'typeorm'
import type { QueryResult } from 'typeorm/query-runner/QueryResult'
import type { NodeConnection } from '../../endpoints/node-connection'
import type { NodePool } from '../../endpoints/node-pool'
import { isServerRefusal } from '../../endpoints/server-refusal'
import type { KeptStatement } from '../../sql/session-statement'
import type { NodeTransaction } from '../../transactions/node-transaction'
import type { HeldSetting, SessionScript } from '../../transactions/session-script'
import type { ShardRuntime } from '../runners/shard-runtime'
import type { SessionHost, Telling } from './session-control'
import type { TransactionControl } from './transaction-control'

/** The query runner whose session it is. */
interface SessionRunner {
  readonly runtime: ShardRuntime
  readonly homePool: NodePool
  readonly dataSource: DataSource
  /** The connection to the home node that the runner keeps; undefined while it keeps none. */
  readonly ownConnection: NodeConnection | undefined
  start(isolation: string | undefined): Promise<void>
  atHome(text: string, parameters?: readonly unknown[]): Promise<QueryResult>
}

/** The session of a query runner, as statements about it see it: that of the home node, told to every node of a transaction. */
export class RunnerSession implements SessionHost {
  /** The home node's session has what no next holder must have. */
  private isChanged = false

  constructor(
    private readonly runner: SessionRunner,
    private readonly transaction: TransactionControl,
  ) {}

  get isInTransaction(): boolean {
    return this.transaction.isActive
  }

  get script(): SessionScript {
    return this.transaction.script
  }

  get isolation(): string | undefined {
    return this.transaction.isolation
  }

  get hasLastingSession(): boolean {
    return this.runner.homePool.pooling !== 'transaction'
  }

  get resetsExactly(): boolean {
    return this.runner.homePool.pooling !== 'session'
  }

  /** The connection is not to be used by another holder as it is. */
  get hasLeftovers(): boolean {
    return this.isChanged || this.script.ofSession.length > 0
  }

  begin(isolation: string | undefined): Promise<void> {
    return this.runner.start(isolation)
  }

  end(by: 'commit' | 'rollback'): Promise<readonly HeldSetting[]> {
    return this.transaction.endBySql(by)
  }

  savepoint(name: string): Promise<void> {
    return this.transaction.savepoint(name)
  }

  releaseSavepoint(name: string): Promise<void> {
    return this.transaction.releaseSavepoint(name)
  }

  rollbackToSavepoint(name: string): Promise<void> {
    return this.transaction.rollbackToSavepoint(name)
  }

  atHome(text: string, parameters?: readonly unknown[]): Promise<QueryResult> {
    return this.runner.atHome(text, parameters)
  }

  async tell(setting: HeldSetting, { text, parameters, mayWait }: Telling): Promise<QueryResult | undefined> {
    const { script } = this
    const { nodes } = this.transaction
    const { map, transactions } = this.runner.runtime
    const isSingle = transactions.mode === 'single-shard'
    const waits = (mayWait || (isSingle && !setting.isOfSession)) && nodes.isEmpty
    if (!waits && (setting.isOfSession || nodes.isEmpty)) await nodes.open(map.home)
    const open = await nodes.settled()
    script.hold(setting)
    try {
      const result = open.some(({ isHome }) => isHome) ? await this.atHome(text, parameters) : undefined
      const { localText } = setting
      if (localText !== undefined)
        for (const node of open) if (!node.isHome) await tellNode(node.transaction, localText)
      return result
    } catch (error) {
      script.drop(setting)
      throw error
    }
  }

  noteKept({ what, leaks, isPreparable }: KeptStatement): void {
    if (leaks) this.isChanged = true
    if (isPreparable) return
    // Temporary tables may be read again in any later transaction.
    this.transaction.noteUnpreparable({ isOfSession: leaks })
    // PostgreSQL gives a transaction no id for a notification, which goes out when it commits all the same.
    const { ownConnection } = this.runner
    if (this.isInTransaction && ownConnection && what.toLowerCase().includes('notify')) ownConnection.hasWritten = true
  }

  shardedConstraints(names: readonly string[]): readonly string[] {
    const { runtime, dataSource } = this.runner
    const constraints = dataSource.entityMetadatas
      .filter(({ target }) => runtime.bindingOf(target))
      .flatMap(({ foreignKeys, uniques, exclusions }) => [...foreignKeys, ...uniques, ...exclusions])
    return names.filter((name) => constraints.some((one) => one.name === name))
  }
}

/** By TypeORM's error, as the home node's own connection would. */
async function tellNode({ connection, node }: NodeTransaction, text: string): Promise<void> {
  try {
    await connection.query(text, undefined, undefined)
  } catch (error) {
    throw isServerRefusal(error) ? new QueryFailedError(text, [], Object.assign(error, { node })) : error
  }
}
