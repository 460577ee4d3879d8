import { And, Equal, FindOperator, type ObjectLiteral } from 'typeorm'
import type { EntityBinding } from '../binding/entity-binding'
import { isPlain } from './find-predicate'

/** The value that `withShardKey` was given, by column: the value itself, or for composite keys an object or a list. */
export function keyValues(binding: EntityBinding, value: unknown): readonly unknown[] {
  if (binding.keyColumns.length === 1) return [value]
  if (Array.isArray(value)) return value
  return binding.keyColumns.map((column) => (isPlain(value) ? value[column.propertyName] : undefined))
}

/** Adds `key = value` to every branch of a `where`. */
export function withKeyPredicate<Where>(binding: EntityBinding, where: Where, values: readonly unknown[]): Where {
  const withKey = (branch: unknown): ObjectLiteral => {
    const result: ObjectLiteral = isPlain(branch) ? { ...branch } : {}
    for (const [index, column] of binding.keyColumns.entries())
      setPath(result, column.propertyPath.split('.'), values[index])
    return result
  }
  // A condition with the key in it is of the type of the condition.
  return (Array.isArray(where) ? where.map(withKey) : withKey(where)) as Where
}

function setPath(object: ObjectLiteral, path: readonly string[], value: unknown): void {
  const [name = '', ...rest] = path
  if (rest.length > 0) {
    object[name] = isPlain(object[name]) ? { ...object[name] } : {}
    setPath(object[name], rest, value)
    return
  }
  const present: unknown = object[name]
  if (present === undefined) object[name] = value
  else object[name] = And(present instanceof FindOperator ? present : Equal(present), Equal(value))
}

/** Gives an object the key where it has none. */
export function fillKey(binding: EntityBinding, object: ObjectLiteral, values: readonly unknown[]): void {
  for (const [index, column] of binding.keyColumns.entries()) {
    if (column.getEntityValue(object) === undefined) column.setEntityValue(object, values[index])
  }
}
