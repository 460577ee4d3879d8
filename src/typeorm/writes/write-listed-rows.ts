import type { EntityManager, ObjectLiteral } from 'typeorm'
import { BroadcasterResult } from 'typeorm/subscriber/BroadcasterResult'
import { refuseLeaving } from '../find/check-relations'
import type { ShardTransaction } from '../runners/shard-transaction'
import type { ListedRow } from './compare-lists'

interface WriteParts {
  readonly manager: EntityManager
  readonly transaction: ShardTransaction
  readonly isTold: boolean
}

/**
 * Writes the rows that come to lists or leave them, as TypeORM does: by statements of their own, first the updates, then what is deleted,
 * then what is softly deleted. It has no entities of them to tell subscribers of.
 */
export async function writeListedRows(rows: readonly ListedRow[], parts: WriteParts): Promise<void> {
  if (rows.length === 0) return
  const inTurn = [...rows].sort((a, b) => turnOf(a) - turnOf(b))
  if (parts.isTold) await tell('Before', inTurn, parts)
  for (const row of inTurn) await write(row, parts.manager)
  if (parts.isTold) await tell('After', inTurn, parts)
}

const turns: Readonly<Record<ListedRow['kind'], number>> = { link: 0, unlink: 0, delete: 1, softDelete: 2 }

const turnOf = ({ kind }: ListedRow): number => turns[kind]

async function write({ kind, metadata, relation, where, owner }: ListedRow, manager: EntityManager): Promise<void> {
  const builder = manager.createQueryBuilder()
  const { target } = metadata
  switch (kind) {
    case 'delete':
      await builder.delete().from(target).where(where).callListeners(false).execute()
      break
    case 'softDelete':
      await builder.softDelete().from<ObjectLiteral>(target).where(where).callListeners(false).execute()
      break
    default: {
      const values = relation.createValueMap(kind === 'link' ? owner : null)
      const { affected } = await builder.update(target).set(values).where(where).callListeners(false).execute()
      // The row may be one that the same call is still to insert: one database would insert it with its owner.
      if (kind === 'link' && affected === 0) refuseLeaving(relation.inverseEntityMetadata, relation)
    }
  }
}

async function tell(phase: 'Before' | 'After', rows: readonly ListedRow[], { transaction }: WriteParts): Promise<void> {
  const { broadcaster } = transaction
  const result = new BroadcasterResult()
  for (const { kind, metadata, where } of rows) {
    const identifier = metadata.getEntityIdMap(where)
    if (kind === 'delete')
      broadcaster[`broadcast${phase}RemoveEvent`](result, metadata, undefined, undefined, identifier)
    else if (kind === 'softDelete')
      broadcaster[`broadcast${phase}SoftRemoveEvent`](result, metadata, undefined, undefined, identifier)
    else broadcaster[`broadcast${phase}UpdateEvent`](result, metadata, undefined, undefined, [], [])
  }
  await result.wait()
}
