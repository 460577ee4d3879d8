import type { KeyConstraint } from '../functions/sharding-function'
import type { ShardedEntity } from '../model/sharded-entity'

/**
 * A condition as routing sees it: what it says of the shard key, and nothing else. Whatever is not understood is
 * `unknown` and restricts nothing: a route may be too wide, never too narrow.
 */
export type Predicate =
  | { readonly kind: 'and'; readonly of: readonly Predicate[] }
  | { readonly kind: 'or'; readonly of: readonly Predicate[] }
  | { readonly kind: 'key'; readonly column: number; readonly constraint: KeyConstraint }
  | SlotsPredicate
  | { readonly kind: 'unknown' }

/** The rows' shard keys have one of these slots: the ids of `@ShardedId` say so. */
export interface SlotsPredicate {
  readonly kind: 'slots'
  readonly slots: readonly number[]
}

export const unknownPredicate: Predicate = Object.freeze({ kind: 'unknown' })

/** The one canonical value that a predicate allows for a part of the shard key; undefined where it allows others. */
export function pinnedKey(predicate: Predicate, column: number): string | undefined {
  if (predicate.kind === 'and')
    return predicate.of.map((part) => pinnedKey(part, column)).find((key) => key !== undefined)
  if (predicate.kind !== 'key' || predicate.column !== column || predicate.constraint.kind !== 'values')
    return undefined
  const [key, another] = predicate.constraint.keys
  return another === undefined ? key : undefined
}

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
