import { LRUCache } from 'lru-cache'
import type { ObjectLiteral } from 'typeorm'
import { copyWith } from '../../collections/copy-with'
import { rowBudgetOf } from '../../execution/operation'
import { explainEntities } from '../../planning/explain-plan'
import { mapParameters } from '../../planning/map-parameters'
import { planPage } from '../../planning/plan-page'
import type { EntitiesPlan } from '../../planning/read-plan'
import type { NodeSortFacts } from '../../query/node-sort-facts'
import { isRefusedPage, pageOf } from '../../query/page'
import type { PageQuery, ShardOrder } from '../../query/page-query'
import { shardsInKeyOrder } from '../../topology/unit-owners'
import { ordersAsDatabase } from '../../values/compare-keys'
import type { EntityBinding } from '../binding/entity-binding'
import { knownType, sortColumn, typesVersion } from '../binding/sort-column'
import type { ArmQueryBuilder } from '../find/arm-query-builder'
import { FindArms } from './find-arms'
import { type FindOptions, type FindScope, factsOf, newBuilder, type ReadScope } from './find-scope'
import { type FindShape, fillSlots, findShape, ShapeCaches } from './find-shape'
import { narrowing } from './shard-arms'

/** A find over several shards, planned, and how TypeORM makes entities of its rows. */
export interface PlannedFind {
  readonly plan: EntitiesPlan
  /** Of the arms: it makes entities of the rows, or of their primary keys. */
  readonly builder: ArmQueryBuilder<ObjectLiteral>
  readonly isPaged: boolean
}

/** A plan of a shape, with slots for the values of the conditions. */
interface CachedPlan extends PlannedFind {
  /** The find options of the shape, with the slots. */
  readonly template: FindOptions
  /** How the nodes sorted when the plan was made. */
  readonly facts: readonly NodeSortFacts[]
  /** `typesVersion` when the plan was made. */
  readonly types: number
}

/** Letters of the cached plans of an entity, at most: a merge of 16 shards has some twenty thousand. */
const maxLetters = 4_000_000

const cachedPlans = new ShapeCaches<CachedPlan>(
  () => new LRUCache({ maxSize: maxLetters, sizeCalculation: ({ plan }, key) => key.length + lettersOf(plan) }),
)

/**
 * Plans a find over several shards. A find of the same shape over the same shards takes the cached plan, with the values of
 * its own conditions: TypeORM makes its SQL anew for each find, which takes longer than all that is done to it.
 *
 * @throws ShardedError ORDER_UNSUPPORTED, COLLATION_DIFFERS, PAGE_TOO_DEEP
 */
export function planFind(scope: ReadScope, options: FindOptions): PlannedFind {
  // Of a page that PostgreSQL refuses no plan is remembered: such a find is one shard's.
  const isCached = !isRefusedPage(options) && !narrowing(scope, options)
  const shape = isCached ? findShape(scope.binding, options) : undefined
  return shape ? withValues(planOfShape(scope, shape), shape) : planAnew(scope, options)
}

/**
 * Plans a find of a shape whose plan is remembered, as often as it is asked: the values are those of the call, and nothing else of
 * its options is read any more.
 *
 * @returns undefined where none is remembered, and where the rows have but the keys of what is to be loaded
 */
export function knownPlan(scope: ReadScope, shape: FindShape): (() => PlannedFind) | undefined {
  const known = cachedPlans.of(scope.binding).get(keyOf(scope, shape))
  if (!known || known.plan.load === 'by-key') return undefined
  const own: FindShape = { ...shape, template: () => known.template }
  return () => withValues(planOfShape(scope, own), shape)
}

function withValues(cached: CachedPlan, { values }: FindShape): PlannedFind {
  if (values.length === 0) return cached
  const source = mapParameters(cached.plan.source, (parameters) => fillSlots(parameters, values))
  return { plan: copyWith(cached.plan, { source }), builder: cached.builder, isPaged: cached.isPaged }
}

