import { askedKeys } from './key-statements'
import { visitOrdered } from './ordered-shards'
import { keysFirstOffset, pivotReach } from './page-strategy'
import { searchPivot } from './pivot-search'
import { assertNever, type Cut, type EntitiesPlan, type ReadPlan, type RoutePlan } from './read-plan'
import type { NodeStatement } from './scatter-statement'
import { visitStatements } from './visit-statements'

/** What a plan sends first, and what is then done with the rows in the application. */
export interface ExplainedPlan {
  /** Where the answers decide what follows, `steps` says so. */
  readonly statements: readonly NodeStatement[]
  readonly steps: readonly string[]
}

/** Explains a plan of a find: the fold beside `executeRead`. */
export function explainEntities(plan: EntitiesPlan): ExplainedPlan {
  const { statements, steps } = explainPlan(plan.source)
  return Object.freeze({ statements, steps: Object.freeze([...steps, loadStep(plan.load)]) })
}

/** How rows become entities. */
export const loadStep = (load: EntitiesPlan['load']): string =>
  load === 'by-key' ? 'load the entities of the page by primary key, one find a shard' : 'make entities of the page'

/** Explains a plan: the fold beside `executeRead`. */
export function explainPlan(plan: ReadPlan): ExplainedPlan {
  switch (plan.kind) {
    case 'route':
      return { statements: plan.statements, steps: [] }
    case 'merge':
    case 'shares':
      return {
        statements: plan.source.statements,
        steps: [
          ...mergeSteps(
            plan.source,
            plan.order.some(({ kind }) => kind === 'ranked'),
          ),
          ...cutSteps(plan),
        ],
      }
    case 'append':
      return { statements: plan.source.statements, steps: [...appendSteps(plan.source), ...cutSteps(plan)] }
    case 'visit': {
      const first = visitOrdered(plan.visit).next()
      return { statements: first.done ? [] : visitStatements(plan, first.value), steps: visitSteps(plan) }
    }
    case 'seek': {
      const first = searchPivot(plan.search).next()
      return { statements: first.done ? [] : askedKeys(plan.keys, first.value).statements, steps: seekSteps(plan) }
    }
    case 'load-by-key': {
      const { statements, steps } = explainPlan(plan.keys)
      return { statements, steps: [...steps, 'fetch the rows of the page by primary key, one statement a node'] }
    }
    case 'project':
      return explainPlan(plan.source)
    case 'finish':
      return {
        statements: plan.source.statements,
        steps: [plan.step, `ask node ${plan.statement.node}: ${plan.statement.text}`],
      }
    default:
      return assertNever(plan)
  }
}

const mergeSteps = ({ statements }: RoutePlan, isRanked: boolean): readonly string[] =>
  statements.length < 2
    ? []
    : [
        `merge ${statements.length} sorted answers`,
        ...(isRanked ? ['let the database rank the texts that only it can order'] : []),
      ]

const appendSteps = ({ statements }: RoutePlan): readonly string[] =>
  statements.length < 2 ? [] : [`append ${statements.length} answers in the order of the shards`]

const cutSteps = ({ offset, limit }: Cut): readonly string[] => [
  ...(offset > 0 ? [`skip ${offset} rows`] : []),
  ...(limit === undefined ? [] : [`take ${limit} rows`]),
]

const visitSteps = ({ offset, limit }: Cut): readonly string[] => [
  ...(offset > keysFirstOffset ? ['skip whole shards by their counts, with more shards counted as needed'] : []),
  'ask the next shards only where the page is short',
  ...(offset > 0 && offset <= keysFirstOffset ? [`skip ${offset} rows`] : []),
  `take ${limit} rows`,
]

const seekSteps = ({ offset, limit }: Cut): readonly string[] => [
  'choose pivots among the values found at these places',
  'count the rows before the pivots, one statement a node',
  `repeat until at most ${pivotReach(offset)} rows are left before the page`,
  `merge the keys from there on, and take ${limit}`,
]
