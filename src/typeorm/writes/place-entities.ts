import type { ObjectLiteral } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import { ShardedError } from '../../errors/sharded-error'
import { keyText } from '../../routing/route'
import type { Shard } from '../../topology/shard'
import { canonicalValue, type EntityBinding, keyOf, requireKey } from '../binding/entity-binding'
import { checkIdSlot, refuseMovedId, shardsOfObject, whenReserved } from '../binding/entity-ids'
import { type LoadedFrom, shardOfKey } from '../binding/entity-shards'
import { isHidden, isKeySource } from '../binding/hidden-key-source'
import type { ShardAccess } from '../runners/shard-access'
import type { RowMove } from './carry-row'
import { type GraphNode, type GraphWalk, type KeyedNode, type Owner, type PersistMode, walkGraph } from './entity-graph'
import { checkHiddenKeys } from './hidden-key-changes'
import { InheritedKeys } from './inherited-keys'
import { refuseRivals } from './refuse-rivals'
import {
  checkRow,
  isMovedBySave,
  locateObjects,
  moveOfTie,
  needsLookup,
  rowOfNode,
  rowOfTie,
  rowOn,
  tieNeedsLookup,
  wayOutOf,
} from './row-places'

export interface PlacedEntity {
  readonly entity: ObjectLiteral
  readonly shard: Shard
  /** The entity, and what is saved or removed with it. */
  readonly graph: readonly GraphNode[]
  /** Rows, of the entity or of what is saved with it, that have to move there first. */
  readonly own: readonly RowMove[]
  /** Rows that have to move there before TypeORM updates them, since the save ties them to the entity or to what is saved with it. */
  readonly ties: readonly RowMove[]
}

export interface PlaceOptions extends Omit<GraphWalk, 'inherited'> {
  /** Called before all shards are asked for objects without a shard key. */
  readonly onScatter: () => void
  /** Whether listeners run: without them, TypeORM does not tell us of a key that it is about to change. */
  readonly listeners: boolean
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
  { access, binding }: { readonly access: ShardAccess; readonly binding: EntityBinding },
  entities: readonly ObjectLiteral[],
  options: PlaceOptions,
): Promise<readonly PlacedEntity[]> {
  const shards: (Shard | undefined)[] = []
  const moves: (readonly RowMove[])[] = []
  const lookedUp = new Map<ObjectLiteral, EntityBinding>()
  const { mode, given } = options
  const graphs = await walkGraphs({ access, binding }, entities, options)
  for (const [index, entity] of entities.entries()) {
    const changed: RowMove[] = []
    for (const node of graphs[index]?.nodes ?? []) {
      const origin = access.runtime.entityShards.of(node.entity)
      if (needsLookup(node, origin, options)) lookedUp.set(node.entity, node.binding)
      if (mode !== 'save') continue
      changed.push(...moveOf(node, origin, graphs[index]?.owners.get(node.entity)))
      if (node.key && !origin) checkIdSlot(node.binding, node.entity, node.key)
      given.expect(node.binding, node.entity)
    }
    for (const link of graphs[index]?.links ?? [])
      if (tieNeedsLookup(link, access.runtime.entityShards.of(link.entity))) lookedUp.set(link.entity, link.binding)
    moves.push(changed)
    const isMoved = changed.some((move) => move.entity === entity)
    const shard = isMoved
      ? shardOfKey(binding, requireKey(binding, entity, 'save'))
      : placeOf({ binding, entity }, access.runtime.entityShards.of(entity), mode)
    shards.push(shard)
    if (!shard) lookedUp.set(entity, binding)
  }
  if (shards.includes(undefined)) options.onScatter()
  const located = await locateObjects(access, lookedUp)
  const placed = entities.flatMap((entity, index) => {
    const { nodes: graph = [], links = [] } = graphs[index] ?? {}
    const wanted = shards[index]
    // Another save may have remembered the object meanwhile: what was looked up for it is still to be heard.
    const isLoaded = wanted && access.runtime.entityShards.of(entity)
    const found = isLoaded ? undefined : rowOn(wanted, located.get(entity))
    if (mode === 'save' && !wanted && !found) requireKey(binding, entity, mode)
    // TypeORM removes a row that is not there without complaint: any shard says so.
    const shard = found?.shard ?? wanted ?? binding.shards[0]
    if (!shard) return []
    for (const node of graph) {
      const row = rowOfNode(access, node, { shard, located, mode })
      checkRow(node, row, { shard, mode })
      if (row && mode === 'save') leaveHiddenKey(node)
    }
    const tied = links.flatMap((link) => {
      const row = rowOfTie(link, access.runtime.entityShards.of(link.entity), rowOn(shard, located.get(link.entity)))
      return row ? { link, move: moveOfTie(link, row, shard) } : []
    })
    // A key of the same shard is TypeORM's to change, but where rows repeat it.
    const own = (moves[index] ?? []).filter((move) => move.from !== shard || isKeySource(move.binding.metadata))
    const ties = tied.flatMap(({ move }) => move ?? [])
    return [{ entity, shard, graph, links: tied.map(({ link }) => link), own, ties, moves: [...own, ...ties] }]
  })
  refuseRivals(placed)
  return placed
}

