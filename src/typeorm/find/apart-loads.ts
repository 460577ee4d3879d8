import { type EntityMetadata, EntityPropertyNotFoundError, type FindManyOptions, type ObjectLiteral } from 'typeorm'
import type { RelationMetadata } from 'typeorm/metadata/RelationMetadata'
import { leadsApart, reachesApart } from '../binding/relation-apart'
import { keyPairs, linksOf } from '../binding/relation-keys'
import { isPlain } from './find-predicate'
import { loadsIdsApart } from './ids-apart'
import { type LoadNode, type LoadTree, loadTree, namedTree } from './load-tree'

type Options = FindManyOptions<ObjectLiteral>
type Strategy = 'join' | 'query'

/** A relation whose rows are loaded by a find of their own, by the keys of the rows that were loaded before. */
export interface ApartLoad {
  /** The joined relations by which the entity is reached that has the relation; none for the find's own. */
  readonly through: readonly RelationMetadata[]
  readonly relation: RelationMetadata
  /** What is found of the entity that the relation leads to: all but the condition. */
  readonly options: Options
  /** What of that is loaded apart in its turn. */
  readonly split: SplitFind
  /** The properties of all relations that are loaded of the entity, in the order in which TypeORM sets them. */
  readonly siblings: readonly string[]
}

/** A find in parts: one over rows that lie together, and those of what is loaded apart. */
export interface SplitFind {
  readonly strategy: Strategy
  /** The options of the find itself. */
  readonly own: Options
  /** Those by which the rows are counted. With `select`, TypeORM counts different values of all selected columns, also of related rows. */
  readonly counted: Options
  /** TypeORM would join, and so orders a page by the primary key last. */
  readonly isJoinedByTypeOrm: boolean
  readonly apart: readonly ApartLoad[]
}

/**
 * Takes out of find options what leads to rows elsewhere and is only loaded: in `relations`, or eager.
 *
 * @returns undefined where there is nothing of that kind, or where the options say more of such a relation than to load it: what then
 *   is neither local nor the statement engine's is refused (`check-relations.ts`)
 */
export function splitFind(metadata: EntityMetadata, options: Options): SplitFind | undefined {
  if (!reachesApart(metadata)) return undefined
  const strategy = options.relationLoadStrategy ?? metadata.dataSource.options.relationLoadStrategy
  if (strategy === 'query') return splitByQueries(metadata, options)
  const tree = loadTree(metadata, options)
  if (!tree || !leadsApartSomewhere(tree)) return undefined
  return splitJoined(metadata, { options, tree, isBelow: false })
}

/** The same for a find whose entities are loaded by their keys: that of `@RelationId` properties is apart too. */
export function splitKeyedFind(metadata: EntityMetadata, options: Options): SplitFind | undefined {
  const split = splitFind(metadata, options)
  if (split || !loadsIdsApart(metadata, options)) return split
  return { strategy: 'join', own: options, counted: options, isJoinedByTypeOrm: false, apart: [] }
}

/** Whether a find loads rows that lie elsewhere. */
export const leadsApartSomewhere = (tree: LoadTree): boolean =>
  [...tree.values()].some(({ relation, children }) => leadsApart(relation) || leadsApartSomewhere(children))

interface JoinedFind {
  readonly options: Options
  readonly tree: LoadTree
  /** It finds rows that a relation of others leads to: TypeORM joins what hangs on them by outer joins. */
  readonly isBelow: boolean
}

function splitJoined(metadata: EntityMetadata, find: JoinedFind): SplitFind | undefined {
  const { options, tree, isBelow } = find
  if (options.lock || options.cache || dependsOnLoads(metadata, options, tree)) return undefined
  const apart: ApartLoad[] = []
  const loading: Loading = { options, isBelow, apart }
  const kept = keepJoined(tree, loading, { through: [], select: options.select, isInner: true })
  if (!kept) return undefined
  const { relations: _relations, select: _select, order: _order, ...rest } = options
  const order = ownOrder(metadata, options, tree)
  // Of a joined find TypeORM writes no page of nothing.
  if (!options.skip && !options.take) {
    delete rest.skip
    delete rest.take
  }
  const own: Options = {
    ...rest,
    loadEagerRelations: false,
    relationLoadStrategy: 'join',
    relations: kept.relations,
    ...(kept.select !== undefined && { select: kept.select }),
    ...(order !== undefined && { order }),
  }
  const counted = apart.some((load) => load.options.select) ? options : own
  return { strategy: 'join', own, counted, isJoinedByTypeOrm: true, apart }
}

