import { LRUCache } from 'lru-cache'
import type { ObjectLiteral } from 'typeorm'
import { CachesOf } from '../../collections/caches-of'
import { copyWith } from '../../collections/copy-with'
import { rowBudgetOf } from '../../execution/operation'
import { explainEntities } from '../../planning/explain-plan'
import { mapParameters } from '../../planning/map-parameters'
import { planPage } from '../../planning/plan-page'
import type { EntitiesPlan } from '../../planning/read-plan'
import type { NodeSortFacts } from '../../query/node-sort-facts'
import type { EntityBinding } from '../binding/entity-binding'
import { typesVersion } from '../binding/sort-column'
import type { ArmQueryBuilder } from '../find/arm-query-builder'
import { findQuery, type ReadScope } from './find-query'
import { type FindOptions, factsOf } from './find-scope'
import { type FindShape, fillSlots, findShape } from './find-shape'
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
  /** How the nodes sorted when the plan was made. */
  readonly facts: readonly NodeSortFacts[]
  /** `typesVersion` when the plan was made. */
  readonly types: number
}

/** Letters of the cached plans of an entity, at most: a merge of 16 shards has some twenty thousand. */
const maxLetters = 4_000_000

const cachedPlans = new CachesOf<EntityBinding, CachedPlan>(
  () => new LRUCache({ maxSize: maxLetters, sizeCalculation: ({ plan }, key) => key.length + lettersOf(plan) }),
)

/**
 * Plans a find over several shards. A find of the same shape over the same shards takes the cached plan, with the values of
 * its own conditions: TypeORM makes its SQL anew for each find, which takes longer than all that is done to it.
 *
 * @throws ShardedError ORDER_UNSUPPORTED, COLLATION_DIFFERS, PAGE_TOO_DEEP
 */
export function planFind(scope: ReadScope, options: FindOptions): PlannedFind {
  const shape = narrowing(scope, options) ? undefined : findShape(scope.binding, options)
  if (!shape) return planAnew(scope, options)
  const cached = planOfShape(scope, shape)
  const { values } = shape
  if (values.length === 0) return cached
  const source = mapParameters(cached.plan.source, (parameters) => fillSlots(parameters, values))
  return { plan: copyWith(cached.plan, { source }), builder: cached.builder, isPaged: cached.isPaged }
}

function planAnew(scope: ReadScope, options: FindOptions): PlannedFind {
  const { access, binding, shards } = scope
  // A cached plan outlives the operation: it must not hold the transaction of one.
  const query = findQuery(
    { access: { runtime: access.runtime }, binding, shards },
    options,
    rowBudgetOf(access.operation),
  )
  const plan = planPage(query)
  return { plan, builder: query.arms.hydrator, isPaged: query.arms.isPaged }
}

function planOfShape(scope: ReadScope, shape: FindShape): CachedPlan {
  const plans = cachedPlans.of(scope.binding)
  // The budget decides whether a deep page is refused.
  const key = `${placesOf(scope)} ${rowBudgetOf(scope.access.operation)} ${shape.key}`
  const facts = factsOf(scope)
  const known = plans.get(key)
  if (known?.types === typesVersion() && known.facts.every((one, index) => one === facts[index])) return known
  const { plan, builder, isPaged } = planAnew(scope, shape.template())
  const made: CachedPlan = Object.freeze({ plan, builder, isPaged, facts, types: typesVersion() })
  plans.set(key, made)
  return made
}

const lettersOf = (plan: EntitiesPlan): number =>
  explainEntities(plan).statements.reduce((sum, { text }) => sum + text.length, 0)

/** The shards of the find, by their indexes. */
const placesOf = ({ binding, shards }: ReadScope): string =>
  shards.length === binding.shards.length ? 'all' : shards.map((shard) => shard.index).join()
