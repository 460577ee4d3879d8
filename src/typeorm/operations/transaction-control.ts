import { QueryFailedError, QueryRunnerAlreadyReleasedError, TransactionNotStartedError } from 'typeorm'
import type { Broadcaster } from 'typeorm/subscriber/Broadcaster'
import { isServerRefusal } from '../../endpoints/sql-state'
import { commitTransaction } from '../../transactions/commit-transaction'
import { participantOf } from '../../transactions/participant'
import { type HeldSetting, SessionScript, savepointName } from '../../transactions/session-script'
import { PendingWork, SavepointTurns } from '../../transactions/turns'
import { type NodesHost, type TransactionNode, TransactionNodes } from './transaction-nodes'

/** The query runner, as its transaction knows it. */
export interface TransactionHost extends NodesHost {
  /** TypeORM's flag: a call is still to end the transaction. */
  isTransactionActive: boolean
  /** TypeORM's count: 1 in a transaction, one more in each nested one. */
  transactionDepth: number
  readonly broadcaster: Broadcaster
  commitTransaction(): Promise<void>
  rollbackTransaction(): Promise<void>
}

/**
 * Begins and ends the transactions of a query runner, and their savepoints, on every node that is open. One call of TypeORM
 * is one operation here; `commit-transaction.ts` says how several nodes commit.
 */
export class TransactionControl {
  readonly nodes: TransactionNodes
  /** The settings and savepoints of the session, which every node of a transaction gets. */
  readonly script = new SessionScript()
  /** As the transaction was begun. */
  isolation: string | undefined
  /** The commit failed: to TypeORM the transaction is active until somebody rolls it back, and to the nodes it is over. */
  private hasFailedCommit = false
  /** The runner was released while its transaction was open. */
  private wasReleasedInside = false
  /** The commit or rollback that was asked for last, until the nodes have ended. */
  private lastEnd: Promise<void> | undefined
  private readonly savepoints = new SavepointTurns()
  /** What the end of the transaction waits for. */
  readonly pending = new PendingWork()
  /** SQL has ended a transaction that a call began: the call that ends it finds it over. */
  private wasEndedBySql = false
  /** The transaction, or a level of it, was begun by a call, which will be ended by one. */
  private wasBegunByCall = false
  /** The home node has done in this transaction, or in this session, what cannot be prepared. */
  private readonly unpreparable = { inTransaction: false, inSession: false }

  constructor(private readonly host: TransactionHost) {
    this.nodes = new TransactionNodes(host, this)
  }

  /** True while statements are a transaction's: not after a commit that failed, though a call has still to end that. */
  get isActive(): boolean {
    return this.host.isTransactionActive && !this.hasFailedCommit
  }

  /** Begins a transaction or, inside of one, a savepoint, as TypeORM's call does. */
  async startByCall(isolation: string | undefined): Promise<void> {
    await this.start(isolation)
    this.wasEndedBySql = false
    this.wasBegunByCall = true
  }

  async start(isolation: string | undefined): Promise<void> {
    const { host } = this
    if (this.hasFailedCommit) this.settleFailedCommit()
    host.isTransactionActive = true
    try {
      await host.broadcaster.broadcast('BeforeTransactionStart')
    } catch (error) {
      host.isTransactionActive = host.transactionDepth > 0
      throw error
    }
    if (host.transactionDepth === 0) this.isolation = isolation
    else await this.savepoint(levelName(host.transactionDepth))
    host.transactionDepth += 1
    await host.broadcaster.broadcast('AfterTransactionStart')
  }

  /** Ends the transaction, or the nested one that is open, as TypeORM's call does. */
  async end(by: 'Commit' | 'Rollback'): Promise<void> {
    const { wasEndedBySql } = this
    this.wasEndedBySql = false
    // PostgreSQL warns of the end of a transaction that SQL has ended, and does nothing.
    if (wasEndedBySql && !this.host.isTransactionActive) return
    const ending = this.endLevel(by)
    this.lastEnd = ending.catch(() => undefined)
    await ending
    await this.host.broadcaster.broadcast(`AfterTransaction${by}`)
  }

  /** Ends the transaction as SQL does: with all levels that are nested in it. @returns the modes that it had */
  async endBySql(by: 'commit' | 'rollback'): Promise<readonly HeldSetting[]> {
    const { host, wasBegunByCall } = this
    host.transactionDepth = 1
    const modes = this.script.settings.filter(({ isMode }) => isMode)
    await (by === 'commit' ? host.commitTransaction() : host.rollbackTransaction())
    this.wasEndedBySql = wasBegunByCall
    return modes
  }

  /** Waits for an end that is under way, then gives up a transaction that nobody ended: closed connections roll it back. */
  async abandon(): Promise<void> {
    await this.lastEnd
    this.wasReleasedInside ||= this.host.isTransactionActive
    if (!this.nodes.isEmpty) this.finish(await this.nodes.close())
    this.script.undo()
  }

