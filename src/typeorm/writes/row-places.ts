import type { ObjectLiteral } from 'typeorm'
import { pushTo } from '../../collections/push-to'
import { ShardedError } from '../../errors/sharded-error'
import { keyText } from '../../routing/route'
import type { Shard } from '../../topology/shard'
import { canonicalValue, type EntityBinding, keyOf } from '../binding/entity-binding'
import { slotOfObject } from '../binding/entity-ids'
import { type LoadedFrom, shardOfKey } from '../binding/entity-shards'
import { hiddenKeySource } from '../binding/hidden-key-source'
import { primaryKeyText } from '../binding/primary-key-text'
import { type Located, locateRows } from '../reads/locate-rows'
import type { ShardAccess } from '../runners/shard-access'
import type { RowMove } from './carry-row'
import { type GraphNode, type KeyedNode, type LinkedNode, type PersistMode, setsKey } from './entity-graph'

/** Whether the row of a tied object has to be looked up. Often the object has nothing but its primary key. */
export function tieNeedsLookup({ binding, entity }: LinkedNode, origin: LoadedFrom | undefined): boolean {
  const { primaryKeyHoldsShardKey, primaryKeyCheck } = binding.entity
  if (origin || primaryKeyHoldsShardKey) return false
  return primaryKeyCheck || keyOf(binding, entity) === undefined
}

/** The row of a tied object: where its primary key says, else where the object was loaded, or a look-up found it. */
export function rowOfTie(
  { binding, entity }: LinkedNode,
  origin: LoadedFrom | undefined,
  located: Located | undefined,
): Located | undefined {
  if (!binding.entity.primaryKeyHoldsShardKey) return origin ? rowOfLoaded(binding, origin) : located
  const key = keyOf(binding, entity)
  return key && { shard: shardOfKey(binding, key), key }
}

/** The row of a loaded object, with its shard key where the whole of that was loaded. */
function rowOfLoaded(binding: EntityBinding, { shard, key }: LoadedFrom): Located {
  const isWhole = key.every((part) => part !== undefined && part !== null)
  return { shard, key: isWhole ? key.map((part, index) => canonicalValue(binding, index, part)) : undefined }
}

/**
 * What moves where an object is tied to one on another shard: TypeORM updates the join columns of its row by the primary key, and
 * on this shard would meet no row.
 *
 * @throws ShardedError KEY_CHANGED where the entity does not allow moves; KEY_CONFLICT where the tie does not set the shard key,
 *   and so leaves the row on a shard where it cannot refer to the other one
 */
export function moveOfTie(link: LinkedNode, row: Located | undefined, shard: Shard): RowMove | undefined {
  if (!row || row.shard === shard) return undefined
  const { binding, entity, relation, ownerKey } = link
  const { name } = binding.entity
  const owner = `${relation.entityMetadata.name}.${relation.propertyPath}`
  if (!setsKey(relation, link)) {
    throw new ShardedError(
      'KEY_CONFLICT',
      `${owner}: ${relation.entityMetadata.name} has shard key ${ownerKey?.join(', ')}, the row of ${name} has ${row.key?.join(', ')}.`,
      { details: { entity: name, relation: relation.propertyPath, keys: [ownerKey, row.key] } },
    )
  }
  if (!isMovedBySave(binding)) {
    throw new ShardedError(
      'KEY_CHANGED',
      `${keyText(binding.entity)} is ${row.key?.join(', ')} in the database, and ${owner} would set it to ${ownerKey?.join(', ')}.`,
      {
        details: { entity: name, relation: relation.propertyPath, before: row.key, now: ownerKey },
        ...wayOutOf(binding),
      },
    )
  }
  const sets = new Map(relation.inverseRelation?.joinColumns.map((column) => [column, undefined]))
  return { binding, entity, from: row.shard, before: row.key ?? [], sets }
}

/**
 * Whether a save can move a row of the entity, where that is declared. TypeORM takes a new primary key for another entity, and
 * does not write a column with `update: false`.
 */
const savesMove = ({ entity, keyColumns }: EntityBinding): boolean =>
  !entity.primaryKeyHoldsShardKey && keyColumns.every(({ isUpdate }) => isUpdate)