function planAnew({ access, binding, shards }: ReadScope, options: FindOptions): PlannedFind {
  // A cached plan outlives the operation: it must not hold the transaction of one.
  const scope: FindScope = { access: { runtime: access.runtime }, binding, shards }
  const query = findQuery(scope, options, rowBudgetOf(access.operation))
  const plan = planPage(query)
  return { plan, builder: query.arms.hydrator, isPaged: query.arms.isPaged }
}

/** Lowers find options to what the planner reads. @throws ShardedError ORDER_UNSUPPORTED, COLLATION_DIFFERS, once arms are made */
export function findQuery(
  scope: FindScope,
  options: FindOptions,
  rowBudget: number,
): PageQuery & { readonly arms: FindArms } {
  const builder = newBuilder(scope, options)
  const { writtenPage } = builder
  const page = pageOf(writtenPage)
  const isPaged = writtenPage.skip !== undefined || writtenPage.take !== undefined
  return Object.freeze({
    entity: scope.binding.entity.name,
    shards: scope.shards,
    page,
    givesKeys: builder.needsReload,
    isOrdered: Object.keys(builder.expressionMap.allOrderBys).length > 0,
    rowBudget,
    shardOrder: page.limit ? shardOrder(scope, builder) : undefined,
    arms: new FindArms(scope, options, { builder, isPaged }),
  })
}

/**
 * The order of the shards under the builder's order, where its first term is the shard key and each shard owns one
 * interval of it. Rows with one key lie on one shard, so the terms after the key do not matter; a shard key is never NULL.
 *
 * @returns undefined where the shards' rows interleave
 */
function shardOrder(scope: FindScope, builder: ArmQueryBuilder<ObjectLiteral>): ShardOrder | undefined {
  const { binding, shards } = scope
  const { unitsInKeyOrder } = binding.entity.fn
  const [column, another] = binding.keyColumns
  if (!unitsInKeyOrder || !column || another) return undefined
  const [first] = Object.entries(builder.expressionMap.allOrderBys)
  if (first?.[0] !== `${builder.alias}.${column.propertyPath}`) return undefined
  if (!sortsByKey(scope, binding)) return undefined
  const inOrder = shardsInKeyOrder(binding.owners, unitsInKeyOrder)
  if (!inOrder) return undefined
  const descending = (typeof first[1] === 'string' ? first[1] : first[1].order) === 'DESC'
  const asked = new Set(shards.map((shard) => shard.index))
  const route = inOrder.filter((index) => asked.has(index))
  return {
    shards: descending ? route.reverse() : route,
    reason: `the shards follow each other in the order of ${column.propertyPath}`,
  }
}

/** True where the database sorts the key column as the sharding function orders its keys. */
function sortsByKey(scope: FindScope, { entity, keyColumns }: EntityBinding): boolean {
  const [column] = keyColumns
  const type = entity.keyColumns[0]?.type
  if (!column || !type) return false
  if (ordersAsDatabase(type)) return true
  return (
    type === 'text' && knownType(column).kind === 'base' && sortColumn(column, factsOf(scope)).kind === 'codepoints'
  )
}

function planOfShape(scope: ReadScope, shape: FindShape): CachedPlan {
  const plans = cachedPlans.of(scope.binding)
  const key = keyOf(scope, shape)
  const known = plans.get(key)
  if (
    known?.types === typesVersion &&
    known.facts.every((one) => one === scope.access.runtime.pool(one.node).sortFacts)
  )
    return known
  const template = shape.template()
  const { plan, builder, isPaged } = planAnew(scope, template)
  const made: CachedPlan = Object.freeze({
    plan,
    builder,
    isPaged,
    template,
    facts: factsOf(scope),
    types: typesVersion,
  })
  plans.set(key, made)
  return made
}

/** The row budget decides whether a deep page is refused. */
const keyOf = (scope: ReadScope, { key }: FindShape): string =>
  `${placesOf(scope)} ${rowBudgetOf(scope.access.operation)} ${key}`

const lettersOf = (plan: EntitiesPlan): number =>
  explainEntities(plan).statements.reduce((sum, { text }) => sum + text.length, 0)

/** The shards of the find, by their indexes. */
const placesOf = ({ binding, shards }: ReadScope): string =>
  shards.length === binding.shards.length ? 'all' : shards.map((shard) => shard.index).join()
