import type { EntityMetadata } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import type { Rng } from '../rng'
import { followed, isList, makeWhere, put } from './generate-reads'
import type { Json, JsonObject, ShopOperation } from './operation'
import { freshValue, type ShopData } from './shop-data'

/** The key that objects of one graph have in common, as most of an application's have: rows of one tenant, or of one product. */
interface Graph {
  readonly data: ShopData
  readonly rng: Rng
  readonly tenantId: number
  readonly productId: number
}

export function makeWrite(data: ShopData, rng: Rng): ShopOperation {
  const graph: Graph = { data, rng, tenantId: 1 + rng.int(5), productId: 1 + rng.int(12) }
  const metadata = rng.pick(data.entities)
  return rng.weighted<ShopOperation>([
    [4, () => makeSave(graph, metadata)],
    [4, () => makeChange(graph, metadata)],
    [1, () => makePreload(graph, metadata)],
    [2, () => makeRemove(graph, metadata)],
    [1, () => makeCriteria(graph, metadata)],
  ])
}

function makeSave(graph: Graph, metadata: EntityMetadata): ShopOperation {
  const objects = Array.from({ length: 1 + graph.rng.int(3) }, () => makeObject(graph, metadata, 2))
  return { do: 'save', entity: metadata.name, objects }
}

function makePreload(graph: Graph, metadata: EntityMetadata): ShopOperation {
  const object = { ...makeObject(graph, metadata, 2), ...keyIn(graph, metadata) }
  return { do: 'preload', entity: metadata.name, object }
}

/** A new object, or one of a row that is there, with what its cascades write. */
function makeObject(graph: Graph, metadata: EntityMetadata, depth: number, above?: RelationMetadata): JsonObject {
  const { data, rng } = graph
  const object: Record<string, unknown> = {}
  const isNew = !rng.oneIn(4)
  if (!isNew) Object.assign(object, keyIn(graph, metadata))
  const joined = new Set(metadata.relations.flatMap(({ joinColumns }) => joinColumns))
  for (const column of metadata.columns) {
    const { propertyPath } = column
    if (column.isVirtual || column.isDiscriminator || propertyPath in object) continue
    if (column.isCreateDate || column.isUpdateDate || column.isVersion || column.isDeleteDate) continue
    if (column.isPrimary && column.isGenerated) continue
    if (column.isMaterializedPath) continue
    // Where it is left out, the sharding takes it from the parent, and one database has NULL.
    if (propertyPath === 'tenantId') object[propertyPath] = graph.tenantId
    else if (propertyPath === 'productId') object[propertyPath] = graph.productId
    // What a parent says of its children is left to it.
    else if (joined.has(column) && above && !column.isPrimary) continue
    else if (joined.has(column) && !column.isPrimary) continue
    else if (column.isPrimary)
      object[propertyPath] = joined.has(column) ? data.valueOf(column, rng) : freshValue(column, rng)
    else if (isNew && !column.isNullable && column.default === undefined)
      put(object, propertyPath, freshValue(column, rng))
    else if (rng.oneIn(2)) put(object, propertyPath, column.isNullable && rng.oneIn(3) ? null : freshValue(column, rng))
  }
  for (const relation of followed(metadata)) {
    if (relation === above?.inverseRelation || relation.isLazy) continue
    const value = relatedTo(graph, relation, { depth, isNew })
    if (value === undefined) continue
    // An object whose columns and whose relation name different rows is none that an application means: TypeORM's answer depends on
    // what else is saved with it.
    for (const { propertyPath } of relation.joinColumns) if (propertyPath !== 'tenantId') delete object[propertyPath]
    object[relation.propertyName] = relation.isOwning && rng.oneIn(3) ? referringBack(graph, relation, value) : value
  }
  return object as JsonObject // It is made of such.
}

/** What an object refers to, which has the object on its other side. */
function referringBack({ rng }: Graph, { inverseRelation }: RelationMetadata, value: Json): Json {
  const isOne = typeof value === 'object' && value !== null && !('length' in value)
  if (!inverseRelation || inverseRelation.isLazy || !isOne) return value
  const { propertyName } = inverseRelation
  const up = { $up: 1 }
  const others = value[propertyName]
  const list = Array.isArray(others) && rng.oneIn(2) ? others : []
  return { ...value, [propertyName]: isList(inverseRelation) ? [...list, up] : up }
}

