import type { ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { pushTo } from '../../collections/push-to'
import { ShardedError } from '../../errors/sharded-error'
import { keyText } from '../../routing/route'
import type { Shard } from '../../topology/shard'
import { canonicalValue, type EntityBinding, keyOf, requireKey, shardOfKey } from '../binding/entity-binding'
import { checkIdSlot, shardsOfObject, slotOfObject } from '../binding/entity-ids'
import type { LoadedFrom } from '../binding/entity-shards'
import { type GivenIds, whenReserved } from '../binding/given-ids'
import { primaryKeyText } from '../binding/primary-key-text'
import { type Located, locateRows } from '../reads/locate-rows'
import type { ShardAccess } from '../runners/shard-access'
import type { RowMove } from './carry-row'
import {
  type BindingOf,
  type GraphNode,
  type KeyedNode,
  type LinkedNode,
  type PersistMode,
  walkGraph,
} from './entity-graph'

export interface PlacedEntity {
  readonly entity: ObjectLiteral
  readonly shard: Shard
  /** The entity, and what is saved or removed with it. */
  readonly graph: readonly GraphNode[]
  /** Rows, of the entity or of what is saved with it, that have to move there first. */
  readonly moves?: readonly RowMove[]
}

export interface PlaceOptions {
  readonly mode: PersistMode
  readonly bindingOf: BindingOf
  /** Called before all shards are asked for objects without a shard key. */
  readonly onScatter: () => void
  /** Whether listeners run: without them, TypeORM does not tell us of a key that it is about to change. */
  readonly listeners: boolean
  /** Keeps account of the ids that are given to those that have none. */
  readonly given: GivenIds
}

/**
 * Finds the shard of each entity to be saved or removed: the one it came from, else the one that holds the row of its primary
 * key, else that of its shard key. With `primaryKeyCheck: false` an object that has its shard key is not looked up.
 * Refuses a changed shard key, and an object that is to be written on another shard than its row's.
 *
 * @throws ShardedError KEY_MISSING, KEY_INVALID, KEY_NOT_OWNED, KEY_CHANGED, KEY_CONFLICT, CROSS_SHARD_RELATION,
 *   DUPLICATE_PRIMARY_KEY, ID_OF_ANOTHER_SLOT and what making ids throws
 */
export async function placeEntities(
  access: ShardAccess,
  binding: EntityBinding,
  entities: readonly ObjectLiteral[],
  options: PlaceOptions,
): Promise<readonly PlacedEntity[]> {
  const shards: (Shard | undefined)[] = []
  const moves: (readonly RowMove[])[] = []
  const lookedUp = new Map<ObjectLiteral, EntityBinding>()
  const { mode, bindingOf, given } = options
  const graphs = await whenReserved(() => entities.map((entity) => walkGraph(binding, entity, mode, bindingOf, given)))
  for (const [index, entity] of entities.entries()) {
    const changed: RowMove[] = []
    for (const node of graphs[index]?.nodes ?? []) {
      const origin = access.runtime.entityShards.of(node.entity)
      if (needsLookup(node, origin, options)) lookedUp.set(node.entity, node.binding)
      if (mode !== 'save') continue
      changed.push(...moveOf(node, origin))
      if (node.key && !origin) checkIdSlot(node.binding, node.entity, node.key)
      given.expect(node.binding, node.entity)
    }
    for (const link of graphs[index]?.links ?? [])
      if (!access.runtime.entityShards.of(link.entity) && linkNeedsLookup(link)) lookedUp.set(link.entity, link.binding)
    moves.push(changed)
    const isMoved = changed.some((move) => move.entity === entity)
    const shard = isMoved
      ? shardOfKey(binding, requireKey(binding, entity, 'save'))
      : placeOf(access, binding, entity, options)
    shards.push(shard)
    if (!shard) lookedUp.set(entity, binding)
  }
  if (shards.includes(undefined)) options.onScatter()
  const located = await locateObjects(access, lookedUp)
  const placed = entities.flatMap((entity, index): PlacedEntity[] => {
    const { nodes: graph = [], links = [] } = graphs[index] ?? {}
    const wanted = shards[index]
    const found = access.runtime.entityShards.of(entity) ? undefined : rowOn(wanted, located.get(entity))
    if (mode === 'save' && !wanted && !found) requireKey(binding, entity, mode)
    // TypeORM removes a row that is not there without complaint: any shard says so.
    const shard = found?.shard ?? wanted ?? binding.shards[0]
    if (!shard) return []
    for (const node of graph) checkRow(node, rowOn(shard, located.get(node.entity)), shard, mode)
    const tied = links.flatMap((link) => {
      const origin = access.runtime.entityShards.of(link.entity)
      return moveOfLink(link, origin ? rowOf(link, origin) : rowOn(shard, located.get(link.entity)), shard)
    })
    const own = [...(moves[index] ?? []), ...tied]
    return [{ entity, shard, graph, ...(own.length > 0 && { moves: own }) }]
  })
  refuseTwins(placed)
  return placed
}

/** The row of an object that was loaded, where its whole shard key was. */
function rowOf({ binding }: GraphNode, { shard, key }: LoadedFrom): Located {
  const isWhole = key.every((part) => part !== undefined && part !== null)
  return { shard, key: isWhole ? key.map((part, index) => canonicalValue(binding, index, part)) : undefined }
}

/**
 * What moves where an object is tied to one with another shard key: TypeORM sets its join columns by its primary key, and on
 * this shard would meet no row.
 *
 * @throws ShardedError KEY_CHANGED where the entity does not allow moves; KEY_CONFLICT where the join columns are not the key,
 *   and so leave the row on a shard where it cannot refer to the other one
 */
function moveOfLink(link: LinkedNode, row: Located | undefined, shard: Shard): readonly RowMove[] {
  if (!row || row.shard.name === shard.name) return []
  const { binding, entity, relation, values, key } = link
  const { name } = binding.entity
  const joined = relation.inverseRelation?.joinColumns ?? []
  if (!binding.keyColumns.every((column) => joined.includes(column))) {
    throw new ShardedError(
      'KEY_CONFLICT',
      `${relation.entityMetadata.name}.${relation.propertyPath}: ${relation.entityMetadata.name} has shard key ${key?.join(', ')}, the row of ${name} has ${row.key?.join(', ')}.`,
      { details: { entity: name, relation: relation.propertyPath, keys: [key, row.key] } },
    )
  }
  if (isMovedBySave(binding)) return [{ binding, entity, from: row.shard, before: row.key ?? [], after: values }]
  throw new ShardedError(
    'KEY_CHANGED',
    `${keyText(binding.entity)} is ${row.key?.join(', ')} in the database, and ${relation.entityMetadata.name}.${relation.propertyPath} would set it to ${key?.join(', ')}.`,
    {
      details: { entity: name, relation: relation.propertyPath, before: row.key, now: key },
      ...wayOutOf(binding),
    },
  )
}

/** Of rows with one primary key, the one on a shard, or else the first. */
const rowOn = (shard: Shard | undefined, rows: readonly Located[] = []): Located | undefined =>
  rows.find((row) => row.shard.name === shard?.name) ?? rows[0]

/** An object for a row that another object of the call moves would be placed by where the row was, and make a second one. */
function refuseTwins(placed: readonly PlacedEntity[]): void {
  const moves = placed.flatMap((one) => one.moves ?? [])
  if (moves.length === 0) return
  const textOf = ({ binding, entity }: Pick<GraphNode, 'binding' | 'entity'>) =>
    `${binding.entity.name} ${primaryKeyText(binding.metadata, entity)}`
  const moved = new Map(moves.map((move) => [textOf(move), move]))
  for (const node of placed.flatMap(({ graph }) => graph)) {
    const move = node.binding.metadata.hasAllPrimaryKeys(node.entity) ? moved.get(textOf(node)) : undefined
    if (!move || move.entity === node.entity) continue
    const { entity, metadata } = node.binding
    throw new ShardedError(
      'DUPLICATE_PRIMARY_KEY',
      `${entity.name}.save is given two objects with one primary key, and one of them moves the row to another ${keyText(entity)}.`,
      { details: { entity: entity.name, key: metadata.getEntityIdMap(node.entity) } },
    )
  }
}

function placeOf(
  access: ShardAccess,
  binding: EntityBinding,
  entity: ObjectLiteral,
  { mode }: PlaceOptions,
): Shard | undefined {
  for (const column of binding.keyColumns) {
    if (mode === 'save' && column.getEntityValue(entity) === null) requireKey(binding, entity, mode)
  }
  const origin = access.runtime.entityShards.of(entity)
  if (origin && (mode === 'save' || !binding.entity.primaryKeyHoldsShardKey)) return origin.shard
  const key = keyOf(binding, entity)
  if (key) return shardOfKey(binding, key)
  if (origin) return origin.shard
  const [byId, another] = shardsOfObject(binding, entity) ?? []
  if (byId && !another) return byId
  if (binding.metadata.hasAllPrimaryKeys(entity)) return undefined
  requireKey(binding, entity, mode)
  return undefined
}

/**
 * What moves where an entity has another shard key than when it was loaded.
 *
 * @throws ShardedError KEY_CHANGED where the entity does not allow moves
 */
function moveOf({ binding, entity }: GraphNode, origin: LoadedFrom | undefined): readonly RowMove[] {
  if (!origin) return []
  for (const [index, column] of binding.keyColumns.entries()) {
    const before = origin.key[index]
    if (before !== undefined && before !== null && isEmptied(binding, column, entity)) refuseEmptied(binding, column)
    const now: unknown = column.getEntityValue(entity)
    if (before === now || before === undefined || before === null || now === undefined) continue
    if (now !== null && canonicalValue(binding, index, before) === canonicalValue(binding, index, now)) continue
    if (now === null) requireKey(binding, entity, 'save')
    if (isMovedBySave(binding)) {
      const after = binding.keyColumns.map((one): unknown => one.getEntityValue(entity))
      return [{ binding, entity, from: origin.shard, before: origin.key, after }]
    }
    throw new ShardedError(
      'KEY_CHANGED',
      `${keyText(binding.entity)} was ${String(before)} when the entity was loaded and is ${String(now)} now.`,
      {
        details: { entity: binding.entity.name, column: column.propertyPath, before, now },
        ...wayOutOf(binding),
      },
    )
  }
  return []
}

/**
 * Whether a save can move a row of the entity, where that is declared. TypeORM takes a new primary key for another entity, and
 * does not write a column with `update: false`.
 */
const savesMove = ({ entity, keyColumns }: EntityBinding): boolean =>
  !entity.primaryKeyHoldsShardKey && keyColumns.every(({ isUpdate }) => isUpdate)

const isMovedBySave = (binding: EntityBinding): boolean => binding.entity.onKeyChange === 'move' && savesMove(binding)

/** Of a refused key, where to declare that saves move is none. */
const wayOutOf = (binding: EntityBinding): { readonly fix?: string } =>
  savesMove(binding) ? {} : { fix: 'Move the row with repository.move(entity, newKey).' }

/** Whether a key column is the join column of a relation that is null now: TypeORM then writes NULL, whatever the column's property has. */
function isEmptied(
  { keyColumns }: EntityBinding,
  { relationMetadata }: ColumnMetadata,
  entity: ObjectLiteral,
): boolean {
  // A relation that joins by more may have been null all the time, and says nothing of the key.
  const isOfKey = relationMetadata?.joinColumns.every((column) => keyColumns.includes(column))
  return isOfKey === true && relationMetadata?.getEntityValue(entity) === null
}

function refuseEmptied({ entity }: EntityBinding, { relationMetadata, propertyPath }: ColumnMetadata): never {
  throw new ShardedError(
    'KEY_MISSING',
    `${entity.name}.${relationMetadata?.propertyPath} is null, which would set ${propertyPath} of the shard key ${keyText(entity)} to NULL.`,
    { details: { entity: entity.name, columns: [propertyPath], operation: 'save' } },
  )
}

/** Whether the row of an object may be on another shard than its shard key says, or what it hangs on. */
function needsLookup(
  { binding, entity, key }: KeyedNode,
  origin: LoadedFrom | undefined,
  { mode, listeners }: PlaceOptions,
): boolean {
  if (binding.entity.primaryKeyHoldsShardKey || !binding.metadata.hasAllPrimaryKeys(entity)) return false
  if (origin) return mode === 'save' && !listeners && origin.key.some((part) => part === undefined)
  // An id that carries the slot of the key, as a save demands, is on no other shard.
  if (mode === 'save' && key && slotOfObject(binding, entity) !== undefined) return false
  return binding.entity.primaryKeyCheck
}

/** Likewise of an object that is only tied to another one. Often it has nothing but its primary key. */
function linkNeedsLookup({ binding, entity }: LinkedNode): boolean {
  const { primaryKeyHoldsShardKey, primaryKeyCheck } = binding.entity
  if (primaryKeyHoldsShardKey || !binding.metadata.hasAllPrimaryKeys(entity)) return false
  return primaryKeyCheck || keyOf(binding, entity) === undefined
}

/** The rows that have the primary keys of these objects, by the object. */
async function locateObjects(
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
function checkRow({ binding, key }: KeyedNode, row: Located | undefined, shard: Shard, mode: PersistMode): void {
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
