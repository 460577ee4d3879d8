import type { ObjectLiteral } from 'typeorm'
import { ShardedError } from '../errors/sharded-error'
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

/** The one value that the predicate allows for a key column; undefined where it allows others. */
function pinnedKey(predicate: Predicate, column: number): string | undefined {
  if (predicate.kind === 'and')
    return predicate.of.map((part) => pinnedKey(part, column)).find((key) => key !== undefined)
  if (predicate.kind !== 'key' || predicate.column !== column || predicate.constraint.kind !== 'values')
    return undefined
  const [key, another] = predicate.constraint.keys
  return another === undefined ? key : undefined
}
