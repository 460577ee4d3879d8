import type { EntityManager, ObjectLiteral } from 'typeorm'
import { copyWith } from '../../collections/copy-with'
import { pushTo } from '../../collections/push-to'
import { ShardedError } from '../../errors/sharded-error'
import type { WriteOrder } from '../../lookups/write-order'
import { nodeWrites } from '../../planning/node-write'
import { maxArms } from '../../planning/scatter-statement'
import type { ProofFacts } from '../../planning/united-form'
import type { Shard } from '../../topology/shard'
import { maintainLookups } from '../lookups/maintain-lookups'
import { causeOf } from '../runners/cause-of'
import { EventRounds } from '../runners/event-rounds'
import { keepingIn, tellingBy } from '../runners/guarded-broadcaster'
import { inSavepoint, inTransaction } from '../runners/in-transaction'
import { ObjectSnapshots } from '../runners/object-snapshots'
import { inRound } from '../runners/participant-query-runner'
import type { ShardAccess } from '../runners/shard-access'
import type { ShardTransaction } from '../runners/shard-transaction'
import { StatementOfOneShard } from '../runners/statement-of-one-shard'
import { withoutTransactionEvents } from '../runners/without-transaction-events'
import { WriteRound } from '../runners/write-round'
import type { GraphNode } from './entity-graph'

/** One shard's part of a write. */
export interface ShardWrite<T> {
  readonly shard: Shard
  readonly work: (manager: EntityManager) => Promise<T>
  /** Objects that it fills without having told listeners of them. */
  readonly untold?: readonly GraphNode[]
}

export interface WriteShardsOptions {
  readonly order?: WriteOrder | undefined
  readonly entities?: (() => readonly ObjectLiteral[]) | undefined
  /** Each shard's work is one statement, which may go to its node with those of other shards. */
  readonly together?: Together | undefined
}

/** What is to be known of statements that may go together. */
export interface Together extends Pick<ProofFacts, 'hasOwnTypes'> {
  /** The works are one and the same for all shards: it is then done once, and gives one result. */
  readonly isAlike: boolean
}

/**
 * Runs a write on its shards. On one shard it is TypeORM's own operation, as it is. On several, it runs in one
 * transaction a node, all committed only after all have succeeded: nodes at once, the shards of a node in turn, since
 * they share its connection, or by one statement. Inside a transaction of the caller it joins that. Where entities of the group have lookups, one
 * shard is written in a transaction too, and the lookups with it. Where it fails, objects are what they were before.
 *
 * @param options.order of the rows on one database, where the operation has one
 * @param options.together where the work of each shard is one UPDATE or DELETE
 * @param options.entities all that the operation changes, in the order in which one database would tell of them
 * @returns the results in the order of `writes`, or one for all that are alike
 * @throws ShardedError PARTIAL_COMMIT, LOOKUP_ORDER_UNKNOWN; QueryFailedError of a `@GlobalUnique`; else the first error, after everything is rolled back
 */
export async function writeShards<T>(
  access: ShardAccess,
  writes: readonly ShardWrite<T>[],
  openRunner: () => ShardTransaction,
  { order, entities, together }: WriteShardsOptions = {},
): Promise<readonly T[]> {
  const [only, another] = writes
  const { lookups } = access.runtime
  const isMaintained = writes.some(({ shard }) => lookups.maintains(shard.group))
  if (only && !another && !isMaintained) return [await access.onShardApart(only.shard, only.work)]
  let isRefused = false
  const onRefused = (node: string): void => {
    isRefused = true
    access.runtime.rules.refresh(node)
  }
  try {
    return await runOnce(access, writes, openRunner, {
      order,
      entities,
      together: together && { ...together, onRefused },
    })
  } catch (error) {
    if (!isRefused || access.transaction) throw error
    // Nothing is left of it, and each shard's own statement may be taken, once it is known which tables have rules.
    await access.waitFor(access.runtime.rules.of([...new Set(writes.map(({ shard }) => shard.node))]))
    return runOnce(access, writes, openRunner, { order, entities })
  }
}

async function runOnce<T>(
  access: ShardAccess,
  writes: readonly ShardWrite<T>[],
  openRunner: () => ShardTransaction,
  options: RunOptions,
): Promise<readonly T[]> {
  const { order } = options
  const nodes = [...new Set(writes.map((write) => write.shard.node))].sort()
  const isMaintained = writes.some(({ shard }) => access.runtime.lookups.maintains(shard.group))
  // What is refused only after it was written has to be undone, also in a transaction of the caller.
  const run = order && !order.isByKind && isMaintained ? inSavepoint : inTransaction
  const snapshots = new ObjectSnapshots()
  for (const { untold = [] } of writes)
    for (const { entity, binding } of untold) snapshots.keep(entity, binding.metadata)
  try {
    return await run(access, withoutTransactionEvents(openRunner), async (inner, transaction) => {
      // In one order everywhere, so that two writes never wait for each other's connections.
      await transaction.openNodes(nodes)
      return runAll(inner, writes, { ...options, snapshots })
    })
  } catch (error) {
    // Some of the rows are there then.
    if (!(error instanceof ShardedError && error.code === 'PARTIAL_COMMIT')) snapshots.restore()
    throw error
  }
}

interface RunOptions extends WriteShardsOptions {
  readonly together?: TogetherRun | undefined
}

