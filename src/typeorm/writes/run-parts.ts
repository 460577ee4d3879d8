import type { EntityManager, ObjectLiteral } from 'typeorm'
import { copyWith } from '../../collections/copy-with'
import { pushTo } from '../../collections/push-to'
import type { NodeWrite } from '../../planning/node-write'
import type { Arm } from '../../query/arm-source'
import type { Shard } from '../../topology/shard'
import { causeOf } from '../runners/cause-of'
import { EventRounds } from '../runners/event-rounds'
import { tellingBy } from '../runners/guarded-broadcaster'
import { inRound } from '../runners/participant-query-runner'
import type { ShardAccess } from '../runners/shard-access'
import type { ShardTransaction } from '../runners/shard-transaction'
import { StatementOfOneShard } from '../runners/statement-of-one-shard'
import { WriteRound } from '../runners/write-round'
import type { GraphNode } from './entity-graph'

/** One shard's part of a write. */
export interface ShardWrite<T> {
  readonly shard: Shard
  readonly work: (manager: EntityManager) => Promise<T>
  /** Objects that it fills without having told listeners of them. */
  readonly untold?: readonly GraphNode[]
}

/** Nodes at once, the shards of a node in turn. */
export async function runInTurn<T>(access: ShardAccess, writes: readonly ShardWrite<T>[]): Promise<readonly T[]> {
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
  // A result may be undefined, and each write has one.
  return writes.map((write) => results.get(write) as T)
}

/** How the statements of shards go together. */
export interface UnitedRun {
  readonly transaction: ShardTransaction
  /** The works are one and the same for all shards: it is then done once, and gives one result. */
  readonly isAlike: boolean
  /** What is sent for the statements of shards, in their order. */
  readonly plan: (arms: readonly Arm[]) => readonly NodeWrite[]
  /** Told of a node that has refused the statement of several shards. */
  readonly onRefused: (node: string) => void
}

/** The first statement of each shard goes with those of the others: see `WriteRound`. */
export async function runUnited<T>(
  access: ShardAccess,
  writes: readonly ShardWrite<T>[],
  { transaction, isAlike, plan, onRefused }: UnitedRun,
): Promise<readonly T[]> {
  const connectionOf = (name: string) => transaction.connectionFor(access.runtime.handle({ name }).shard)
  const runParts = (parts: readonly (ShardWrite<T> & { readonly shards: readonly Shard[] })[]) => {
    const round = new WriteRound({ transaction, connectionOf, onRefused, plan })
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
export async function runInRounds<T>(
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
  return settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
}
