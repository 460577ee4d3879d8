import type { WritePlan } from '../../../src/planning/write-plan'
import type { Arm } from '../../../src/query/arm-source'
import type { UnitedWrite, WriteAnswer } from '../../../src/query/write-query'
import type { Shard } from '../../../src/topology/shard'
import { printParameters, printStatement } from './print-plan'

/** The plan of a write as it stands in a spec: all of it, each statement in one line. */
export function printWritePlan(plan: WritePlan, answers: readonly (readonly object[])[][] = []): unknown {
  switch (plan.kind) {
    case 'write':
      if (plan.by === 'typeorm')
        return {
          'by typeorm': names(plan.shards),
          ...(plan.inRounds && { inRounds: true }),
        }
      return {
        [`by ${plan.by}`]: plan.by === 'node' ? plan.statements.map(printStatement) : plan.arms.map(printArm),
        ...(plan.by === 'node' && printUnited(plan.united)),
        answer: printAnswer(plan.answer),
      }
    case 'move':
      return {
        move: plan.table,
        from: names(plan.shards),
        to: names(plan.targets),
        ...(plan.withChildren && { withChildren: true }),
      }
    case 'transaction':
      return {
        [plan.scope]: plan.nodes.join(', '),
        ...(plan.pace !== 'at-once' && { pace: plan.pace }),
        plan: printWritePlan(plan.source, answers),
        ...(plan.otherwise && { otherwise: printWritePlan(plan.otherwise, answers) }),
      }
    case 'lookups':
      return { lookups: names(plan.shards), of: printWritePlan(plan.source, answers) }
    case 'sequence': {
      const [answer, ...later] = answers
      // What follows depends on the answers: of those that a case gives.
      const rows = answer ?? plan.first.map(() => [])
      return {
        first: plan.first.map(printStatement),
        step: plan.step,
        ...(answer && { answers: rows }),
        plan: printWritePlan(plan.rest.plan(rows as never), later),
      }
    }
  }
}

const names = (shards: readonly Shard[]): string => shards.map(({ name }) => name).join(' ')

const printArm = ({ shard, text, parameters }: Arm): string => `${shard.name}: ${text}${printParameters(parameters)}`

const printUnited = (united: UnitedWrite) => (united.hasOwnTypes ? { ownTypes: true } : {})

const printAnswer = (answer: WriteAnswer): unknown =>
  answer.kind === 'values' ? answer.places.map((places) => places.join(' ')).join(', ') : answer.kind