/**
 * Walks the graphs of all entities. Where some object has no key then, what it refers to may have got one in a later graph, or is
 * looked for, and the graphs are walked again.
 */
async function walkGraphs(
  { access, binding }: { readonly access: ShardAccess; readonly binding: EntityBinding },
  entities: readonly ObjectLiteral[],
  options: PlaceOptions,
): Promise<readonly ReturnType<typeof walkGraph>[]> {
  const inherited = new InheritedKeys({ source: access, onScatter: options.onScatter })
  const walk = () =>
    whenReserved(() => entities.map((entity) => walkGraph({ binding, entity }, { ...options, inherited })))
  const graphs = await walk()
  if (options.mode !== 'save') return graphs
  const isUnkeyed = ({ key, entity }: KeyedNode) => !key && !access.runtime.entityShards.of(entity)
  const unkeyed = graphs.flatMap(({ nodes }) => nodes.filter(isUnkeyed))
  if (unkeyed.length > 0) {
    // A stored object need not hold its key.
    await inherited.find(
      unkeyed,
      graphs.flatMap(({ unknownHolders }) => unknownHolders),
    )
  }
  const complete = unkeyed.length > 0 ? await walk() : graphs
  await checkHiddenKeys(access, inherited, complete)
  return complete
}

/** The row has its key: to TypeORM it would be a change. */
function leaveHiddenKey({ binding, entity }: GraphNode): void {
  for (const column of binding.keyColumns) if (isHidden(column)) column.setEntityValue(entity, undefined)
}

/** @param origin where the object was loaded from */
function placeOf({ binding, entity }: GraphNode, origin: LoadedFrom | undefined, mode: PersistMode): Shard | undefined {
  for (const column of binding.keyColumns) {
    if (mode === 'save' && column.getEntityValue(entity) === null) requireKey(binding, entity, mode)
  }
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
function moveOf(
  { binding, entity }: GraphNode,
  origin: LoadedFrom | undefined,
  owner: Owner | undefined,
): readonly RowMove[] {
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
      refuseMovedId(binding, origin.key, after)
      return [{ binding, entity, from: origin.shard, before: origin.key, sets: setsOf(binding, entity, owner) }]
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

/** What a row has to have when it arrives: its key, and what it then refers to there, as the object says or what holds it. */
function setsOf(
  { keyColumns, metadata }: EntityBinding,
  entity: ObjectLiteral,
  owner: Owner | undefined,
): RowMove['sets'] {
  const sets = new Map(keyColumns.map((column): [ColumnMetadata, unknown] => [column, column.getEntityValue(entity)]))
  for (const { joinColumns } of metadata.relationsWithJoinColumns) {
    for (const column of joinColumns) {
      const isHeld = owner?.relation.inverseRelation?.joinColumns.includes(column) === true
      const value: unknown = isHeld
        ? column.referencedColumn?.getEntityValue(owner.entity)
        : column.getEntityValue(entity)
      if (value !== undefined && column.isUpdate && !column.isPrimary && !sets.has(column)) sets.set(column, value)
    }
  }
  return sets
}

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
