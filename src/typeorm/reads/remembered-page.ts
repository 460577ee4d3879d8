import { LRUCache } from 'lru-cache'
import { CachesOf } from '../../collections/caches-of'
import type { NodeSortFacts } from '../../planning/node-sort-facts'
import type { NodeStatement } from '../../planning/scatter-statement'
import type { EntityBinding } from '../binding/entity-binding'
import { type FindShape, fillSlots, findShape } from './find-shape'
import { type PagePlan, planPage } from './offset-page'
import {
  type FindOptions,
  factsOf,
  isStillTried,
  narrowing,
  runScatter,
  type ScatterPlan,
  type ScatterScope,
} from './scatter-rows'

/** A merge of a shape, planned with slots for the values of its conditions. */
interface RememberedMerge {
  readonly scatter: ScatterPlan
  /** By which the plan chose how to merge. */
  readonly facts: readonly NodeSortFacts[]
}

/** Letters of the remembered plans of an entity, at most: a merge of 16 shards has some twenty thousand. */
const maxLetters = 4_000_000

/** What a find weighs that is known to be planned anew each time: it has another strategy than the merge. */
const lettersOfNothing = 100

const remembered = new CachesOf<EntityBinding, RememberedMerge | 'planned each time'>(
  () =>
    new LRUCache({
      maxSize: maxLetters,
      sizeCalculation: (plan, key) =>
        key.length + (plan === 'planned each time' ? lettersOfNothing : lettersOf(plan.scatter)),
    }),
)

/**
 * As `planPage`; but where a find of the same shape over the same shards was planned before, its statements are used again
 * with the values of this one. TypeORM makes its SQL anew for each find, which takes longer than all that is done to it.
 */
export function rememberedPage(scope: ScatterScope, options: FindOptions): Pick<PagePlan, 'page' | 'rows'> {
  const shape = findShape(scope.binding, options)
  if (!shape || narrowing(scope, options)) return planPage(scope, options)
  const merge = mergeOf(scope, shape)
  if (merge === 'planned each time') return planPage(scope, options)
  const { scatter } = merge
  const { page, builder } = scatter
  const { values } = shape
  const statements = values.length > 0 ? scatter.statements.map((one) => withValues(one, values)) : scatter.statements
  const rows = () => runScatter(scope, { ...scatter, statements, options })
  return { page, rows: async () => ({ builder, rows: await rows(), isKeys: builder.needsReload }) }
}

function mergeOf(scope: ScatterScope, shape: FindShape): RememberedMerge | 'planned each time' {
  const { binding } = scope
  const plans = remembered.of(binding)
  // The budget decides whether a deep page is refused.
  const key = `${placesOf(scope)} ${scope.access.limits.rowBudget} ${shape.key}`
  const facts = factsOf(scope)
  const known = plans.get(key)
  if (known && (known === 'planned each time' || isCurrent(scope, known, facts))) return known
  const { scatter } = planPage(scope, shape.template())
  const made = scatter ? { scatter, facts } : 'planned each time'
  plans.set(key, made)
  return made
}

const lettersOf = ({ statements }: ScatterPlan): number => statements.reduce((sum, { text }) => sum + text.length, 0)

/** The shards of the find, by their indexes. */
const placesOf = ({ binding, shards }: ScatterScope): string =>
  shards.length === binding.shards.length ? 'all' : shards.map((shard) => shard.index).join()

const isCurrent = (scope: ScatterScope, { scatter, facts }: RememberedMerge, now: readonly NodeSortFacts[]): boolean =>
  facts.every((one, index) => one === now[index]) && isStillTried(scope, scatter)

const withValues = (statement: NodeStatement, values: readonly unknown[]): NodeStatement =>
  Object.freeze({
    ...statement,
    parameters: Object.freeze(fillSlots(statement.parameters, values)),
  })
