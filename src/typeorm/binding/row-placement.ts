import { ShardedError } from '../../errors/sharded-error'
import type { Shard } from '../../topology/shard'
import { canonicalKey } from '../../values/canonical-key'
import type { EntityBinding } from './entity-binding'

/**
 * Why a row does not belong where it lies: its key is another shard's, is no shard's, is not set, or cannot be read here (a
 * date before Christ); or the id that `@ShardedId` made carries the slot of another key, so that the row is not found by it.
 */
export type PlacementFault = 'other-shard' | 'not-owned' | 'key-missing' | 'key-unreadable' | 'id-of-another-slot'

export interface FaultyPlacement {
  readonly fault: PlacementFault
  /** The shard that owns the key, where there is one. */
  readonly owner?: string
}

/** A row by the texts of its columns, as PostgreSQL writes them. */
export interface RowTexts {
  /** In the order of the key's columns. */
  readonly shardKey: readonly (string | null)[]
  /** Of entities whose ids `@ShardedId` makes. */
  readonly id?: string | null
}

/** What is wrong with a row of an entity on a shard; undefined where it belongs there. */
export function placementFault(
  binding: EntityBinding,
  shard: Shard,
  { shardKey, id }: RowTexts,
): FaultyPlacement | undefined {
  const { entity, shards, owners } = binding
  const key: string[] = []
  for (const [index, { type }] of entity.keyColumns.entries()) {
    const text = shardKey[index]
    if (text === null || text === undefined) return { fault: 'key-missing' }
    const canonical = readable(() => canonicalKey(text, type))
    if (canonical === undefined) return { fault: 'key-unreadable' }
    key.push(canonical)
  }
  const owner = shards[owners.shardOf(entity.fn.unitOf(key)) ?? -1]
  if (!owner) return { fault: 'not-owned' }
  if (owner.name !== shard.name) return { fault: 'other-shard', owner: owner.name }
  const slot = id === undefined || id === null ? undefined : slotOfOwnId(binding, id)
  return slot === undefined || slot === entity.fn.slotOf(key)
    ? undefined
    : { fault: 'id-of-another-slot', owner: owner.name }
}

const slotOfOwnId = ({ id, slotColumns }: EntityBinding, text: string): number | undefined =>
  id?.carriesSlot ? slotColumns.find(({ column }) => column === id.column)?.slotOf(text) : undefined

function readable(read: () => string | undefined): string | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof ShardedError) return undefined
    throw error
  }
}
