import type { EntityMetadata } from 'typeorm'
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import type { Rng } from '../rng'
import type { Condition, Getter, Join, Json, JsonObject, ShopOperation } from './operation'
import { type ShopData, typeOf } from './shop-data'

/** A nested object with a value at a path of properties. */
export function put(object: Record<string, unknown>, path: string, value: unknown): void {
  const names = path.split('.')
  const last = names.pop() ?? ''
  let at = object
  for (const name of names) {
    const next = (at[name] ?? {}) as Record<string, unknown> // `put` alone makes them.
    at[name] = next
    at = next
  }
  at[last] = value
}

/** Trees are read by repositories of their own; the inverse of an eager relation in a circle is left to TypeORM's own tests. */
export const followed = ({ relations }: EntityMetadata): readonly RelationMetadata[] =>
  relations.filter(({ isTreeChildren, isTreeParent }) => !isTreeChildren && !isTreeParent)

const isComparable = (column: ColumnMetadata): boolean =>
  !column.isVirtual && typeOf(column) !== 'jsonb' && !column.isVersion && !column.isCreateDate && !column.isUpdateDate

const comparable = ({ columns }: EntityMetadata): readonly ColumnMetadata[] => columns.filter(isComparable)

export const isList = ({ isOneToMany, isManyToMany }: RelationMetadata): boolean => isOneToMany || isManyToMany

export function makeRead(data: ShopData, rng: Rng): ShopOperation {
  const metadata = rng.pick(data.entities)
  return rng.weighted<ShopOperation>([
    [6, () => makeFind(data, rng, metadata)],
    [3, () => makeBuild(data, rng, metadata)],
    [1, () => makeLazy(data, rng)],
  ])
}

function makeFind(data: ShopData, rng: Rng, metadata: EntityMetadata): ShopOperation {
  const get = rng.weighted<Getter>([
    [6, () => 'find'],
    [3, () => 'findAndCount'],
    [2, () => 'findOne'],
    [1, () => 'count'],
    [1, () => 'exists'],
  ])
  const loaded = rng.oneIn(4) ? {} : makeRelations(metadata, rng, 3)
  const branches = rng.oneIn(4) ? [makeWhere(data, rng, metadata), makeWhere(data, rng, metadata)] : []
  const where: Json = branches.length > 0 ? branches : makeWhere(data, rng, metadata)
  const isByQueries = rng.oneIn(4)
  const selects = rng.oneIn(5)
  // By queries, or with `select`, a page by the order of a relation is an undefined column of TypeORM's. The sharding answers it.
  const mayOrder = !isByQueries && !selects
  const order = makeOrder(metadata, { relations: mayOrder ? loaded : {}, byRelation: mayOrder && rng.oneIn(4) }, rng)
  // So is a page by the order of a relation that is not loaded.
  const ordered = followed(metadata).filter(({ propertyPath }) => propertyPath in order)
  const relations = { ...Object.fromEntries(ordered.map(({ propertyPath }) => [propertyPath, true])), ...loaded }
  const options: Record<string, Json> = { relations, order }
  if (get === 'findOne' || !rng.oneIn(3)) options['where'] = where
  if (rng.oneIn(4)) options['withDeleted'] = true
  if (isByQueries) options['relationLoadStrategy'] = 'query'
  if (rng.oneIn(5)) options['loadEagerRelations'] = false
  if (selects)
    options['select'] = {
      ...makeSelect(metadata, relations, rng),
      // A page by a column that is not selected is an undefined column of TypeORM's, too.
      ...Object.fromEntries(Object.keys(order).map((name) => [name, true])),
    }
  if (get !== 'findOne' && rng.oneIn(2)) options['take'] = 1 + rng.int(8)
  if (get !== 'findOne' && rng.oneIn(3)) options['skip'] = rng.int(6)
  return { do: 'find', entity: metadata.name, get, options }
}

/** Relations to a depth, each of which may lead anywhere. */
export function makeRelations(metadata: EntityMetadata, rng: Rng, depth: number): JsonObject {
  const all = followed(metadata)
  if (all.length === 0 || depth === 0) return {}
  const chosen: Record<string, unknown> = {}
  for (const { propertyPath, inverseEntityMetadata } of rng.some(all, depth === 3 ? 3 : 1)) {
    const below = rng.oneIn(2) ? makeRelations(inverseEntityMetadata, rng, depth - 1) : {}
    put(chosen, propertyPath, Object.keys(below).length > 0 ? below : true)
  }
  return chosen as JsonObject // It is made of such.
}

export function makeWhere(data: ShopData, rng: Rng, metadata: EntityMetadata, depth = 2): JsonObject {
  const where: Record<string, unknown> = {}
  for (const column of rng.some(comparable(metadata), 2)) put(where, column.propertyPath, makeTest(data, rng, column))
  const relations = followed(metadata)
  if (depth > 0 && relations.length > 0 && rng.oneIn(2)) {
    const { propertyPath, inverseEntityMetadata } = rng.pick(relations)
    put(where, propertyPath, makeWhere(data, rng, inverseEntityMetadata, depth - 1))
  }
  return where as JsonObject // It is made of such.
}

function makeTest(data: ShopData, rng: Rng, column: ColumnMetadata): Json {
  const value = (): Json => data.valueOf(column, rng)
  const isText = ['text', 'varchar', 'string'].includes(typeOf(column))
  return rng.weighted<Json>([
    [3, () => value() ?? { $op: 'IsNull' }],
    [2, () => ({ $op: 'In', of: [value(), value(), value()].filter((one) => one !== null) })],
    [1, () => ({ $op: 'Not', of: value() ?? { $op: 'IsNull' } })],
    [
      1,
      () => {
        const of = value()
        if (of === null) return { $op: 'Not', of: { $op: 'IsNull' } }
        return { $op: column.enum || typeOf(column) === 'boolean' ? 'Not' : 'MoreThan', of }
      },
    ],
    [isText && !column.enum ? 1 : 0, () => ({ $op: 'ILike', of: rng.pick(['%1%', 'user%', '%a', 'p%']) })],
  ])
}

