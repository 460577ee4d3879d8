import type { EntityManager, ObjectLiteral } from 'typeorm'
import { copyWith } from '../../collections/copy-with'
import { ShardedError } from '../../errors/sharded-error'
import type { WriteHost } from '../../execution/execute-write'
import type { WriteOrder } from '../../lookups/write-order'
import type { Row } from '../../merging/row'
import { type NodeWrite, nodeWrites } from '../../planning/node-write'
import { maxArms, type NodeStatement } from '../../planning/scatter-statement'
import type { MovePlan, NodeParts, OperationParts, TransactionPlan, WriteParts } from '../../planning/write-plan'
import type { Arm } from '../../query/arm-source'
import type { UnitedWrite } from '../../query/write-query'
import type { Shard } from '../../topology/shard'
import { maintainLookups } from '../lookups/maintain-lookups'
import { keepingIn } from '../runners/guarded-broadcaster'
import { inSavepoint, inTransaction } from '../runners/in-transaction'
import { ObjectSnapshots } from '../runners/object-snapshots'
import { withoutTransactionEvents } from '../runners/resting-broadcaster'
import type { ShardAccess } from '../runners/shard-access'
import type { ShardTransaction } from '../runners/shard-transaction'
import { runInRounds, runInTurn, runUnited, type ShardWrite } from './run-parts'

export interface WriteHostSettings<T> {
  readonly openRunner: () => ShardTransaction
  /** What is done on each shard for some parts of the plan, in their order. */
  readonly worksOf: (parts: WriteParts) => readonly ShardWrite<T>[]
  /** Of the rows on one database, where the operation has one. */
  readonly order?: WriteOrder | undefined
  /** All that the operation changes, in the order in which one database would tell of them. */
  readonly entities?: (() => readonly ObjectLiteral[]) | undefined
  /** Objects that the works fill without having told listeners of them. */
  readonly untold?: ShardWrite<T>['untold']
  /** Moves rows, of a write that sets the shard key. */
  readonly move?: (access: ShardAccess, plan: MovePlan) => Promise<readonly T[]>
  /** Makes one result of those of some parts; without it each shard has its own. */
  readonly unite?: (parts: WriteParts, results: readonly T[]) => readonly T[]
}

/**
 * What the plan of a write asks of its operation: TypeORM's query runners on the shards, in a transaction of its own or in the
 * caller's. Where a transaction fails, objects are what they were before it.
 */
export class ShardWriteHost<T> implements WriteHost<T> {
  private readonly refused = new Set<string>()

  constructor(
    private readonly access: ShardAccess,
    private readonly settings: WriteHostSettings<T>,
    private readonly inside?: { readonly transaction: ShardTransaction; readonly snapshots: ObjectSnapshots },
  ) {}

  async write(parts: WriteParts): Promise<readonly T[]> {
    const results = await this.run(parts)
    return this.settings.unite?.(parts, results) ?? results
  }

  private async run(parts: WriteParts): Promise<readonly T[]> {
    const { access, inside, settings } = this
    const works = settings.worksOf(parts)
    if (!inside) return runInTurn(access, works)
    const { snapshots, transaction } = inside
    const keeping = works.map((write): ShardWrite<T> => {
      const work = (manager: EntityManager) => keepingIn(manager.queryRunner, snapshots, () => write.work(manager))
      return copyWith(write, { work })
    })
    if (parts.by === 'typeorm' && parts.inRounds) return runInRounds(access, keeping, settings.entities?.() ?? [])
    if (parts.by === 'shard' || !parts.united) return runInTurn(access, keeping)
    const { isAlike } = parts.united
    const plan = await this.plannerOf(parts, parts.united)
    return runUnited(access, keeping, { transaction, isAlike, plan, onRefused: (node) => this.noteRefusal(node) })
  }

  async move(plan: MovePlan): Promise<readonly T[]> {
    const { move } = this.settings
    if (!move) throw new RangeError('The operation moves no rows.')
    return move(this.access, plan)
  }

  /** @throws ShardedError PARTIAL_COMMIT; else the first error, after everything is rolled back */
  async inTransaction(
    { scope, nodes }: TransactionPlan,
    work: (host: WriteHost<T>) => Promise<readonly T[]>,
  ): Promise<readonly T[]> {
    const { access, settings } = this
    const run = scope === 'savepoint' ? inSavepoint : inTransaction
    const snapshots = new ObjectSnapshots()
    for (const { entity, binding } of settings.untold ?? []) snapshots.keep(entity, binding.metadata)
    try {
      return await run(access, withoutTransactionEvents(settings.openRunner), async (inner, transaction) => {
        await transaction.openNodes(nodes)
        const host = new ShardWriteHost(inner, settings, { transaction, snapshots })
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

  /** The planned statements; made anew where the statements of shards are others, as those with the time of a transaction. */
  private async plannerOf(
    parts: NodeParts | OperationParts,
    { hasOwnTypes }: UnitedWrite,
  ): Promise<(arms: readonly Arm[]) => readonly NodeWrite[]> {
    const { access } = this
    const shards = parts.by === 'node' ? parts.arms.map(({ shard }) => shard) : parts.shards
    const hasRules = await access.waitFor(access.runtime.rules.of([...new Set(shards.map(({ node }) => node))]))
    return (arms) =>
      parts.by === 'node' && areSame(arms, parts.arms)
        ? parts.statements
        : nodeWrites(arms, { hasOwnTypes, hasRules, maxArms })
  }
}

const areSame = (arms: readonly Arm[], planned: readonly Arm[]): boolean =>
  arms.length === planned.length &&
  arms.every(({ shard, text, parameters }, index) => {
    const other = planned[index]
    return (
      shard === other?.shard &&
      text === other.text &&
      parameters.length === other.parameters.length &&
      parameters.every((value, at) => value === other.parameters[at])
    )
  })
