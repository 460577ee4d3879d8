import type { EntityMetadata, ObjectLiteral } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { ShardedError } from '../../errors/sharded-error'
import { orderOfRows, type WriteOrder } from '../../lookups/write-order'
import { type EntityBinding, keyOf } from '../binding/entity-binding'
import type { GivenIds } from '../binding/entity-ids'
import { loadedRelation } from '../binding/entity-shards'
import { primaryKeyText } from '../binding/primary-key-text'
import { type Cascades, cascadesOf, leadsApart } from '../binding/relation-apart'
import { refuseLeaving } from '../find/check-relations'
import type { InheritedKeys } from './inherited-keys'

export type BindingOf = (target: unknown) => EntityBinding | undefined

/** What is done with an entity and, by cascades, with those that hang on it. */
export type PersistMode = 'save' | 'remove' | 'softRemove' | 'recover'

export interface GraphNode {
  readonly binding: EntityBinding
  readonly entity: ObjectLiteral
}

/** A node with its shard key, which TypeORM may still have to take over from the entity it hangs on. */
export interface KeyedNode extends GraphNode {
  readonly key: readonly string[] | undefined
}

/** An object that a save ties to another one, and does not write itself. */
export interface LinkedNode extends GraphNode {
  /** Of the entity that it is tied to. */
  readonly relation: RelationMetadata
  /** The shard key of that. */
  readonly ownerKey: readonly string[] | undefined
}

/** What sets the join columns of an object: the entity that holds it in a relation. */
export interface Owner {
  readonly relation: RelationMetadata
  readonly entity: ObjectLiteral
}

interface Graph {
  readonly nodes: readonly KeyedNode[]
  /** By the object that is held. */
  readonly owners: ReadonlyMap<ObjectLiteral, Owner>
  readonly links: readonly LinkedNode[]
  /** Objects whose key is not known, and that have ones without a key written with them. */
  readonly unknownHolders: readonly GraphNode[]
}

/** How a graph is walked. */
export interface GraphWalk {
  readonly mode: PersistMode
  readonly bindingOf: BindingOf
  /** True for a reference table. */
  readonly isReference: (target: unknown) => boolean
  /** Keeps account of the ids and keys that are given to objects that have none. */
  readonly given: GivenIds
  /** Knows the keys of what objects refer to. */
  readonly inherited: InheritedKeys
}

/**
 * Walks an entity and the related ones that TypeORM would write with it. On the way children get the shard key of their
 * parents, and keys that are generated ids are given, so that every node has a shard before anything is sent.
 *
 * @throws ShardedError CROSS_SHARD_RELATION where a cascade leaves the colocation group,
 *   KEY_CONFLICT where related entities have different shard keys; IdsRunDry, see `whenReserved`
 */
export function walkGraph({ binding, entity: root }: GraphNode, walk: GraphWalk): Graph {
  const { mode, given, inherited } = walk
  const nodes: KeyedNode[] = []
  const links: LinkedNode[] = []
  const owners = new Map<ObjectLiteral, Owner>()
  const unknownHolders = new Set<GraphNode>()
  const seen = new Set<ObjectLiteral>()
  const visit = (at: EntityBinding, entity: ObjectLiteral, above: Inherited) => {
    if (seen.has(entity)) return
    seen.add(entity)
    if (mode === 'save') generateKey(at, entity, given)
    const related = relatedOf({ binding: at, entity }, walk)
    if (mode === 'save') inherited.fill({ binding: at, entity }, given)
    const key = keyOf(at, entity) ?? above.key
    nodes.push({ binding: at, entity, key })
    if (related.length === 0) return
    // Of a child that has its key from a join column, TypeORM only knows it later: its own children have it from above.
    const own = mode === 'save' ? inherited.valuesOf({ binding: at, entity }) : []
    const values = own.map((value, index) => value ?? above.values[index])
    const self: GraphNode = { binding: at, entity }
    for (const { relation, node, cascades } of related) {
      if (cascades && mode === 'save') passKey(values, node, { relation, walk })
      const isKeyless = cascades && mode === 'save' && !keyOf(node.binding, node.entity)
      if (isKeyless && !own.every(isKnown)) unknownHolders.add(self)
      const isHeld = mode !== 'remove' && setsJoin(relation)
      if (isHeld) owners.set(node.entity, { relation, entity })
      const isTied = isHeld && !cascades && node.binding.metadata.hasAllPrimaryKeys(node.entity)
      if (!isTied || !setsKey(relation, node)) checkSameKey({ binding: at, entity }, node, relation)
      if (cascades) visit(node.binding, node.entity, { key, values })
      else if (isTied) links.push({ ...node, relation, ownerKey: key })
    }
  }
  visit(binding, root, { key: undefined, values: [] })
  return { nodes, owners, links: links.filter(({ entity }) => !seen.has(entity)), unknownHolders: [...unknownHolders] }
}

const isKnown = (value: unknown): boolean => value !== undefined && value !== null

/** Whether a save of an entity sets the join columns of what the relation holds. */
const setsJoin = ({ isOneToMany, isOneToOneNotOwner, persistenceEnabled }: RelationMetadata): boolean =>
  (isOneToMany || isOneToOneNotOwner) && persistenceEnabled

/** Whether a tie gives the row of the object the shard key of its new owner. */
export const setsKey = ({ inverseRelation }: RelationMetadata, { binding }: GraphNode): boolean =>
  binding.keyColumns.every((column) => inverseRelation?.joinColumns.includes(column) === true)

