import type { EntityManager, EntityMetadata, ObjectLiteral } from 'typeorm'
import type { Broadcaster } from 'typeorm/subscriber/Broadcaster'
import { BroadcasterResult } from 'typeorm/subscriber/BroadcasterResult'
import { copyWith } from '../../collections/copy-with'
import type { WriteOrder } from '../../lookups/write-order'
import { during } from '../runners/guarded-broadcaster'
import type { ShardWrite } from '../writes/run-works'
import { writeShards } from '../writes/write-shards'
import type { OperationContext } from './operation-context'

/** What listeners and subscribers hear of a write by condition. */
export interface CriteriaAnnouncement {
  readonly event: 'Update' | 'Remove' | 'SoftRemove' | 'Recover'
  /** What an update sets: a subscriber may change it before it is sent. */
  readonly values?: ObjectLiteral
}

/** What they hear of an insert. */
interface InsertAnnouncement {
  readonly event: 'Insert'
  /** In the order in which they were given. */
  readonly rows: readonly ObjectLiteral[]
}

export interface AnnouncedInsert extends Pick<InsertAnnouncement, 'rows'> {
  readonly order?: WriteOrder | undefined
  /** Called when the rows are written, before listeners and subscribers are. */
  readonly onWritten?: (() => void) | undefined
}

type Announcement = CriteriaAnnouncement | InsertAnnouncement

/**
 * Runs inserts on their shards. On one shard TypeORM tells of the write itself, but where it is in a transaction that one database
 * would not have, and where it has to be known whether what failed is the write or who heard of it.
 */
export function insertAnnounced<T>(
  context: OperationContext,
  writes: readonly ShardWrite<T>[],
  { rows, order, onWritten }: AnnouncedInsert,
): Promise<readonly T[]> {
  const { access, binding } = context
  const announcement = { event: 'Insert', rows } as const
  const isAsked = onWritten !== undefined && isHeard(context, announcement)
  if (writes.length < 2 && !isAsked && !access.runtime.lookups.maintains(binding.entity.group))
    return writeShards(context, writes, { order })
  return announced(context, announcement, async () => {
    const results = await writeShards(context, writes.map(toldHere), { order })
    onWritten?.()
    return results
  })
}

/** Somebody hears of the write. */
function isHeard({ access, binding }: OperationContext, { event, ...about }: Announcement): boolean {
  const { metadata } = binding
  const hasObject = 'rows' in about || about.values !== undefined
  const hasListeners = metadata[`before${event}Listeners`].length > 0 || metadata[`after${event}Listeners`].length > 0
  return (hasObject && hasListeners) || access.runtime.hasSubscribers()
}

/**
 * Runs a write that is one statement on one database. Listeners and subscribers hear of it as of one operation, once before and once
 * after, from the application's query runner. As with one statement, they have their turn outside of the transaction around the
 * shards: what they write by themselves stays when the write fails.
 *
 * @throws what the work and subscribers throw
 */
export async function announced<T>(
  context: OperationContext,
  announcement: Announcement,
  work: () => Promise<T>,
): Promise<T> {
  const { access, binding, openRunner } = context
  if (!isHeard(context, announcement)) return work()
  const runner = access.transaction ?? openRunner()
  try {
    await tell(runner.broadcaster, 'Before', { metadata: binding.metadata, announcement })
    const result = await work()
    await tell(runner.broadcaster, 'After', { metadata: binding.metadata, announcement })
    return result
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
    work: (manager: EntityManager) => during(manager.queryRunner, { telling: 'not-here' }, () => write.work(manager)),
  })