/** A tree of loads that is being divided. */
interface Loading {
  readonly options: Options
  readonly isBelow: boolean
  readonly apart: ApartLoad[]
}

interface Place {
  readonly through: readonly RelationMetadata[]
  /** What `select` says of the entity here. */
  readonly select: unknown
  /** The find reaches the entity by inner joins alone: where a row is missing, the row that is found is not found either. */
  readonly isInner: boolean
}

/** The loads that stay joined, as `relations` and `select` name them; the others are noted as loaded apart. */
function keepJoined(
  tree: LoadTree,
  loading: Loading,
  { through, select, isInner }: Place,
): { relations: ObjectLiteral; select: Options['select'] } | undefined {
  const relations: ObjectLiteral = {}
  const kept: unknown = isPlain(select) ? copyDeep(select) : select
  for (const [path, node] of tree) {
    const { relation, children } = node
    const selected = selectionOf(node, deepValue(select, path))
    if (isPlain(kept)) setDeep(kept, path, undefined)
    const isInnerHere = isInner && isInnerJoined(relation, loading.options)
    if (leadsApart(relation) || (isInnerHere && joinsOuter(relation, loading))) {
      // TypeORM sets nothing where no column of it is selected.
      if (isPlain(selected)) checkSelected(relation.inverseEntityMetadata, selected)
      if (isPlain(selected) && !selectsColumns(relation.inverseEntityMetadata, selected)) continue
      if (isInnerHere && !loading.isBelow && mayDangle(node, loading)) return undefined
      const load = apartLoad(node, selected, loading)
      if (!load) return undefined
      loading.apart.push({ ...load, through, siblings: [...tree.keys()] })
      continue
    }
    const inner = keepJoined(children, loading, {
      through: [...through, relation],
      select: selected,
      isInner: isInnerHere,
    })
    if (!inner) return undefined
    setDeep(relations, path, Object.keys(inner.relations).length > 0 ? inner.relations : true)
    if (isPlain(kept) && inner.select !== undefined) setDeep(kept, path, inner.select)
  }
  // What is selected of a condition of the options is of their type.
  return { relations, select: kept as Options['select'] }
}

/**
 * Whether TypeORM joins the relation by an outer join, since it reaches the entity by one, and a find of the entity would by an inner
 * one: that leaves out rows that refer to none, which no foreign key forbids.
 */
const joinsOuter = ({ createForeignKeyConstraints }: RelationMetadata, { isBelow }: Loading): boolean =>
  isBelow && !createForeignKeyConstraints

/** Whether TypeORM joins the relation by an inner join, where it has reached the entity by inner joins. */
const isInnerJoined = (relation: RelationMetadata, { withDeleted }: Options): boolean =>
  !relation.isNullable &&
  relation.isWithJoinColumn &&
  (!relation.inverseEntityMetadata.deleteDateColumn || withDeleted === true)

/** Whether an inner join may leave out a row of the find: no foreign key promises that there is what it refers to. */
const mayDangle = ({ relation, children }: LoadNode, loading: Loading): boolean =>
  !relation.createForeignKeyConstraints ||
  [...children.values()].some((node) => isInnerJoined(node.relation, loading.options) && mayDangle(node, loading))

function apartLoad(
  { relation, children }: LoadNode,
  select: unknown,
  { options }: Loading,
): Omit<ApartLoad, 'through' | 'siblings'> | undefined {
  if (!isFoundByKeys(relation)) return undefined
  const metadata = relation.inverseEntityMetadata
  const order: unknown = deepValue(options.order, relation.propertyPath)
  const found: Options = {
    ...(isPlain(select) && { select }),
    ...(isPlain(order) && { order }),
    ...(options.withDeleted !== undefined && { withDeleted: options.withDeleted }),
    ...(options.comment !== undefined && { comment: options.comment }),
  }
  const split = splitJoined(metadata, { options: found, tree: children, isBelow: true })
  return split && { relation, options: found, split: { ...split, isJoinedByTypeOrm: false } }
}

const isFoundByKeys = (relation: RelationMetadata): boolean => (keyPairs(relation) ?? linksOf(relation)) !== undefined

/** Tables of the entities whose eager relations have led to an entity: TypeORM follows no circle of them. */
type EagerChain = ReadonlySet<string | undefined>

/** TypeORM's strategy `query` loads each relation by a query of its own: they are all loaded apart, where one of them leads apart. */
function splitByQueries(metadata: EntityMetadata, options: Options): SplitFind | undefined {
  const loads = queryLoads(metadata, options, new Set())
  if (!loads?.some((load) => hasApart(load))) return undefined
  return withoutRelations(metadata, options, loads)
}

