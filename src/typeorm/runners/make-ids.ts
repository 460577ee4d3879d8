import type { ObjectLiteral } from 'typeorm'
import { ShardedError } from '../../errors/sharded-error'
import { nextId } from '../../ids/id-maker'
import { type EntityBinding, keyOf } from '../binding/entity-binding'
import { slotToCarry } from '../binding/entity-ids'

/**
 * Gives the rows of an INSERT ids where they have none, as a default of the table would: not before they are sent. TypeORM then
 * knows that a new object has no id yet: it inserts it without looking for its row, and leaves a foreign key that
 * refers to it to an UPDATE where the object is inserted later.
 *
 * @throws ShardedError ID_MISSING where a row does not say its shard key, and what making ids throws
 */
export async function makeIds(binding: EntityBinding, rows: readonly ObjectLiteral[]): Promise<void> {
  const { id, entity } = binding
  if (!id) return
  for (const row of rows) {
    if (id.column.getEntityValue(row) !== undefined) continue
    const key = id.carriesSlot ? keyOf(binding, row) : []
    if (!key) {
      throw new ShardedError('ID_MISSING', `${entity.name}.${id.propertyPath} is not set.`, {
        details: { entity: entity.name, column: id.propertyPath },
      })
    }
    const slot = slotToCarry(binding, key)
    id.column.setEntityValue(row, id.hydrate(id.maker.take(slot) ?? (await nextId(id.maker, slot))))
  }
}
