import { ColumnArray, type ReadPlan } from '../../../src/planning/read-plan'
import type { NodeStatement } from '../../../src/planning/scatter-statement'
import type { ArmSource } from '../../../src/query/arm-source'
import type { OrderTerm } from '../../../src/query/order-term'
import { KeyList } from '../../../src/query/page-query'

/** A plan as it stands in a spec: all of it, each statement and arm in one line. */
export function printPlan(plan: ReadPlan): unknown {
  switch (plan.kind) {
    case 'route':
      return plan.statements.map(printStatement)
    case 'merge':
    case 'append':
      return {
        [plan.kind]: printPlan(plan.source),
        ...printOrder('order' in plan ? plan.order : []),
        ...printCut(plan),
      }
    case 'shares':
      return {
        shares: printPlan(plan.source),
        asked: plan.asked,
        ...printOrder(plan.order),
        ...printCut(plan),
        otherwise: printPlan(plan.otherwise.get()),
      }
    case 'visit':
      return {
        visit: printArms(plan.rows),
        ...(plan.counted && { counted: printArms(plan.counted) }),
        shards: plan.visit.shards,
        ...printCut(plan),
      }
    case 'seek':
      return {
        seek: printArms(plan.keys.arms),
        outputs: plan.keys.outputs.join(', '),
        by: plan.keys.columns.map(({ expression, castTo }) => `${expression} as ${castTo}`),
        reach: plan.search.reach,
        ...printOrder(plan.keys.order),
        ...printCut(plan),
        otherwise: printPlan(plan.otherwise.get()),
      }
    case 'load-by-key':
      return { load: printArms(plan.arms), keys: printPlan(plan.keys) }
    case 'project':
      return { project: plan.columns, source: printPlan(plan.source) }
    case 'finish':
      return { finish: printStatement(plan.statement), source: printPlan(plan.source) }
  }
}

export const printStatement = ({ node, text, parameters }: NodeStatement): string =>
  `${node}: ${text}${printParameters(parameters)}`

const printArms = ({ arms, sharedParameters }: ArmSource): readonly string[] => {
  const lines = arms.map(
    ({ shard, text, parameters }) => [shard.name, `${text}${printParameters(parameters)}`] as const,
  )
  const texts = new Set(lines.map(([, line]) => line))
  if (texts.size > 1) return lines.map(([name, line]) => `${name}: ${line}`)
  return [`${lines.map(([name]) => name).join(' ')}${sharedParameters ? '' : ' each'}: ${lines[0]?.[1] ?? ''}`]
}

export function printParameters(parameters: readonly unknown[]): string {
  if (parameters.length === 0) return ''
  const shown = parameters.map((value) =>
    value instanceof KeyList
      ? `keys ${value.column}`
      : value instanceof ColumnArray
        ? `column ${value.column}`
        : JSON.stringify(value),
  )
  return ` -- ${shown.join(', ')}`
}

const printOrder = (order: readonly OrderTerm[]) =>
  order.length === 0
    ? {}
    : {
        order: order.map(({ name, kind, column, nodeColumn, descending, nullsFirst, witness, isTiebreak }) =>
          [
            `${name} ${descending ? 'DESC' : 'ASC'} NULLS ${nullsFirst ? 'FIRST' : 'LAST'}`,
            `as ${kind} by ${column}`,
            ...(nodeColumn === column ? [] : [`node by ${nodeColumn}`]),
            ...(witness === undefined ? [] : [`witness ${witness}`]),
            ...(isTiebreak ? ['tiebreak'] : []),
          ].join(', '),
        ),
      }

const printCut = ({ offset, limit }: { readonly offset: number; readonly limit: number | undefined }) => ({
  ...(offset > 0 && { offset }),
  ...(limit !== undefined && { limit }),
})