function withoutRelations(
  metadata: EntityMetadata,
  options: Options,
  apart: readonly ApartLoad[],
): SplitFind | undefined {
  const tree = new Map(
    apart.map(({ relation }): [string, LoadNode] => [
      relation.propertyPath,
      { relation, isNamed: true, isWhole: false, children: new Map() },
    ]),
  )
  // By `select` the keys are left out by which TypeORM finds what belongs together.
  if (options.lock || options.cache || options.select || dependsOnLoads(metadata, options, tree)) return undefined
  const { relations: _relations, order: _order, ...rest } = options
  const order = ownOrder(metadata, options, tree)
  const own: Options = { ...rest, loadEagerRelations: false, ...(order !== undefined && { order }) }
  return { strategy: 'query', own, counted: own, isJoinedByTypeOrm: false, apart }
}

const hasApart = ({ relation, split }: ApartLoad): boolean =>
  leadsApart(relation) || split.apart.some((load) => hasApart(load))

function queryLoads(metadata: EntityMetadata, options: Options, chain: EagerChain): readonly ApartLoad[] | undefined {
  const named = namedTree(metadata, options.relations)
  if (!named) return undefined
  const relations = new Set([...named.values()].map(({ relation }) => relation))
  if (options.loadEagerRelations !== false) for (const eager of metadata.eagerRelations) relations.add(eager)
  const siblings = [...relations].map(({ propertyPath }) => propertyPath)
  const loads: ApartLoad[] = []
  for (const relation of relations) {
    const inverse = relation.inverseEntityMetadata
    if (relation.isEager && chain.has(inverse.tablePath)) continue
    const eager: EagerChain = relation.isEager ? new Set([...chain, relation.entityMetadata.tablePath]) : new Set()
    const below: Options = {
      ...pick(options, ['withDeleted', 'relationLoadStrategy', 'loadEagerRelations']),
      ...nestedOption(options, 'order', relation),
      ...nestedOption(options, 'relations', relation),
    }
    if (!isFoundByKeys(relation) || joinsDeleted(relation, options)) return undefined
    const inner = queryLoads(inverse, below, eager)
    const split = inner && withoutRelations(inverse, below, inner)
    if (!split) return undefined
    loads.push({ through: [], relation, options: below, split, siblings })
  }
  return loads
}

/**
 * Whether TypeORM's query of a relation joins the rows that have it, and leaves out those that are softly deleted, which the find gives:
 * what such a row has there depends on whether another one refers to the same.
 */
const joinsDeleted = (
  { isManyToOne, isOneToOneOwner, entityMetadata }: RelationMetadata,
  { withDeleted }: Options,
): boolean => (isManyToOne || isOneToOneOwner) && withDeleted === true && entityMetadata.deleteDateColumn !== undefined

function nestedOption(options: Options, name: 'order' | 'relations', { propertyPath }: RelationMetadata): Options {
  const value: unknown = deepValue(options[name], propertyPath)
  return isPlain(value) ? { [name]: value } : {}
}

const pick = (options: Options, names: readonly (keyof Options)[]): Options =>
  Object.fromEntries(names.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])))

/**
 * True where a condition or an order says something of what is loaded apart that the find itself cannot do without it: a
 * condition on a to-many relation leaves out rows that are loaded, an order by one is an order of pairs.
 */
function dependsOnLoads(metadata: EntityMetadata, options: Options, tree: LoadTree): boolean {
  const branches = Array.isArray(options.where) ? options.where : [options.where]
  return (
    branches.some((branch) => meetsToMany(metadata, branch, tree)) ||
    (ownOrder(metadata, options, tree) === undefined && options.order !== undefined)
  )
}

function meetsToMany(metadata: EntityMetadata, where: unknown, tree: LoadTree, prefix = ''): boolean {
  if (!isPlain(where)) return false
  return Object.entries(where).some(([name, value]) => {
    const path = prefix + name
    if (metadata.findEmbeddedWithPropertyPath(path)) return meetsToMany(metadata, value, tree, `${path}.`)
    const node = tree.get(path)
    if (!node || !isPlain(value)) return false
    const { relation, children } = node
    if (leadsApart(relation) && (relation.isOneToMany || relation.isManyToMany)) return true
    return meetsToMany(relation.inverseEntityMetadata, value, children)
  })
}

