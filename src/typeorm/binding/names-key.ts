import type { ObjectLiteral } from 'typeorm'
import type { EntityBinding } from './entity-binding'

const names = new WeakMap<EntityBinding, ReadonlySet<string>>()

/** True where an object has a property by which a column of the shard key can be set, directly or by a relation. */
export function namesKey(binding: EntityBinding, object: ObjectLiteral): boolean {
  const known = namesOf(binding)
  for (const name in object) if (known.has(name) || (name.includes('.') && known.has(firstOf(name)))) return true
  return false
}

function namesOf(binding: EntityBinding): ReadonlySet<string> {
  const known = names.get(binding)
  if (known) return known
  const { keyColumns, metadata } = binding
  const relations = metadata.relations.filter(({ joinColumns }) => joinColumns.some((one) => keyColumns.includes(one)))
  const made = new Set([...keyColumns, ...relations].map(({ propertyPath }) => firstOf(propertyPath)))
  names.set(binding, made)
  return made
}

const firstOf = (path: string): string => path.split('.', 1)[0] ?? path
