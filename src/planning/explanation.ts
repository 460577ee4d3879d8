import type { PageStrategyChoice } from './page-strategy'
import type { EntitiesPlan, ReadPlan } from './read-plan'
import type { NodeStatement } from './scatter-statement'
import type { WritePlan } from './write-plan'

/** The plan of one operation, as frozen data and as text. */
export interface Explanation {
  readonly entity: string
  readonly operation: string
  readonly shards: readonly string[]
  /** Why these shards. */
  readonly reason: string
  /** How the rows of the page are found, and why so: of finds. */
  readonly page?: PageStrategyChoice
  /** The plan that runs, as data; undefined for a statement whose parts decide what follows. */
  readonly plan?: EntitiesPlan | ReadPlan | WritePlan
  /** What is sent first; where the answers decide what follows, `steps` says so. */
  readonly statements: readonly NodeStatement[]
  /** What is done with the statements' rows here, in order. */
  readonly steps: readonly string[]
  /** All of it, one thing a line. */
  readonly text: string
}

export function explain(plan: Omit<Explanation, 'text'>): Explanation {
  const shards =
    plan.shards.length > 8 ? `${plan.shards.slice(0, 8).join(', ')}, … (${plan.shards.length})` : plan.shards.join(', ')
  const lines = [
    `${plan.operation} ${plan.entity}`,
    `route: ${shards}`,
    `  because ${plan.reason}`,
    ...(plan.page ? [`page: ${plan.page.strategy}`, `  because ${plan.page.reason}`] : []),
    ...plan.statements.map(
      (one) => `node ${one.node} [${one.shards.length} shard(s)]: ${one.text}${parametersText(one.parameters)}`,
    ),
    ...plan.steps.map((step) => `here: ${step}`),
  ]
  return Object.freeze({ ...plan, text: lines.join('\n') })
}

function parametersText(parameters: readonly unknown[]): string {
  if (parameters.length === 0) return ''
  const shown = parameters
    .slice(0, 10)
    .map((value) => JSON.stringify(typeof value === 'bigint' ? String(value) : value))
  return ` -- [${shown.join(', ')}${parameters.length > 10 ? ', …' : ''}]`
}