/** The shard key of the entity that another one hangs on: its canonical texts, and the values themselves. */
interface Inherited {
  readonly key: readonly string[] | undefined
  readonly values: readonly unknown[]
}

interface Related {
  readonly relation: RelationMetadata
  readonly node: GraphNode
  readonly cascades: boolean
}

function relatedOf(
  { binding: at, entity }: GraphNode,
  { mode, bindingOf, isReference }: GraphWalk,
): readonly Related[] {
  const related: Related[] = []
  for (const relation of at.metadata.relations) {
    const objects = loadedRelation(relation, entity)
    if (objects.length === 0) continue
    const cascades = cascadesIn(cascadesOf(relation), mode)
    const binding = bindingOf(relation.inverseEntityMetadata.target)
    if (!binding || leadsApart(relation)) {
      // What they refer to is saved before; the row here only stores the foreign key. Lists and other cascades are calls of their own.
      const isSavedBefore =
        relation.isOwning && (!relation.isManyToMany || isReference(relation.inverseEntityMetadata.target))
      if (mode === 'save' && !isSavedBefore) refuseLeaving(at.metadata, relation)
      continue
    }
    for (const object of objects) related.push({ relation, node: { binding, entity: object }, cascades })
  }
  return related
}

/** Whether a relation, with the cascades that it is declared with, hands on what is done with an entity. */
export function cascadesIn(relation: Cascades, mode: PersistMode): boolean {
  switch (mode) {
    case 'save':
      return relation.isCascadeInsert || relation.isCascadeUpdate
    case 'remove':
      return relation.isCascadeRemove
    case 'softRemove':
      return relation.isCascadeSoftRemove
    case 'recover':
      return relation.isCascadeRecover
  }
}

/** A generated uuid or id that is (part of) the shard key decides the shard, so it is made here and not by the database. */
export function generateKey(binding: EntityBinding, entity: ObjectLiteral, given: GivenIds): void {
  const { metadata, keyColumns } = binding
  given.giveKey(binding, entity)
  for (const column of keyColumns) {
    if (!column.isGenerated || column.generationStrategy !== 'uuid' || column.getEntityValue(entity) !== undefined)
      continue
    if (!column.isPrimary && metadata.hasAllPrimaryKeys(entity)) continue
    given.giveUuid(column, entity)
  }
}

/**
 * Gives `to` the values of another's shard key where it has none. A key that is the join column of the relation between them is
 * left to TypeORM, which sets it in the statement.
 */
function passKey(
  values: readonly unknown[],
  { binding, entity: to }: GraphNode,
  { relation, walk }: { readonly relation: RelationMetadata; readonly walk: GraphWalk },
): void {
  if (walk.inherited.keepsKey({ binding, entity: to })) return
  for (const [index, column] of binding.keyColumns.entries()) {
    if (column.getEntityValue(to) !== undefined) continue
    if (relation.inverseRelation && column.relationMetadata === relation.inverseRelation) continue
    const value = values[index]
    if (value !== undefined && value !== null) walk.given.giveValue(column, to, value)
  }
}

function checkSameKey(a: GraphNode, b: GraphNode, relation: RelationMetadata): void {
  const keyA = keyOf(a.binding, a.entity)
  const keyB = keyOf(b.binding, b.entity)
  if (!keyA || !keyB || keyA.every((part, index) => part === keyB[index])) return
  throw new ShardedError(
    'KEY_CONFLICT',
    `${a.binding.entity.name}.${relation.propertyPath}: ${a.binding.entity.name} has shard key ${keyA.join(', ')}, ${b.binding.entity.name} has ${keyB.join(', ')}.`,
    { details: { entity: a.binding.entity.name, relation: relation.propertyPath, keys: [keyA, keyB] } },
  )
}

/**
 * Whether a save of these objects may take rows off a relation whose join columns are a shard key that can be NULL (by
 * `orphanedRowAction`). Which rows, TypeORM finds out as it saves; the guard of keys then refuses the statement.
 */
export const mayEmptyKeys = (graph: readonly GraphNode[]): boolean =>
  [...new Set(graph.map(({ binding }) => binding.metadata))].some(leavesOrphans)

const leavesOrphans = ({ relations }: EntityMetadata): boolean =>
  relations.some(
    ({ isOwning, inverseRelation }) => !isOwning && inverseRelation?.joinColumns.some((one) => one.isNullable),
  )

const rowOf = ({ binding: { metadata }, entity }: GraphNode) => ({
  table: metadata.tableName,
  primaryKey: primaryKeyText(metadata, entity),
})

/** The order of `save`: TypeORM comes to the entities that it is given, then to what hangs on each of them. */
export const saveOrder = (graphs: readonly (readonly GraphNode[])[]): WriteOrder =>
  orderOfRows(true, () => [
    ...graphs.flatMap((graph) => graph.slice(0, 1).map(rowOf)),
    ...graphs.flatMap((graph) => graph.slice(1).map(rowOf)),
  ])

/** The order of `upsert`: that of the rows. One row takes no value from another. */
export const upsertOrder = (binding: EntityBinding, rows: readonly ObjectLiteral[]): WriteOrder | undefined =>
  rows.length > 1 ? orderOfRows(false, () => rows.map((entity) => rowOf({ binding, entity }))) : undefined
