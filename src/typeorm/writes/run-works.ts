import type { EntityManager, ObjectLiteral } from 'typeorm'
import { pushTo } from '../../collections/push-to'
import type { Shard } from '../../topology/shard'
import { causeOf } from '../runners/cause-of'
import { EventRounds, type RoundMember } from '../runners/event-rounds'
import { during } from '../runners/guarded-broadcaster'
import type { ShardAccess } from '../runners/shard-access'
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
    for (const write of list) results.set(write, await access.onShard(write.shard, write.work))
  }
  // Every node has to come to rest before a rollback: a write that still ran would send its next statement after it.
  const settled = await Promise.allSettled([...byNode.values()].map(runNode))
  const failed = causeOf(settled)
  if (failed) throw failed.reason
  // A result may be undefined, and each write has one.
  return writes.map((write) => results.get(write) as T)
}

/** All shards at once, step by step, so that subscribers hear of one operation: see `EventRounds`. */
export async function runInRounds<T>(
  access: ShardAccess,
  writes: readonly ShardWrite<T>[],
  entities: readonly ObjectLiteral[],
): Promise<readonly T[]> {
  const places = new Map(entities.map((entity, place) => [entity, place]))
  const rounds = new EventRounds((entity) => places.get(entity) ?? places.size)
  let first: { readonly reason: unknown } | undefined
  const run = async ({ shard, work }: ShardWrite<T>, member: RoundMember): Promise<T> => {
    try {
      const result = await access.onShard(shard, (manager) =>
        during(manager.queryRunner, { telling: member }, () => work(manager)),
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
  // All join before one works: they wait for each other.
  const members = writes.map((write) => [write, rounds.join()] as const)
  const settled = await Promise.allSettled(members.map(([write, member]) => run(write, member)))
  if (first) throw first.reason
  return settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
}
