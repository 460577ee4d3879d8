import type { EntityManager } from 'typeorm'
import { pushTo } from '../../collections/push-to'

import { ShardedError } from '../../errors/sharded-error'
import type { WriteOrder } from '../../lookups/write-order'
import type { Shard } from '../../topology/shard'
import { maintainLookups } from '../lookups/maintain-lookups'
import { inSavepoint, inTransaction } from '../runners/in-transaction'
import { keepingIn } from '../runners/key-guard'
import { quietly } from '../runners/quiet-transaction'
import type { ShardAccess } from '../runners/shard-access'
import type { ShardTransaction } from '../runners/shard-transaction'
import { Unfilled } from '../runners/unfilled'
import type { GraphNode } from './entity-graph'

/** One shard's part of a write. */
export interface ShardWrite<T> {
  readonly shard: Shard
  readonly work: (manager: EntityManager) => Promise<T>
  /** Objects that it fills without having told listeners of them. */
  readonly untold?: readonly GraphNode[]
}

/**
 * Runs a write on its shards. On one shard it is TypeORM's own operation, as it is. On several, it runs in one
 * transaction a node, all committed only after all have succeeded: nodes at once, the shards of a node in turn, since
 * they share its connection. Inside a transaction of the caller it joins that. Where entities of the group have lookups, one
 * shard is written in a transaction too, and the lookups with it. Where it fails, objects are what they were before.
 *
 * @param options.order of the rows on one database, where the operation has one
 * @returns the results in the order of `writes`
 * @throws ShardedError PARTIAL_COMMIT, LOOKUP_ORDER_UNKNOWN; QueryFailedError of a `@GlobalUnique`; else the first error, after everything is rolled back
 */
export async function writeShards<T>(
  access: ShardAccess,
  writes: readonly ShardWrite<T>[],
  openRunner: () => ShardTransaction,
  { order }: { readonly order?: WriteOrder | undefined } = {},
): Promise<readonly T[]> {
  const [only, another] = writes
  const { lookups } = access.runtime
  const isMaintained = writes.some(({ shard }) => lookups.maintains(shard.group))
  if (only && !another && !isMaintained) return [await access.onShard(only.shard, only.work)]
  const nodes = [...new Set(writes.map((write) => write.shard.node))].sort()
  // What is refused only after it was written has to be undone, also in a transaction of the caller.
  const run = order && !order.isByKind && isMaintained ? inSavepoint : inTransaction
  const unfilled = new Unfilled()
  for (const { untold = [] } of writes)
    for (const { entity, binding } of untold) unfilled.keep(entity, binding.metadata)
  try {
    return await run(access, quietly(openRunner), async (inner, transaction) => {
      // In one order everywhere, so that two writes never wait for each other's connections.
      await transaction.openNodes(nodes)
      return runAll(inner, writes, { unfilled, order })
    })
  } catch (error) {
    // Some of the rows are there then.
    if (!(error instanceof ShardedError && error.code === 'PARTIAL_COMMIT')) unfilled.restore()
    throw error
  }
}

async function runAll<T>(
  access: ShardAccess,
  writes: readonly ShardWrite<T>[],
  { unfilled, order }: { readonly unfilled: Unfilled; readonly order: WriteOrder | undefined },
): Promise<readonly T[]> {
  const results = new Map<ShardWrite<T>, T>()
  const byNode = new Map<string, ShardWrite<T>[]>()
  for (const write of writes) pushTo(byNode, write.shard.node, write)
  const keeping = (work: (manager: EntityManager) => Promise<T>) => (manager: EntityManager) =>
    keepingIn(manager.queryRunner, unfilled, () => work(manager))
  const runNode = async (list: readonly ShardWrite<T>[]) => {
    for (const write of list) results.set(write, await access.onShard(write.shard, keeping(write.work)))
  }
  // Every node has to come to rest before a rollback: a write that still ran would send its next statement after it.
  const settled = await Promise.allSettled([...byNode.values()].map(runNode))
  const failed = settled.find((one) => one.status === 'rejected')
  if (failed) throw failed.reason
  await maintainLookups(
    access,
    writes.map(({ shard }) => shard),
    order,
  )
  return writes.map((write) => results.get(write) as T)
}
