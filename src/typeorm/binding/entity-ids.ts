import type { ObjectLiteral } from 'typeorm'
import { ShardedError } from '../../errors/sharded-error'
import { keyText } from '../../routing/route'
import type { Shard } from '../../topology/shard'
import { type EntityBinding, shardAt } from './entity-binding'

/** The slot that an id of a row with this shard key carries; undefined: any. */
export function slotToCarry({ entity }: EntityBinding, key: readonly string[]): number | undefined {
  return entity.id?.carriesSlot ? entity.fn.slotOf(key) : undefined
}

/** The slot of an object's id; undefined where it has none, or one that does not tell. */
export function slotOfObject(binding: EntityBinding, object: ObjectLiteral): number | undefined {
  const { id, slotColumns, metadata } = binding
  const reader = slotColumns.find(({ column }) => column === id?.column)
  const value: unknown = reader && id?.column.getEntityValue(object)
  if (!reader || !id || value === undefined || value === null || typeof value === 'function') return undefined
  return reader.slotOf(metadata.dataSource.driver.preparePersistentValue(value, id.column))
}

/** The shards that can hold the row of an object's id; undefined where the id does not tell. */
export function shardsOfObject(binding: EntityBinding, object: ObjectLiteral): readonly Shard[] | undefined {
  const slot = slotOfObject(binding, object)
  const indexes = slot === undefined ? undefined : binding.entity.fn.shardsOfSlot?.(slot)
  return indexes?.map((index) => shardAt(binding, index))
}

/**
 * An id that a row already has must lead to it.
 *
 * @throws ShardedError ID_OF_ANOTHER_SLOT
 */
export function checkIdSlot(binding: EntityBinding, object: ObjectLiteral, key: readonly string[]): void {
  const slot = slotOfObject(binding, object)
  if (slot !== undefined) checkSlot(binding, slot, key)
}

/** @throws ShardedError ID_OF_ANOTHER_SLOT */
export function checkSlot({ entity }: EntityBinding, slot: number, key: readonly string[]): void {
  const expected = entity.fn.slotOf(key)
  if (expected === undefined || slot === expected) return
  throw new ShardedError(
    'ID_OF_ANOTHER_SLOT',
    `${entity.name}.${entity.id?.propertyPath} carries slot ${slot}, and ${keyText(entity)} = ${key.join(', ')} has slot ${expected}.`,
    { details: { entity: entity.name, column: entity.id?.propertyPath, slot, expected, key } },
  )
}
