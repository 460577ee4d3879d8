import type { WriteAnswer } from '../query/write-query'
import { bindShardNames } from './bind-shard-names'
import type { GatherInput, GatherPlan, InputSource } from './gather-plan'
import { visitOrdered } from './ordered-shards'
import { keysFirstOffset, type PageStrategyChoice, pivotReach } from './page-strategy'
import { searchPivot } from './pivot-search'
import { askedKeys, visitStatements } from './question-statements'
import { assertNever, type Cut, type EntitiesPlan, type ReadPlan, type RoutePlan } from './read-plan'
import type { NodeStatement } from './scatter-statement'
import type { MovePlan, TransactionPlan, WriteParts, WritePlan } from './write-plan'

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

/** Explains a gather: the fold beside `executeGather`. */
export function explainGather({ inputs, statement: { node, text }, many }: GatherPlan): ExplainedPlan {
  const parts = inputs.map(({ source }) => explainSource(source))
  return Object.freeze({
    statements: Object.freeze(parts.flatMap(({ statements }) => statements)),
    steps: Object.freeze([
      ...inputs.flatMap((input, index) => [copyStep(input, inputs), ...(parts[index]?.steps ?? [])]),
      ...(many ? [`where these are more than ${many.from} rows, put them into temporary tables of node ${node}`] : []),
      `ask node ${node}: ${text}`,
    ]),
  })
}

/** Explains how one table of a gather is read. */
export const explainSource = (source: InputSource): ExplainedPlan =>
  source.kind === 'home' ? { statements: [], steps: [`ask node ${source.node}: ${source.text}`] } : explainPlan(source)

/** What is read of one table of a gather. @param inputs all tables, by whose values others may be read */
export function copyStep({ table, expected, reduced }: GatherInput, inputs: readonly GatherInput[]): string {
  const rows = expected === undefined ? 'the rows' : `about ${expected} rows`
  const by = [...new Set(reduced?.keys.map(({ input }) => inputs[input]?.table))]
  return `copy ${rows} of ${table}${by.length > 0 ? `, those with values of ${by.join(' and ')} where these are few` : ''}`
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

/** Explains the plan of a write: the fold beside `executeWrite`. */
export function explainWrite(plan: WritePlan): ExplainedPlan {
  switch (plan.kind) {
    case 'write':
      return { statements: statementsOf(plan), steps: partsSteps(plan) }
    case 'move':
      return { statements: [], steps: moveSteps(plan) }
    case 'transaction': {
      const { statements, steps } = explainWrite(plan.source)
      return { statements, steps: [...steps, ...transactionSteps(plan)] }
    }
    case 'lookups': {
      const { statements, steps } = explainWrite(plan.source)
      return { statements, steps: [...steps, 'write to lookups what has changed'] }
    }
    case 'sequence':
      return { statements: plan.first, steps: [plan.step] }
    default:
      return assertNever(plan)
  }
}

/** The shards that a plan writes; of a sequence, the answers decide which of these are written. */
export function writtenShards(plan: WritePlan): readonly string[] {
  switch (plan.kind) {
    case 'write':
      return plan.by === 'typeorm' ? plan.shards.map(({ name }) => name) : plan.arms.map(({ shard }) => shard.name)
    case 'move':
      return plan.shards.map(({ name }) => name)
    case 'transaction':
    case 'lookups':
      return writtenShards(plan.source)
    case 'sequence':
      return [...new Set(plan.first.flatMap(({ shards }) => shards))]
    default:
      return assertNever(plan)
  }
}

/** TypeORM makes its statements while they run. */
function statementsOf(parts: WriteParts): readonly NodeStatement[] {
  if (parts.by === 'node') return parts.statements
  if (parts.by === 'typeorm') return []
  return parts.arms.map(({ shard, text, parameters }) => ({
    node: shard.node,
    shards: [shard.name],
    text: bindShardNames(text, shard),
    parameters,
  }))
}

function partsSteps(parts: WriteParts): readonly string[] {
  if (parts.by === 'typeorm') return [`let TypeORM write on ${parts.shards.length} shard(s)`]
  return parts.arms.length < 2 ? [] : [answerStep(parts.answer)]
}

function answerStep({ kind }: WriteAnswer): string {
  if (kind === 'values' || kind === 'told-places')
    return 'sum the affected rows, and put returned rows in the order of VALUES'
  return 'sum the affected rows, and append returned rows in the order of the shards'
}

const moveSteps = ({ table, shards, targets, withChildren }: MovePlan): readonly string[] => [
  `lock the rows of ${table} on ${shards.length} shard(s)`,
  'update rows whose new key is of the same shard where they are',
  `move the others${withChildren ? ', with the rows that refer to them,' : ''} to ${targets.length === 1 ? targets[0]?.name : 'the shards of their new keys'}`,
]

const transactionSteps = ({ nodes, otherwise }: TransactionPlan): readonly string[] => [
  ...(nodes.length > 0
    ? [`commit ${nodes.length === 1 ? 'node' : 'nodes'} ${nodes.join(', ')} when all is written`]
    : []),
  ...(otherwise ? ['where a node refuses a statement of several shards, roll back, and send each shard its own'] : []),
]

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
  readonly plan?: EntitiesPlan | ReadPlan | GatherPlan | WritePlan
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
