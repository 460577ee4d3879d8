import type { Node, SelectStmt } from '@pgsql/types'
import { bindShardNames } from '../../planning/bind-shard-names'
import type { FinishTemplate } from '../../planning/finish-template'
import { namesOnWire } from '../../planning/own-names'
import { manyRows, sharesOf } from '../../planning/plan-page'
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
import { withShippedRows } from '../../planning/shipped-rows'
import { templateOf } from '../../planning/statement-template'
import { textNames } from '../../planning/text-query'
import type { ArmSource } from '../../query/arm-source'
import { armOrder } from '../../query/order-term'
import { isPageNumber, limitNumber, type Page, pageNumber } from '../../query/page'
import { knownValue } from '../../routing/known-value'
import { selectNode, targetNode, typeCast } from '../../sql/nodes'
import type { Shard } from '../../topology/shard'
import { askHome, pick, type ShardsRun } from './statement-run'

/** LIMIT and OFFSET of a statement as it has them. */
interface WrittenPage {
  readonly limit: Node | undefined
  readonly offset: Node | undefined
}

/** What each shard of a query that is finished elsewhere may be asked for. */
export const armPageOf = ({ armPage }: FinishTemplate): WrittenPage =>
  armPage ?? { limit: undefined, offset: undefined }

export const writtenPage = ({ limitCount, limitOffset }: SelectStmt): WrittenPage => ({
  limit: limitCount,
  offset: limitOffset,
})

/** LIMIT and OFFSET as numbers; undefined where PostgreSQL itself refuses one: below zero, or past its bigint. */
export async function statementPage(written: WrittenPage, run: PageRun): Promise<Page | undefined> {
  const rows = await numberOf(written.limit, run)
  const before = (await numberOf(written.offset, run)) ?? 0
  if (!isPageNumber(before) || !isPageNumber(rows ?? 0)) return undefined
  const offset = pageNumber(before)
  const limit = limitNumber(rows)
  return { offset, limit, end: endOf(offset, limit) }
}

/** The rows that a shard is asked for. LIMIT 0 reads none, and locks none, whatever is before it. */
function endOf(offset: number, limit: number | undefined): number | undefined {
  if (limit === undefined || limit === 0) return limit
  return Math.min(offset + limit, Number.MAX_SAFE_INTEGER)
}

type PageRun = Pick<ShardsRun, 'values' | 'context' | 'shipped'>

const maxBigint = 2n ** 63n - 1n

/** A whole number of SQL: of those that PostgreSQL takes, none is rounded to one that it does not. */
const wholeNumber = (text: string): number =>
  BigInt(text) > maxBigint ? Number(text) : Math.min(Number(text), Number.MAX_SAFE_INTEGER)

/** The text of other values is not what PostgreSQL is sent: `[2]` is sent as the array `{2}`, which is no number. */
const isWholeNumber = (value: unknown): boolean =>
  ['string', 'number', 'bigint'].includes(typeof value) && /^-?\d+$/.test(String(value))

/** The value of LIMIT or OFFSET; undefined for none and for NULL. */
async function numberOf(node: Node | undefined, { values, context, shipped }: PageRun): Promise<number | undefined> {
  if (!node) return undefined
  const known = knownValue(node, { parameter: (number) => values[number - 1] })
  if (known?.value === null) return undefined
  if (known && isWholeNumber(known.value)) return wholeNumber(String(known.value))
  const asked: Node = { SelectStmt: selectNode({ targetList: [targetNode(typeCast(node, 'int8'), 'n')] }) }
  const { text, parameters } = withShippedRows(templateOf(asked), shipped)
  const [row] = await askHome(text, pick(parameters, values), context)
  return row?.['n'] == null ? undefined : wholeNumber(String(row['n']))
}

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
export function rowsPlan(template: RowsTemplate, run: ShardsRun, page: Page): ReadPlan {
  const { outputs } = template
  const names = outputs.map(({ name }) => name)
  return Object.freeze({
    kind: 'project',
    source: mayShare(template, run, page) ? planShares(template, run, page) : planMerge(template, run, page),
    ...(run.asText ? { columns: textNames(outputs.length) } : { columns: namesOnWire(names), names }),
  })
}

function planMerge({ arm, order }: RowsTemplate, run: ShardsRun, { offset, limit, end }: Page): AppendPlan | MergePlan {
  const statements = routeArms(armSource(arm, run, end), { order: order.map(armOrder), limit: end })
  const cut = { source: route(statements), offset, limit }
  const [shard] = run.shards
  return Object.freeze(order.length === 0 ? { kind: 'append', ...cut } : { kind: 'merge', ...cut, order, shard })
}

/** Of many rows over several nodes, whose order this process can tell. Of few, all that a node may send costs little. */
const mayShare = ({ order }: RowsTemplate, { shards }: ShardsRun, { end = 0 }: Page): boolean =>
  end >= manyRows &&
  order.length > 0 &&
  order.every(({ kind }) => kind !== 'ranked') &&
  shards.some(({ node }) => node !== shards[0].node)

const planShares = (template: RowsTemplate, run: ShardsRun, page: Page): ReadPlan => {
  const otherwise = () => planMerge(template, run, page)
  const arms = (asked: number) => armSource(template.arm, run, asked)
  return sharesOf(page, run.shards, { order: template.order, arms, otherwise }) ?? otherwise()
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
