import { canonicalColumnKey, type EntityBinding, preparedKey } from './entity-binding'
import { checkSlot } from './entity-ids'

/**
 * A row keeps its id when it moves: where that carries the slot of the key it had, it would be looked for there.
 *
 * @throws ShardedError ID_OF_ANOTHER_SLOT
 */
export function refuseMovedId(binding: EntityBinding, before: readonly unknown[], after: readonly unknown[]): void {
  if (binding.id?.carriesSlot) refuseMovedRow(binding, preparedKey(binding, before), preparedKey(binding, after))
}

/** The same, of values as the database has them. @throws ShardedError ID_OF_ANOTHER_SLOT */
export function refuseMovedRow(binding: EntityBinding, before: readonly unknown[], after: readonly unknown[]): void {
  const { id, entity } = binding
  // The caller refuses a row without a key, or with a part of its key unknown here.
  const isKnown = [...before, ...after].every((value) => value !== null && value !== undefined)
  if (!id?.carriesSlot || !isKnown) return
  const canonical = (values: readonly unknown[]): readonly string[] =>
    binding.keyColumns.map((_, index) => canonicalColumnKey(binding, index, values[index]))
  const slot = entity.fn.slotOf(canonical(before))
  if (slot !== undefined) checkSlot(binding, slot, canonical(after))
}