function relatedTo(
  graph: Graph,
  relation: RelationMetadata,
  { depth, isNew }: { readonly depth: number; readonly isNew: boolean },
): Json | undefined {
  const { rng } = graph
  const { inverseEntityMetadata, isCascadeInsert, isNullable } = relation
  const makes = isCascadeInsert && depth > 0
  const one = (): JsonObject =>
    makes && !rng.oneIn(3)
      ? makeObject(graph, inverseEntityMetadata, depth - 1, relation)
      : keyIn(graph, inverseEntityMetadata)
  if (isList(relation)) {
    // A list without a cascade has to be as it is stored: `change` loads it.
    if (!makes || rng.oneIn(2)) return undefined
    return Array.from({ length: rng.int(3) }, one)
  }
  if (!relation.isOwning) return makes && rng.oneIn(2) ? one() : undefined
  if (isNullable && rng.oneIn(8)) return null
  return isNew || rng.oneIn(2) ? one() : undefined
}

/** The key of a row that is there; mostly of the tenant and the product of the graph. */
function keyIn({ data, rng, tenantId, productId }: Graph, metadata: EntityMetadata): JsonObject {
  const isAny = rng.oneIn(12)
  return data.keyOf(metadata, rng, isAny ? {} : { tenantId, productId })
}

function makeChange(graph: Graph, metadata: EntityMetadata): ShopOperation {
  const { rng } = graph
  const relations = rng.some(followed(metadata), 2).filter(({ isLazy }) => !isLazy)
  const dropped: Record<string, number> = {}
  const added: Record<string, JsonObject[]> = {}
  const set: Record<string, unknown> = {}
  for (const relation of relations) {
    const { propertyName, inverseEntityMetadata, isCascadeInsert } = relation
    if (isList(relation)) {
      if (rng.oneIn(2)) dropped[propertyName] = 1 + rng.int(2)
      if (rng.oneIn(2))
        added[propertyName] = [
          isCascadeInsert ? makeObject(graph, inverseEntityMetadata, 1, relation) : keyIn(graph, inverseEntityMetadata),
        ]
    } else if (rng.oneIn(2)) {
      const value = relatedTo(graph, relation, { depth: 1, isNew: true })
      if (value !== undefined) set[propertyName] = value
    }
  }
  for (const column of metadata.columns) {
    const isPlain = !column.isPrimary && !column.isVirtual && !column.isDiscriminator && !column.relationMetadata
    if (!isPlain || column.isVersion || column.isMaterializedPath || column.propertyPath.includes('.')) continue
    if (['tenantId', 'productId', 'at'].includes(column.propertyPath) || !rng.oneIn(4)) continue
    set[column.propertyPath] = freshValue(column, rng)
  }
  return {
    do: 'change',
    entity: metadata.name,
    key: keyIn(graph, metadata),
    relations: relations.map(({ propertyName }) => propertyName),
    set: set as JsonObject, // It is made of such.
    dropped,
    added,
    ...(rng.oneIn(5) && { isBare: true }),
  }
}

function makeRemove(graph: Graph, metadata: EntityMetadata): ShopOperation {
  const { rng } = graph
  const relations = rng.oneIn(2) ? rng.some(followed(metadata), 2).filter(({ isLazy }) => !isLazy) : []
  return {
    do: metadata.deleteDateColumn && rng.oneIn(2) ? 'softRemove' : 'remove',
    entity: metadata.name,
    key: keyIn(graph, metadata),
    relations: relations.map(({ propertyName }) => propertyName),
  }
}

function makeCriteria({ data, rng }: Graph, metadata: EntityMetadata): ShopOperation {
  const { name: entity } = metadata
  const where = makeWhere(data, rng, metadata, 0)
  const settable = metadata.columns.filter(
    (column) =>
      !column.isPrimary &&
      !column.isVirtual &&
      !column.isDiscriminator &&
      !column.relationMetadata &&
      !column.isMaterializedPath &&
      !column.propertyPath.includes('.') &&
      !['tenantId', 'productId', 'at'].includes(column.propertyPath),
  )
  if (rng.oneIn(2) || settable.length === 0)
    return { do: metadata.deleteDateColumn && rng.oneIn(2) ? 'softDelete' : 'delete', entity, where }
  const column = rng.pick(settable)
  return { do: 'update', entity, where, set: { [column.propertyPath]: freshValue(column, rng) } }
}
