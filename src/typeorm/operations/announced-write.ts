import type { EntityManager, EntityMetadata, ObjectLiteral } from 'typeorm'
import type { Broadcaster } from 'typeorm/subscriber/Broadcaster'
import { BroadcasterResult } from 'typeorm/subscriber/BroadcasterResult'
import { copyWith } from '../../collections/copy-with'
import type { WriteOrder } from '../../lookups/write-order'
import type { UnitedWrite } from '../../query/write-query'
import { tellingBy } from '../runners/guarded-broadcaster'
import type { ShardWrite } from '../writes/run-parts'
import { writeShards } from '../writes/write-shards'
import type { OperationContext } from './operation-context'

/** What listeners and subscribers hear of a write by condition. */
export interface CriteriaAnnouncement {
  readonly event: 'Update' | 'Remove' | 'SoftRemove' | 'Recover'
  /** What an update sets: a subscriber may change it before it is sent. */
  readonly values?: ObjectLiteral
}

/** What they hear of an insert. */
export interface InsertAnnouncement {
  readonly event: 'Insert'
  /** In the order in which they were given. */
  readonly rows: readonly ObjectLiteral[]
}

export interface AnnouncedOptions {
  readonly order?: WriteOrder | undefined
  /** Called when the rows are written, before listeners and subscribers are. */
  readonly onWritten?: (() => void) | undefined
  /** Each shard's work is one statement: see `WriteShardsOptions`. */
  readonly united?: UnitedWrite | undefined
}

export type Announcement = CriteriaAnnouncement | InsertAnnouncement

/**
 * On one shard TypeORM tells of the write itself, but where it is in a transaction that one database would not have, and where
 * it has to be known whether what failed is the write or who heard of it.
 */
export function writeAnnounced<T>(
  context: OperationContext,
  writes: readonly ShardWrite<T>[],
  options: AnnouncedOptions & { readonly announcement: Announcement },
): Promise<readonly T[]> {
  const { access, binding } = context
  const isAsked = options.onWritten !== undefined && isHeard(context)
  return writes.length > 1 || isAsked || access.runtime.lookups.maintains(binding.entity.group)
    ? announcedWrite(context, writes, options)
    : writeShards(context, writes, options)
}

/** Somebody hears of inserts. */
const isHeard = ({ access, binding }: OperationContext): boolean =>
  binding.metadata.afterInsertListeners.length > 0 ||
  binding.shards.some((shard) => access.runtime.handle(shard).dataSource.subscribers.length > 0)

/**
 * Runs a write that is one statement on one database, on several shards. Listeners and subscribers hear of it as of one
 * operation, once before and once after, from the application's query runner. As with one statement, they have their turn
 * outside of the transaction around the shards: what they write by themselves stays when the write fails.
 *
 * @throws what `writeShards` and subscribers throw
 */
async function announcedWrite<T>(
  context: OperationContext,
  writes: readonly ShardWrite<T>[],
  { announcement, order, onWritten, united }: AnnouncedOptions & { readonly announcement: Announcement },
): Promise<readonly T[]> {
  const { access, binding, openRunner } = context
  const runner = access.transaction ?? openRunner()
  try {
    await tell(runner.broadcaster, 'Before', { metadata: binding.metadata, announcement })
    const results = await writeShards(context, writes.map(toldHere), { order, united })
    onWritten?.()
    await tell(runner.broadcaster, 'After', { metadata: binding.metadata, announcement })
    return results
  } finally {
    if (runner !== access.transaction) await runner.release()
  }
}

async function tell(
  broadcaster: Broadcaster,
  phase: 'Before' | 'After',
  { metadata, announcement }: { readonly metadata: EntityMetadata; readonly announcement: Announcement },
): Promise<void> {
  const result = new BroadcasterResult()
  if (announcement.event === 'Insert')
    for (const row of announcement.rows) broadcaster[`broadcast${phase}InsertEvent`](result, metadata, row)
  else broadcaster[`broadcast${phase}${announcement.event}Event`](result, metadata, announcement.values)
  await result.wait()
}

/** A shard's part of the write, which calls no listener and no subscriber. */
const toldHere = <T>(write: ShardWrite<T>): ShardWrite<T> =>
  copyWith(write, {
    work: (manager: EntityManager) => tellingBy(manager.queryRunner, 'not-here', () => write.work(manager)),
  })