/** Of the rows a total order: by columns, some of to-one relations, and the primary key last. Then lists within each row. */
function makeOrder(
  metadata: EntityMetadata,
  { relations, byRelation }: { readonly relations: JsonObject; readonly byRelation: boolean },
  rng: Rng,
): JsonObject {
  const order: Record<string, unknown> = {}
  const direction = (): Json =>
    rng.oneIn(4) ? { direction: 'DESC', nulls: rng.pick(['first', 'last']) } : rng.pick(['ASC', 'DESC'])
  for (const { propertyPath } of rng.oneIn(2) ? rng.some(comparable(metadata), 2) : [])
    put(order, propertyPath, direction())
  const single = followed(metadata).filter((relation) => !isList(relation))
  if (single.length > 0 && byRelation) {
    const { propertyPath, inverseEntityMetadata } = rng.pick(single)
    const column = rng.pick(comparable(inverseEntityMetadata))
    put(order, `${propertyPath}.${column.propertyPath}`, direction())
  }
  for (const { propertyPath } of metadata.primaryColumns) {
    // An object keeps the place of its first properties: what comes again stays where it was.
    if (!(propertyPath in order)) order[propertyPath] = rng.pick(['ASC', 'DESC'])
  }
  const lists = followed(metadata).filter((relation) => isList(relation) && relation.propertyPath in relations)
  if (lists.length > 0 && rng.oneIn(2)) {
    const { propertyPath, inverseEntityMetadata } = rng.pick(lists)
    for (const column of inverseEntityMetadata.primaryColumns)
      put(order, `${propertyPath}.${column.propertyPath}`, rng.pick(['ASC', 'DESC']))
  }
  return order as JsonObject // It is made of such.
}

function makeSelect(metadata: EntityMetadata, relations: JsonObject, rng: Rng): JsonObject {
  const select: Record<string, unknown> = {}
  for (const { propertyPath } of metadata.primaryColumns) put(select, propertyPath, true)
  for (const { propertyPath } of rng.some(comparable(metadata), 3)) put(select, propertyPath, true)
  for (const { propertyPath, inverseEntityMetadata } of followed(metadata)) {
    const below = relations[propertyPath]
    if (below === undefined) continue
    put(
      select,
      propertyPath,
      rng.oneIn(3) ? true : makeSelect(inverseEntityMetadata, below === true ? {} : (below as JsonObject), rng),
    )
  }
  return select as JsonObject // It is made of such.
}

function makeBuild(data: ShopData, rng: Rng, metadata: EntityMetadata): ShopOperation {
  const joins: Join[] = []
  const joined = new Map([['r', metadata]])
  const isSelecting = rng.oneIn(2)
  for (let count = rng.int(4); count > 0; count -= 1) {
    const [from, entity] = rng.pick([...joined])
    const relations = followed(entity)
    if (relations.length === 0) continue
    const { propertyPath, inverseEntityMetadata } = rng.pick(relations)
    if (joins.some(({ path }) => path === `${from}.${propertyPath}`)) continue
    const alias = `j${joins.length}`
    joins.push({ path: `${from}.${propertyPath}`, alias, isInner: rng.oneIn(2), isSelected: isSelecting })
    joined.set(alias, inverseEntityMetadata)
  }
  const where = (rng.oneIn(3) ? [] : rng.some([...joined], 2)).map(([alias, entity]) =>
    makeCondition(data, rng, alias, rng.pick(comparable(entity))),
  )
  const order = [...(rng.oneIn(2) ? [rng.pick(comparable(metadata))] : []), ...metadata.primaryColumns].map(
    ({ propertyPath }) => [`r.${propertyPath}`, rng.pick(['ASC', 'DESC'] as const)] as const,
  )
  const get = rng.weighted<Extract<ShopOperation, { do: 'build' }>['get']>([
    [5, () => 'getMany'],
    [3, () => 'getManyAndCount'],
    [1, () => 'getCount'],
    [2, () => 'getRawMany'],
    [1, () => 'getExists'],
  ])
  const page: JsonObject =
    get === 'getRawMany' || rng.oneIn(2) ? {} : { take: 1 + rng.int(6), ...(rng.oneIn(2) && { skip: rng.int(5) }) }
  return { do: 'build', entity: metadata.name, joins, where, order, page, get }
}

function makeCondition(data: ShopData, rng: Rng, alias: string, column: ColumnMetadata): Condition {
  const name = `${alias}.${column.propertyPath}`
  const value = data.valueOf(column, rng)
  if (value === null) return { column: name, operator: rng.pick(['IS NULL', 'IS NOT NULL']), value }
  const operator =
    column.enum || typeOf(column) === 'boolean' ? rng.pick(['=', '<>', 'IN']) : rng.pick(['=', '<>', '<', '>=', 'IN'])
  return { column: name, operator, value: operator === 'IN' ? [value, value] : value }
}

function makeLazy(data: ShopData, rng: Rng): ShopOperation {
  const relation = rng.pick(data.entities.flatMap(({ lazyRelations }) => lazyRelations))
  const { entityMetadata, propertyPath } = relation
  return {
    do: 'lazy',
    entity: entityMetadata.name,
    key: data.keyOf(entityMetadata, rng),
    relation: propertyPath,
  }
}
