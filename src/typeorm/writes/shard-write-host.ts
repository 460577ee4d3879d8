import { ShardedError } from '../../errors/sharded-error'
import type { WriteHost } from '../../execution/execute-write'
import type { WriteOrder } from '../../lookups/write-order'
import type { Row } from '../../merging/row'
import type { NodeStatement } from '../../planning/scatter-statement'
import type { MovePlan, TransactionPlan, WriteParts } from '../../planning/write-plan'
import type { Shard } from '../../topology/shard'
import { maintainLookups } from '../lookups/maintain-lookups'
import { inSavepoint, inTransaction } from '../runners/in-transaction'
import { ObjectSnapshots } from '../runners/object-snapshots'
import type { ShardAccess } from '../runners/shard-access'
import type { ShardTransaction } from '../runners/shard-transaction'
import { deferred } from './deferred-transaction'
import type { GraphNode } from './entity-graph'

interface WriteTransaction extends Pick<TransactionPlan, 'pace' | 'nodes'> {
  readonly transaction: ShardTransaction
  readonly snapshots: ObjectSnapshots
}

/** Where a part of a plan is written. */
export interface WriteScope {
  readonly access: ShardAccess
  /** The transaction around it, and what objects were before it. Without one it is a statement, or an operation, on one shard. */
  readonly inside: WriteTransaction | undefined
  /** Told of a node that has refused the statement of several shards before it ran. */
  readonly onRefused: (node: string) => void
}

export interface WriteHostSettings<T> {
  readonly openRunner: () => ShardTransaction
  /** Writes the parts of a plan. @returns see `WriteHost.write` */
  readonly write?: (parts: WriteParts, scope: WriteScope) => Promise<readonly T[]>
  /** Moves rows, of a write that sets the shard key. */
  readonly move?: (access: ShardAccess, plan: MovePlan) => Promise<readonly T[]>
  /** Of the rows on one database, where the operation has one. */
  readonly order?: WriteOrder | undefined
  /** Objects that the work fills without having told listeners of them. */
  readonly untold?: readonly GraphNode[]
}

/**
 * What the plan of a write asks of its operation, in a transaction of its own or in the caller's. Where a transaction fails, objects
 * are what they were before it.
 */
export class ShardWriteHost<T> implements WriteHost<T> {
  private readonly refused = new Set<string>()

  constructor(
    private readonly access: ShardAccess,
    private readonly settings: WriteHostSettings<T>,
    private readonly inside?: WriteScope['inside'],
  ) {}

  async write(parts: WriteParts): Promise<readonly T[]> {
    const { access, inside, settings } = this
    if (!settings.write) throw new RangeError('The operation writes no shards.')
    return settings.write(parts, { access, inside, onRefused: (node) => this.noteRefusal(node) })
  }

  async move(plan: MovePlan): Promise<readonly T[]> {
    const { move } = this.settings
    if (!move) throw new RangeError('The operation moves no rows.')
    return move(this.access, plan)
  }

  /** @throws ShardedError PARTIAL_COMMIT; else the first error, after everything is rolled back */
  async inTransaction(
    { scope, nodes, pace }: TransactionPlan,
    work: (host: WriteHost<T>) => Promise<readonly T[]>,
  ): Promise<readonly T[]> {
    const { access, settings } = this
    const run = scope === 'savepoint' ? inSavepoint : inTransaction
    const snapshots = new ObjectSnapshots()
    for (const { entity, binding } of settings.untold ?? []) snapshots.keep(entity, binding.metadata)
    try {
      // Nothing begins it: subscribers do not hear of a transaction that one database would not need.
      return await run(access, deferred(settings.openRunner), async (inner, transaction) => {
        await transaction.openNodes(nodes)
        const host = new ShardWriteHost(inner, settings, { transaction, snapshots, pace, nodes })
        return work(host).finally(() => {
          for (const node of host.refused) this.refused.add(node)
        })
      })
    } catch (error) {
      // Some of the rows are there then.
      if (!(error instanceof ShardedError && error.code === 'PARTIAL_COMMIT')) snapshots.restore()
      throw error
    }
  }

  /** @throws QueryFailedError 23505 with the constraint of a `@GlobalUnique`; ShardedError LOOKUP_NOT_INSTALLED, LOOKUP_ORDER_UNKNOWN */
  keepLookups(shards: readonly Shard[]): Promise<void> {
    return maintainLookups(this.access, shards, this.settings.order)
  }

  query(statements: readonly NodeStatement[]): Promise<readonly (readonly Row[])[]> {
    return this.access.query(statements)
  }

  async hasRefused(): Promise<boolean> {
    if (this.refused.size === 0) return false
    // Each shard's own statement may be taken, once it is known which tables have rules.
    await this.access.waitFor(this.access.runtime.rules.of([...this.refused]))
    return true
  }

  private noteRefusal(node: string): void {
    this.refused.add(node)
    this.access.runtime.rules.refresh(node)
  }
}
