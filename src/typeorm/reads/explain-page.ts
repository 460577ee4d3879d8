import type { FindManyOptions, ObjectLiteral } from 'typeorm'
import { explainPlan } from '../../planning/explain-plan'
import { type Explanation, explain } from '../../planning/explanation'
import { route } from '../../planning/read-plan'
import type { NodeStatement } from '../../planning/scatter-statement'
import type { Shard } from '../../topology/shard'
import { statementOn } from '../runners/statement-on'
import { type PageWork, planOfOne, planOverShards } from './find-page'
import type { ReadScope } from './find-query'

type Options = FindManyOptions<ObjectLiteral>

interface PageQuestion {
  readonly options: Options
  readonly work: PageWork
  /** Why these shards. */
  readonly reason: string
}

/** The plan of a page, without running it. @throws ShardedError CURSOR_INVALID, ORDER_UNSUPPORTED, COLLATION_DIFFERS */
export function explainPage(scope: ReadScope, { options, work, reason }: PageQuestion): Explanation {
  const { shards, binding } = scope
  const [only, another] = shards
  const about = {
    entity: binding.entity.name,
    operation: 'findPage',
    shards: Object.freeze(shards.map(({ name }) => name)),
    reason,
  }
  if (only && !another) {
    const { statement, isReloaded } = ofOne(scope, only, { options, work })
    return explain({
      ...about,
      plan: route([statement]),
      statements: [statement],
      steps: pageSteps(work, 1, isReloaded),
    })
  }
  const { plan, isReloaded } = planOverShards(scope, options, work)
  const { statements } = explainPlan(plan)
  return explain({ ...about, plan, statements, steps: pageSteps(work, statements.length, isReloaded) })
}

function ofOne(
  { access, binding }: ReadScope,
  shard: Shard,
  asked: Pick<PageQuestion, 'options' | 'work'>,
): { readonly statement: NodeStatement; readonly isReloaded: boolean } {
  const { dataSource } = access.runtime.handle(shard)
  const { builder, isReloaded } = planOfOne(dataSource, binding.metadata, asked)
  return { statement: statementOn(shard, builder), isReloaded }
}

const pageSteps = ({ request }: PageWork, statements: number, isReloaded: boolean): readonly string[] =>
  Object.freeze([
    ...(statements > 1 ? [`merge ${statements} sorted answers`] : []),
    `take ${request.take} rows, and tell by one more whether there are others`,
    ...(request.backwards ? ['turn the rows round'] : []),
    isReloaded ? 'load the entities of the page by primary key, one find a shard' : 'make entities of the page',
  ])
