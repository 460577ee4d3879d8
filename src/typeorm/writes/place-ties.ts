import { ShardedError } from '../../errors/sharded-error'
import { keyText } from '../../routing/route'
import type { Shard } from '../../topology/shard'
import { canonicalValue, type EntityBinding, keyOf } from '../binding/entity-binding'
import { type LoadedFrom, shardOfKey } from '../binding/entity-shards'
import type { Located } from '../reads/locate-rows'
import type { RowMove } from './carry-row'
import { type LinkedNode, setsKey } from './entity-graph'

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
export function rowOfLoaded(binding: EntityBinding, { shard, key }: LoadedFrom): Located {
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
