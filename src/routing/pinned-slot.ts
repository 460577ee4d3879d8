import type { ShardedEntity } from '../model/sharded-entity'
import { pinnedKey } from './pinned-key'
import type { Predicate } from './predicate'

/** The one slot that the rows of a predicate can have; undefined where they may have others. */
export function pinnedSlot(entity: ShardedEntity, predicate: Predicate): number | undefined {
  const key = entity.keyColumns.flatMap((_, index) => pinnedKey(predicate, index) ?? [])
  return key.length === entity.keyColumns.length ? entity.fn.slotOf(key) : onlySlot(predicate)
}

function onlySlot(predicate: Predicate): number | undefined {
  if (predicate.kind === 'and') return predicate.of.map(onlySlot).find((slot) => slot !== undefined)
  if (predicate.kind !== 'slots') return undefined
  const [slot, another] = predicate.slots
  return another === undefined ? slot : undefined
}