interface TogetherRun extends Together {
  /** Told of a node that has refused the statement of several shards. */
  readonly onRefused: (node: string) => void
}

interface RunAll extends RunOptions {
  readonly snapshots: ObjectSnapshots
}

async function runAll<T>(
  access: ShardAccess,
  writes: readonly ShardWrite<T>[],
  { snapshots, order, entities, together }: RunAll,
): Promise<readonly T[]> {
  const keeping = writes.map((write): ShardWrite<T> => {
    const work = (manager: EntityManager) => keepingIn(manager.queryRunner, snapshots, () => write.work(manager))
    return copyWith(write, { work })
  })
  const results = await runAsOne(access, keeping, { entities, together })
  await maintainLookups(
    access,
    writes.map(({ shard }) => shard),
    order,
  )
  return results
}

function runAsOne<T>(
  access: ShardAccess,
  writes: readonly ShardWrite<T>[],
  { entities, together }: Pick<RunOptions, 'entities' | 'together'>,
): Promise<readonly T[]> {
  if (entities && isHeard(access, writes)) return runInRounds(access, writes, entities())
  const { transaction } = access
  if (together && transaction && writes.length > 1) return runTogether(access, writes, { ...together, transaction })
  return runByNode(access, writes)
}

const isHeard = ({ runtime }: ShardAccess, [first, another]: readonly ShardWrite<unknown>[]): boolean =>
  first !== undefined && another !== undefined && runtime.handle(first.shard).dataSource.subscribers.length > 0

/** Nodes at once, the shards of a node in turn. */
async function runByNode<T>(access: ShardAccess, writes: readonly ShardWrite<T>[]): Promise<readonly T[]> {
  const results = new Map<ShardWrite<T>, T>()
  const byNode = new Map<string, ShardWrite<T>[]>()
  for (const write of writes) pushTo(byNode, write.shard.node, write)
  const runNode = async (list: readonly ShardWrite<T>[]) => {
    for (const write of list) results.set(write, await access.onShardApart(write.shard, write.work))
  }
  // Every node has to come to rest before a rollback: a write that still ran would send its next statement after it.
  const settled = await Promise.allSettled([...byNode.values()].map(runNode))
  const failed = causeOf(settled)
  if (failed) throw failed.reason
  return writes.map((write) => results.get(write) as T)
}

/** Statements that go to their nodes together: see `WriteRound`. */
async function runTogether<T>(
  access: ShardAccess,
  writes: readonly ShardWrite<T>[],
  { hasOwnTypes, isAlike, onRefused, transaction }: TogetherRun & { readonly transaction: ShardTransaction },
): Promise<readonly T[]> {
  const { runtime } = access
  const hasRules = await access.waitFor(runtime.rules.of([...new Set(writes.map(({ shard }) => shard.node))]))
  const runParts = (parts: readonly (ShardWrite<T> & { readonly shards: readonly Shard[] })[]) => {
    const round = new WriteRound({
      transaction,
      connectionOf: (name) => transaction.connectionFor(runtime.handle({ name }).shard),
      onRefused,
      plan: (arms) => nodeWrites(arms, { hasOwnTypes, hasRules, maxArms }),
    })
    return runMembers(
      access,
      parts.map((part) => copyWith(part, { member: round.join(part.shards) })),
      inRound,
    )
  }
  const [first] = writes
  if (isAlike && first) {
    try {
      return await runParts([copyWith(first, { shards: writes.map(({ shard }) => shard) })])
    } catch (error) {
      if (!(error instanceof StatementOfOneShard)) throw error
    }
  }
  return runParts(writes.map((write) => copyWith(write, { shards: [write.shard] })))
}

/** All shards at once, step by step, so that subscribers hear of one operation: see `EventRounds`. */
async function runInRounds<T>(
  access: ShardAccess,
  writes: readonly ShardWrite<T>[],
  entities: readonly ObjectLiteral[],
): Promise<readonly T[]> {
  const places = new Map(entities.map((entity, place) => [entity, place]))
  const rounds = new EventRounds((entity) => places.get(entity) ?? places.size)
  return runMembers(
    access,
    writes.map((write) => copyWith(write, { member: rounds.join() })),
    tellingBy,
  )
}

interface Member {
  end(error?: { readonly reason: unknown }): void
}

/** Works of one round, all at once: each joined it before, and leaves it at its end. */
async function runMembers<T, M extends Member>(
  access: ShardAccess,
  parts: readonly (ShardWrite<T> & { readonly member: M })[],
  within: (runner: EntityManager['queryRunner'], member: M, work: () => Promise<T>) => Promise<T>,
): Promise<readonly T[]> {
  let first: { readonly reason: unknown } | undefined
  const run = async ({ shard, work, member }: (typeof parts)[number]): Promise<T> => {
    try {
      const result = await access.onShardApart(shard, (manager) =>
        within(manager.queryRunner, member, () => work(manager)),
      )
      member.end()
      return result
    } catch (reason) {
      // What came first is what went wrong: the statements of a node after one that failed fail too.
      first ??= { reason }
      member.end({ reason })
      throw reason
    }
  }
  const settled = await Promise.allSettled(parts.map(run))
  if (first) throw first.reason
  return settled.map((one) => (one.status === 'fulfilled' ? one.value : (undefined as never)))
}