/** Whether a save of another shard key moves a row of the entity. */
export const isMovedBySave = (binding: EntityBinding): boolean =>
  binding.entity.onKeyChange === 'move' && savesMove(binding)

/** Of a refused key, where to declare that saves move is none. */
export const wayOutOf = (binding: EntityBinding): { readonly fix?: string } =>
  savesMove(binding) ? {} : { fix: 'Move the row with repository.move(entity, newKey).' }

/** Of rows with one primary key, the one on a shard, or else the first. */
export const rowOn = (shard: Shard | undefined, rows: readonly Located[] = []): Located | undefined =>
  rows.find((row) => row.shard.name === shard?.name) ?? rows[0]

interface Placing {
  readonly shard: Shard
  readonly located: ReadonlyMap<ObjectLiteral, readonly Located[]>
  readonly mode: PersistMode
}

/** The row of an object, where it is known. A save moves the row of a loaded object; what removes it leaves it where it is. */
export function rowOfNode(
  access: ShardAccess,
  { binding, entity }: GraphNode,
  { shard, located, mode }: Placing,
): Located | undefined {
  const stays = mode !== 'save' && !binding.entity.primaryKeyHoldsShardKey
  const origin = stays ? access.runtime.entityShards.of(entity) : undefined
  return origin ? rowOfLoaded(binding, origin) : rowOn(shard, located.get(entity))
}

/** Whether the row of an object may be on another shard than its shard key says, or what it hangs on. */
export function needsLookup(
  { binding, entity, key }: KeyedNode,
  origin: LoadedFrom | undefined,
  { mode, listeners }: { readonly mode: PersistMode; readonly listeners: boolean },
): boolean {
  if (binding.entity.primaryKeyHoldsShardKey || !binding.metadata.hasAllPrimaryKeys(entity)) return false
  if (origin) return mode === 'save' && !listeners && origin.key.some((part) => part === undefined)
  // Whether the row is there decides whether it gets a key.
  if (mode === 'save' && hiddenKeySource(binding.metadata)) return true
  // An id that carries the slot of the key, as a save demands, is on no other shard.
  if (mode === 'save' && key && slotOfObject(binding, entity) !== undefined) return false
  return binding.entity.primaryKeyCheck
}

/** The rows that have the primary keys of these objects, by the object. */
export async function locateObjects(
  access: ShardAccess,
  objects: ReadonlyMap<ObjectLiteral, EntityBinding>,
): Promise<ReadonlyMap<ObjectLiteral, readonly Located[]>> {
  const byBinding = new Map<EntityBinding, ObjectLiteral[]>()
  for (const [object, binding] of objects) pushTo(byBinding, binding, object)
  const found = new Map<ObjectLiteral, readonly Located[]>()
  for (const [binding, own] of byBinding) {
    const located = await locateRows(access, binding, own)
    for (const object of own) found.set(object, located.get(primaryKeyText(binding.metadata, object)) ?? [])
  }
  return found
}

/**
 * Sees that TypeORM meets the row of an object on the shard where it writes the object. Keys are compared as JavaScript has them,
 * of the row too: that may be less exact than what is stored (a Date has no microseconds), and is what TypeORM compares.
 *
 * @throws ShardedError DUPLICATE_PRIMARY_KEY
 */
export function checkRow(
  { binding, key }: KeyedNode,
  row: Located | undefined,
  { shard, mode }: Pick<Placing, 'shard' | 'mode'>,
): void {
  if (!row) return
  const isHere = row.shard.name === shard.name
  const isSameKey = !row.key || !key || row.key.every((part, index) => part === key[index])
  if (isHere && (isSameKey || mode !== 'save')) return
  const { name } = binding.entity
  const given = isSameKey ? `not ${shard.name}` : `not ${key?.join(', ')}`
  throw new ShardedError(
    'DUPLICATE_PRIMARY_KEY',
    `${name} with this primary key has ${keyText(binding.entity)} = ${row.key?.join(', ')} on shard ${row.shard.name}, ${given}.`,
    { details: { entity: name, shard: row.shard.name, key: row.key, given: key } },
  )
}
