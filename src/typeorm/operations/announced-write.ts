import type { EntityManager, ObjectLiteral } from 'typeorm'
import { Broadcaster } from 'typeorm/subscriber/Broadcaster'
import { inTransaction } from '../runners/in-transaction'
import { quietly } from '../runners/quiet-transaction'
import { type ShardWrite, writeShards } from '../writes/write-shards'
import type { OperationContext } from './operation-context'

/** What subscribers hear of a write by condition. */
export interface Announcement {
  readonly event: 'Update' | 'Remove' | 'SoftRemove' | 'Recover'
  /** What an update sets: a subscriber may change it before it is sent. */
  readonly values?: ObjectLiteral
}

/**
 * Runs one write by condition on several shards. Subscribers hear of it as of one operation, once before and once after, from
 * the sharded data source: it is no one shard's.
 *
 * @throws what `writeShards` and subscribers throw
 */
export function announcedWrite<T>(
  { access, binding, openRunner }: OperationContext,
  { event, values }: Announcement,
  writes: readonly ShardWrite<T>[],
): Promise<readonly T[]> {
  const { metadata } = binding
  return inTransaction(access, quietly(openRunner), async (inner, { broadcaster }) => {
    await broadcaster.broadcast(`Before${event}`, metadata, values as never)
    const results = await writeShards(
      inner,
      writes.map(({ shard, work }) => ({ shard, work: (manager: EntityManager) => muted(manager, work) })),
      openRunner,
    )
    await broadcaster.broadcast(`After${event}`, metadata, values as never)
    return results
  })
}

/** Tells subscribers of statements, and not of the write that they are a part of. */
class MutedBroadcaster extends Broadcaster {
  override broadcastBeforeUpdateEvent(): void {}
  override broadcastAfterUpdateEvent(): void {}
  override broadcastBeforeRemoveEvent(): void {}
  override broadcastAfterRemoveEvent(): void {}
  override broadcastBeforeSoftRemoveEvent(): void {}
  override broadcastAfterSoftRemoveEvent(): void {}
  override broadcastBeforeRecoverEvent(): void {}
  override broadcastAfterRecoverEvent(): void {}
}

/** Runs a shard's part of the write. The guard on what is written is not missed: it looks at entities, and here are none. */
async function muted<T>(manager: EntityManager, work: (manager: EntityManager) => Promise<T>): Promise<T> {
  const { queryRunner } = manager
  if (!queryRunner) return work(manager)
  const { broadcaster } = queryRunner
  Object.assign(queryRunner, { broadcaster: new MutedBroadcaster(queryRunner) })
  try {
    return await work(manager)
  } finally {
    Object.assign(queryRunner, { broadcaster })
  }
}
