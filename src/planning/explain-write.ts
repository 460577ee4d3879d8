import type { WriteAnswer } from '../query/write-query'
import { bindShardNames } from './bind-shard-names'
import type { ExplainedPlan } from './explain-plan'
import { assertNever } from './read-plan'
import type { NodeStatement } from './scatter-statement'
import type { MovePlan, TransactionPlan, WriteParts, WritePlan } from './write-plan'

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
