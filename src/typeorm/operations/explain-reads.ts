import type { FindManyOptions, ObjectLiteral, SelectQueryBuilder } from 'typeorm'
import { bindShardNames } from '../../planning/bind-shard-names'
import { type Explanation, explain, explainEntities, explainPlan, loadStep } from '../../planning/explain-plan'
import { passThrough } from '../../planning/page-strategy'
import { route } from '../../planning/read-plan'
import type { NodeStatement } from '../../planning/scatter-statement'
import type { Shard } from '../../topology/shard'
import { type SplitFind, splitFind } from '../find/apart-loads'
import { followsApart } from '../find/check-relations'
import { loadsIdsApart } from '../find/ids-apart'
import { optionsAtCall } from '../find/options-at-call'
import { isWholeRead } from '../find/whole-reads'
import { type PageWork, planOfOne, planOverShards } from '../reads/find-page'
import { planFind } from '../reads/plan-find'
import { type OperationContext, routeRead } from './operation-context'
import { checkLocal } from './sharded-streams'

/** The plan of a find, without running it. */
export async function explainRead(
  context: OperationContext,
  given: FindManyOptions<ObjectLiteral>,
): Promise<Explanation> {
  const { access, binding } = context
  const { metadata } = binding
  const asked = await optionsAtCall(metadata, given)
  const split = splitFind(metadata, asked)
  const options = split?.own ?? asked
  const leaves = followsApart(binding, options) || loadsIdsApart(metadata, options)
  const { shards, reason, routed } = await routeRead(context, 'find', options)
  // A find in parts goes by the statement engine.
  if (split || leaves || isWholeRead(metadata, routed, shards.length)) {
    const explained = await context.whole.explain(metadata.target, routed)
    const steps = Object.freeze([...explained.steps, ...apartSteps(split)])
    return explain({ ...explained, operation: 'find', steps })
  }
  const about = { ...aboutRead(context, shards), operation: 'find', reason }
  const [only, another] = shards
  if (only && !another) {
    const builder = access.runtime.managerOf(only).createQueryBuilder<ObjectLiteral>(metadata.target, metadata.name)
    const statements = [statementOn(only, builder.setFindOptions(routed))]
    return explain({ ...about, page: passThrough, plan: route(statements), statements, steps: [] })
  }
  const { plan } = planFind({ access, binding, shards }, routed)
  return explain({ ...about, page: plan.page, plan, ...explainEntities(plan) })
}

/** The plan of a page, without running it. @throws ShardedError CURSOR_INVALID, ORDER_UNSUPPORTED, COLLATION_DIFFERS */
export async function explainPageRead(context: OperationContext, work: PageWork): Promise<Explanation> {
  const { access, binding } = context
  const given = await optionsAtCall(binding.metadata, work.request.find)
  const split = splitFind(binding.metadata, given)
  const own = split?.own ?? given
  checkLocal(context, own)
  const { shards, reason, routed: options } = await routeRead(context, 'findPage', own)
  const { plan, isReloaded } = planOfPage()
  const { statements } = explainPlan(plan)
  const steps = [...pageSteps(work, statements.length, isReloaded), ...apartSteps(split)]
  return explain({ ...aboutRead(context, shards), operation: 'findPage', reason, plan, statements, steps })

  function planOfPage() {
    const [only, another] = shards
    if (!only || another) return planOverShards({ access, binding, shards }, options, work)
    const { dataSource } = access.runtime.handle(only)
    const { builder, isReloaded } = planOfOne(dataSource, binding.metadata, { options, work })
    return { plan: route([statementOn(only, builder)]), isReloaded }
  }
}

const aboutRead = ({ binding }: OperationContext, shards: readonly Shard[]) => ({
  entity: binding.entity.name,
  shards: Object.freeze(shards.map(({ name }) => name)),
})

/** What is loaded of rows elsewhere, level after level. */
const apartSteps = (split: SplitFind | undefined): readonly string[] =>
  (split?.apart ?? []).flatMap(({ relation, split: below }) => [
    `load ${relation.entityMetadata.name}.${relation.propertyPath} by its keys, from the nodes that own them`,
    ...apartSteps(below),
  ])

const pageSteps = ({ request }: PageWork, statements: number, isReloaded: boolean): readonly string[] =>
  Object.freeze([
    ...(statements > 1 ? [`merge ${statements} sorted answers`] : []),
    `take ${request.take} rows, and tell by one more whether there are others`,
    ...(request.backwards ? ['turn the rows round'] : []),
    loadStep(isReloaded ? 'by-key' : 'rows'),
  ])

/** The statement of a builder as it is sent to one shard. */
function statementOn(shard: Shard, builder: SelectQueryBuilder<ObjectLiteral>): NodeStatement {
  const [text, parameters] = builder.getQueryAndParameters()
  return { node: shard.node, shards: [shard.name], text: bindShardNames(text, shard), parameters }
}
