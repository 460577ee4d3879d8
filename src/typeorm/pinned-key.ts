import type { ObjectLiteral } from 'typeorm'
import { ShardedError } from '../errors/sharded-error'
import { pinnedKey } from '../routing/pinned-key'
import type { Predicate } from '../routing/predicate'
import { keyText } from '../routing/route'
import { canonicalColumnKey, type EntityBinding } from './entity-binding'

/**
 * Refuses an update of the shard key. Setting it to the value that the condition already demands is no change.
 *
 * @throws ShardedError KEY_CHANGED, KEY_INVALID
 */
export function refuseKeyChange(binding: EntityBinding, predicate: Predicate, values: ObjectLiteral): void {
  for (const [index, column] of binding.keyColumns.entries()) {
    const value: unknown = column.getEntityValue(values)
    if (value === undefined) continue
    const isExpression = typeof value === 'function'
    if (!isExpression && value !== null) {
      const prepared: unknown = binding.metadata.dataSource.driver.preparePersistentValue(value, column)
      if (canonicalColumnKey(binding, index, prepared) === pinnedKey(predicate, index)) continue
    }
    throw new ShardedError(
      'KEY_CHANGED',
      `An update would set ${keyText(binding.entity)} to ${isExpression ? 'an expression' : String(value)}.`,
      {
        details: { entity: binding.entity.name, column: column.propertyPath },
      },
    )
  }
}
