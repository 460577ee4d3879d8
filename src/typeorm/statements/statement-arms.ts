import { bindShardNames } from '../../planning/bind-shard-names'
import type { FinishTemplate } from '../../planning/finish-template'
import { namesOnWire } from '../../planning/own-names'
import {
  type AppendPlan,
  ColumnArray,
  type MergePlan,
  type ReadPlan,
  type RoutePlan,
  route,
} from '../../planning/read-plan'
import { type ArmTemplate, armText, type RowsTemplate } from '../../planning/rows-template'
import { routeArms } from '../../planning/scatter-statement'
import { textNames } from '../../planning/text-query'
import type { ArmSource } from '../../query/arm-source'
import { armOrder } from '../../query/order-term'
import type { Page } from '../../query/page'
import type { Shard } from '../../topology/shard'
import { pick, type ShardsRun } from './statement-run'

/** The arms of a query on its shards, with the values of one run. */
function armSource(
  arm: ArmTemplate,
  { shards, values, valuesOn, analysis }: ShardsRun,
  limit: number | undefined,
): ArmSource {
  const text = armText(arm, limit)
  const parameters = pick(arm.parameters, values)
  const parametersOn = (shard: Shard) => (valuesOn ? pick(arm.parameters, valuesOn(shard)) : parameters)
  return {
    arms: shards.map((shard) => ({ shard, text, parameters: parametersOn(shard) })),
    sharedParameters: parameters.length === 0 || (!valuesOn && !analysis.uses.some(({ table }) => table.hasOwnTypes)),
  }
}

/** The plan of a query whose answer is the shards' answers put together, for one run and page. */
export function rowsPlan(template: RowsTemplate, run: ShardsRun, { offset, limit, end }: Page): ReadPlan {
  const { order, outputs } = template
  const statements = routeArms(armSource(template.arm, run, end), { order: order.map(armOrder), limit: end })
  const cut = { source: route(statements), offset, limit }
  const [shard] = run.shards
  const source: AppendPlan | MergePlan =
    order.length === 0 ? { kind: 'append', ...cut } : { kind: 'merge', ...cut, order, shard }
  const names = outputs.map(({ name }) => name)
  return Object.freeze({
    kind: 'project',
    source: Object.freeze(source),
    ...(run.asText ? { columns: textNames(outputs.length) } : { columns: namesOnWire(names), names }),
  })
}

/** The rows of the shards' half. Each arm gives its own rows: none may be cut away. */
export const partsOf = ({ arm }: FinishTemplate, run: ShardsRun, { end }: Page): RoutePlan =>
  route(routeArms(armSource(arm, run, end)))

/**
 * The plan of a query that PostgreSQL finishes on one node, for one run and page.
 *
 * @param given its page, and the text of the outer half, with the placeholder schema
 */
export function finishPlan(
  template: FinishTemplate,
  run: ShardsRun,
  { page, text }: { readonly page: Page; readonly text: string },
): ReadPlan {
  const { final, firstArray, step } = template
  const [shard] = run.shards
  const parameters = final.parameters.map((number) =>
    number < firstArray ? run.values[number - 1] : new ColumnArray(`c${number - firstArray}`),
  )
  const statement = Object.freeze({
    node: shard.node,
    shards: Object.freeze([shard.name]),
    text: bindShardNames(text, shard),
    parameters: Object.freeze(parameters),
  })
  return Object.freeze({ kind: 'finish', source: partsOf(template, run, page), statement, step })
}
