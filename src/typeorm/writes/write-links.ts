import type { EntityManager, EntityMetadata, ObjectLiteral } from 'typeorm'
import { BroadcasterResult } from 'typeorm/subscriber/BroadcasterResult'
import { pushTo } from '../../collections/push-to'
import { targetOf } from '../reads/read-links'
import type { ShardTransaction } from '../runners/shard-transaction'
import { type AddedLink, linkRow, type RemovedLink } from './compare-links'

interface WriteParts {
  readonly manager: EntityManager
  readonly transaction: ShardTransaction
  readonly isTold: boolean
}

/**
 * Puts the rows of links into their junctions, one statement for each. The objects are stored by now.
 *
 * @returns whether there was any
 */
export async function addLinks(added: readonly AddedLink[], parts: WriteParts): Promise<boolean> {
  const rows = byJunction(added, linkRow)
  for (const [junction, values] of rows) {
    await tell(parts, (result, { broadcaster }) => {
      for (const _ of values) broadcaster.broadcastBeforeInsertEvent(result, junction, undefined)
    })
    const builder = parts.manager.createQueryBuilder().insert().into(targetOf(junction)).values(values)
    await builder.updateEntity(false).callListeners(false).execute()
    await tell(parts, (result, { broadcaster }) => {
      for (const row of values) broadcaster.broadcastAfterInsertEvent(result, junction, undefined, row)
    })
  }
  return rows.size > 0
}

/** Takes the rows of links out of their junctions. */
export async function removeLinks(removed: readonly RemovedLink[], parts: WriteParts): Promise<void> {
  const rows = byJunction(removed, ({ where }) => where)
  for (const [junction, values] of rows) {
    await tell(parts, (result, { broadcaster }) => {
      for (const row of values) broadcaster.broadcastBeforeRemoveEvent(result, junction, undefined, undefined, row)
    })
    const builder = parts.manager.createQueryBuilder().delete().from(targetOf(junction)).where(values)
    await builder.callListeners(false).execute()
    await tell(parts, (result, { broadcaster }) => {
      for (const row of values) broadcaster.broadcastAfterRemoveEvent(result, junction, undefined, undefined, row)
    })
  }
}

function byJunction<T extends RemovedLink | AddedLink>(
  changes: readonly T[],
  rowOf: (change: T) => ObjectLiteral | undefined,
): ReadonlyMap<EntityMetadata, ObjectLiteral[]> {
  const rows = new Map<EntityMetadata, ObjectLiteral[]>()
  for (const change of changes) {
    const row = rowOf(change)
    if (row) pushTo(rows, change.links.junction, row)
  }
  return rows
}

async function tell(
  { isTold, transaction }: WriteParts,
  broadcast: (result: BroadcasterResult, transaction: ShardTransaction) => void,
): Promise<void> {
  if (!isTold) return
  const result = new BroadcasterResult()
  broadcast(result, transaction)
  await result.wait()
}