  async savepoint(name: string): Promise<void> {
    const nodes = await this.nodes.settled()
    this.script.savepoint(name)
    try {
      for (const { transaction } of nodes) await transaction.savepoint(name)
    } catch (error) {
      // An aborted transaction sets none, on no node.
      this.script.release(name)
      throw asQueryFailed(`SAVEPOINT ${savepointName(name)}`, error)
    }
  }

  async releaseSavepoint(name: string): Promise<void> {
    const nodes = await this.nodes.settled()
    try {
      for (const { transaction } of nodes) await transaction.releaseSavepoint(name)
    } catch (error) {
      throw asQueryFailed(`RELEASE SAVEPOINT ${savepointName(name)}`, error)
    }
    this.script.release(name)
  }

  async rollbackToSavepoint(name: string): Promise<void> {
    const nodes = await this.nodes.settled()
    this.script.undo(name)
    for (const { transaction } of nodes) await transaction.rollbackToSavepoint(name)
    this.script.rollbackTo(name)
  }

  atomically<T>(work: () => Promise<T>): Promise<T> {
    return this.savepoints.run(() => this.inSavepoint(work))
  }

  /** Notes what cannot be prepared: in this transaction, or in all of the session, whose later transactions may read it again. */
  noteUnpreparable({ isOfSession }: { readonly isOfSession: boolean }): void {
    if (isOfSession) this.unpreparable.inSession = true
    if (this.isActive) this.unpreparable.inTransaction = true
  }

  private async inSavepoint<T>(work: () => Promise<T>): Promise<T> {
    const { host } = this
    const depth = host.transactionDepth
    const name = levelName(depth)
    await this.savepoint(name)
    host.transactionDepth = depth + 1
    try {
      const result = await work()
      await this.releaseSavepoint(name)
      return result
    } catch (error) {
      const nodes = await this.nodes.settled()
      // A statement that failed has aborted its node's transaction, as it would without us, and so nothing can be committed.
      if (!nodes.some(({ transaction }) => transaction.connection.isTransactionFailed))
        await this.rollbackToSavepoint(name)
      this.script.undo(name)
      throw error
    } finally {
      host.transactionDepth = depth
    }
  }

  private async endLevel(by: 'Commit' | 'Rollback'): Promise<void> {
    const { host } = this
    // To TypeORM, a transaction that is open when its runner is released never ends.
    if (this.wasReleasedInside) throw new QueryRunnerAlreadyReleasedError()
    if (!host.isTransactionActive || this.nodes.isEnding) throw new TransactionNotStartedError()
    await host.broadcaster.broadcast(`BeforeTransaction${by}`)
    if (this.hasFailedCommit) {
      // The caller has to hear the error of the commit: nothing is left to roll back.
      this.settleFailedCommit()
    } else if (host.transactionDepth > 1) {
      const level = levelName(host.transactionDepth - 1)
      await (by === 'Commit' ? this.releaseSavepoint(level) : this.rollbackToSavepoint(level))
      host.transactionDepth -= 1
    } else {
      await this.pending.atRest()
      await (by === 'Commit' ? this.commit() : this.rollback())
    }
  }

  private async commit(): Promise<void> {
    try {
      await this.commitNodes()
    } catch (error) {
      this.script.end({ committed: false })
      this.host.isTransactionActive = true
      this.host.transactionDepth = 1
      this.hasFailedCommit = true
      throw error
    }
    this.script.end({ committed: true })
  }

  private async commitNodes(): Promise<void> {
    const nodes = await this.nodes.close()
    const isUnpreparable = this.unpreparable.inTransaction || this.unpreparable.inSession
    try {
      await commitTransaction(
        nodes.map((node) => participantOf(node, { mustDecide: node.isHome && isUnpreparable })),
        this.host.runtime.transactions.twoPhase,
      )
    } catch (error) {
      // A deferred constraint, a serialization failure.
      throw asQueryFailed('COMMIT', error)
    } finally {
      this.finish(nodes)
    }
  }

  private async rollback(): Promise<void> {
    this.script.end({ committed: false })
    const nodes = await this.nodes.close()
    const results = await Promise.allSettled(nodes.map(({ transaction }) => transaction.rollback()))
    this.finish(nodes)
    const failed = results.find((result) => result.status === 'rejected')
    if (failed) throw failed.reason
  }

  private settleFailedCommit(): void {
    this.hasFailedCommit = false
    this.host.isTransactionActive = false
    this.host.transactionDepth = 0
  }

  private finish(nodes: readonly TransactionNode[]): void {
    this.host.transactionDepth = 0
    this.host.isTransactionActive = false
    this.wasBegunByCall = false
    this.unpreparable.inTransaction = false
    this.nodes.leave(nodes)
  }
}

/** As TypeORM's own statement fails. */
const asQueryFailed = (text: string, error: unknown): unknown =>
  isServerRefusal(error) ? new QueryFailedError(text, undefined, error) : error

/** The savepoint of a nested transaction, as TypeORM names it. */
const levelName = (depth: number): string => `typeorm_${depth}`