/**
 * The order of the find itself: without what is loaded apart, where the terms before it have put the rows into a total order. What
 * comes after that only orders the rows that are loaded.
 *
 * @returns undefined where there is none, or where it needs the rows that are loaded apart
 */
function ownOrder(metadata: EntityMetadata, { order, where, skip, take }: Options, tree: LoadTree): Options['order'] {
  if (!isPlain(order)) return undefined
  const own: ObjectLiteral = {}
  const missing = new Set(metadata.primaryColumns.map(({ propertyPath }) => propertyPath))
  if (isPlain(where)) for (const path of [...missing]) if (isScalar(deepValue(where, path))) missing.delete(path)
  // TypeORM takes a page of such an order of pairs: the first of them is of the first row.
  const isPaired = missing.size > 0 && (Boolean(skip) || (take !== undefined && take > 1))
  for (const [name, value] of Object.entries(order)) {
    const relation = metadata.findRelationWithPropertyPath(name)
    if (relation && leadsApart(relation)) {
      if (missing.size > 0 || ((relation.isOneToMany || relation.isManyToMany) && isPaired) || !tree.has(name))
        return undefined
      continue
    }
    if (relation && !relation.isManyToMany && isPlain(value) && ordersApart(relation, value, tree)) return undefined
    missing.delete(name)
    own[name] = value
  }
  // A part of an order is of its type.
  return own as Options['order']
}

function ordersApart(relation: RelationMetadata, order: ObjectLiteral, tree: LoadTree): boolean {
  const metadata = relation.inverseEntityMetadata
  return Object.entries(order).some(([name, value]) => {
    const inner = metadata.findRelationWithPropertyPath(name)
    if (!inner || !isPlain(value)) return false
    return leadsApart(inner) || ordersApart(inner, value, tree)
  })
}

/** A value that a primary key is compared with: one row has it. */
const isScalar = (value: unknown): boolean => ['string', 'number', 'bigint'].includes(typeof value)

/** What is selected of an entity that a relation leads to; undefined: all of its columns. */
function selectionOf({ relation, isNamed, isWhole }: LoadNode, select: unknown): unknown {
  if (!isWhole) return select
  if (!isNamed || !isPlain(select)) return undefined
  const metadata = relation.inverseEntityMetadata
  const below = Object.entries(select).filter(([name]) => metadata.findRelationWithPropertyPath(name))
  if (below.length === 0) return undefined
  const whole: ObjectLiteral = Object.fromEntries(below)
  for (const column of metadata.columns)
    if (column.isSelect && !column.isVirtual) setDeep(whole, column.propertyPath, true)
  return whole
}

/** @throws EntityPropertyNotFoundError where TypeORM does, whether or not there are rows to be loaded */
function checkSelected(metadata: EntityMetadata, select: ObjectLiteral, prefix = ''): void {
  for (const [name, value] of Object.entries(select)) {
    if (value === undefined || value === false) continue
    const path = prefix + name
    if (metadata.findEmbeddedWithPropertyPath(path)) {
      if (isPlain(value)) checkSelected(metadata, value, `${path}.`)
    } else if (!metadata.findColumnWithPropertyPathStrict(path) && !metadata.findRelationWithPropertyPath(path))
      throw new EntityPropertyNotFoundError(path, metadata)
  }
}

function selectsColumns(metadata: EntityMetadata, select: ObjectLiteral, prefix = ''): boolean {
  return Object.entries(select).some(([name, value]) => {
    if (value === undefined || value === false) return false
    const path = prefix + name
    if (metadata.findColumnWithPropertyPathStrict(path)) return true
    return (
      metadata.findEmbeddedWithPropertyPath(path) !== undefined &&
      isPlain(value) &&
      selectsColumns(metadata, value, `${path}.`)
    )
  })
}

const deepValue = (object: unknown, path: string): unknown =>
  path.split('.').reduce<unknown>((value, name) => (isPlain(value) ? value[name] : undefined), object)

const copyDeep = (object: ObjectLiteral): ObjectLiteral =>
  Object.fromEntries(Object.entries(object).map(([name, value]) => [name, isPlain(value) ? copyDeep(value) : value]))

/** Sets what stands at a path, or takes it away. */
function setDeep(object: ObjectLiteral, path: string, value: unknown): void {
  const names = path.split('.')
  const last = names.pop() ?? path
  let at = object
  for (const name of names) {
    const next: unknown = at[name]
    if (isPlain(next)) at = next
    else if (value === undefined) return
    else {
      const made: ObjectLiteral = {}
      at[name] = made
      at = made
    }
  }
  if (value === undefined) delete at[last]
  else at[last] = value
}
