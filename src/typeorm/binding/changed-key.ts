import type { ObjectLiteral } from 'typeorm'
import { ShardedError } from '../../errors/sharded-error'
import { type Predicate, pinnedKey, pinnedSlot } from '../../routing/predicate'
import { keyText } from '../../routing/route'
import { canonicalColumnKey, canonicalValue, type EntityBinding } from './entity-binding'
import { slotOfObject } from './entity-ids'
import { hiddenKeySource } from './hidden-key-source'

/**
 * The part of the shard key that an update changes; undefined where it changes none. Setting it to the value that the
 * condition already demands is no change.
 *
 * @throws ShardedError KEY_INVALID
 */
export function changesKey(
  binding: EntityBinding,
  predicate: Predicate,
  values: ObjectLiteral,
): { readonly column: string; readonly value: unknown } | undefined {
  for (const [index, column] of binding.keyColumns.entries()) {
    const value: unknown = column.getEntityValue(values)
    if (value === undefined) continue
    const isValue = typeof value !== 'function' && value !== null
    if (isValue && isPinnedTo(binding, predicate, { index, value })) continue
    return { column: column.propertyPath, value }
  }
  const source = hiddenKeySource(binding.metadata)
  for (const column of source?.joinColumns ?? []) {
    const value: unknown = column.getEntityValue(values)
    // A row that refers to nothing keeps its key.
    if (value !== undefined && value !== null) return { column: source?.propertyPath ?? column.propertyPath, value }
  }
  return undefined
}

/** Whether a column that is set to a value stores what the condition demands of it already. */
function isPinnedTo(
  binding: EntityBinding,
  predicate: Predicate,
  { index, value }: { readonly index: number; readonly value: unknown },
): boolean {
  const key = canonicalValue(binding, index, value)
  const pinned = pinnedKey(predicate, index)
  // What the column would round equals no row's key: the update then changes nothing.
  return pinned !== undefined && canonicalColumnKey(binding, index, pinned) === key
}

/**
 * Refuses an update of the shard key.
 *
 * @throws ShardedError KEY_CHANGED, KEY_INVALID, ID_CHANGED
 */
export function refuseKeyChange(binding: EntityBinding, predicate: Predicate, values: ObjectLiteral): void {
  refuseIdChange(binding, predicate, values)
  const change = changesKey(binding, predicate, values)
  if (!change) return
  const { column, value } = change
  const isSource = column === hiddenKeySource(binding.metadata)?.propertyPath
  throw new ShardedError(
    'KEY_CHANGED',
    `An update would set ${isSource ? `${binding.entity.name}.${column}, from which its shard key comes,` : keyText(binding.entity)} to ${typeof value === 'function' ? 'an expression' : String(value)}.`,
    {
      details: { entity: binding.entity.name, column },
      ...(isSource && { fix: 'Save the object, which compares the keys of both rows.' }),
      ...(value === null && { fix: 'A row has a shard key: set a value.' }),
    },
  )
}

/** The slot in an id leads to its row: another id is fine where it certainly has the row's own. */
function refuseIdChange(binding: EntityBinding, predicate: Predicate, values: ObjectLiteral): void {
  const { id, entity } = binding
  if (!id?.carriesSlot || id.column.getEntityValue(values) === undefined) return
  const slot = slotOfObject(binding, values)
  if (slot !== undefined && slot === pinnedSlot(entity, predicate)) return
  throw new ShardedError('ID_CHANGED', `An update would set ${entity.name}.${id.propertyPath}.`, {
    details: { entity: entity.name, column: id.propertyPath, slot },
  })
}

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
