import { pushAll } from '../collections/push-all'
import { ShardedError } from '../errors/sharded-error'
import { compareRows } from '../merging/comparator'
import { mergeShares } from '../merging/merge-sorted'
import { onlyColumns } from '../merging/only-columns'
import type { Row } from '../merging/row'
import { visitOrdered } from '../planning/ordered-shards'
import { type PivotAnswer, type PivotQuestion, type RangeCount, searchPivot } from '../planning/pivot-search'
import {
  armOf,
  askedKeys,
  identityOf,
  loadStatements,
  mergedKeys,
  rowsByArm,
  visitStatements,
} from '../planning/question-statements'
import {
  assertNever,
  type Cut,
  type FinishPlan,
  type LoadByKeyPlan,
  type MergePlan,
  type ReadPlan,
  type SeekPlan,
  type SharesPlan,
  type VisitPlan,
  withColumnArrays,
} from '../planning/read-plan'
import type { NodeStatement } from '../planning/scatter-statement'
import { collationKey, type NodeSortFacts } from '../query/node-sort-facts'
import type { OrderTerm } from '../query/order-term'
import type { Shard } from '../topology/shard'
import { areSortedBy, mergeInOrder, type OrderQuestions } from './merge-in-order'

/** What the executor asks of the operation that it runs for. */
export interface ReadHost {
  /** Sends statements, all nodes at once; the answers come in the order of the statements. */
  query(statements: readonly NodeStatement[]): Promise<readonly (readonly Row[])[]>
  /** How a node sorts, with what it says of these collations. */
  sortFacts(node: string, collations: readonly string[]): Promise<NodeSortFacts>
}

/**
 * Runs a plan: a fold over its nodes.
 *
 * @returns the rows of the read, in order
 * @throws ShardedError MERGE_ORDER, COLLATION_DIFFERS, ORDER_UNSUPPORTED, and what the host throws
 */
export async function executeRead(plan: ReadPlan, host: ReadHost): Promise<readonly Row[]> {
  switch (plan.kind) {
    case 'route':
      return (await host.query(plan.statements)).flat()
    case 'merge':
      return merge(plan, host)
    case 'shares':
      return shares(plan, host)
    case 'append':
      return cut(inShardOrder(await host.query(plan.source.statements)), plan)
    case 'visit':
      return visit(plan, host)
    case 'seek':
      return seek(plan, host)
    case 'load-by-key':
      return loadByKey(plan, host)
    case 'project':
      return (await executeRead(plan.source, host)).map(onlyColumns(plan))
    case 'finish':
      return finish(plan, host)
    default:
      return assertNever(plan)
  }
}

async function merge({ source, order, shard, offset, limit }: MergePlan, host: ReadHost): Promise<readonly Row[]> {
  const answers = await host.query(source.statements)
  return mergeInOrder(answers, order, { offset, limit }, questionsOf(source.statements, shard, host))
}

/** What a merge may ask of the nodes of some statements. */
export function questionsOf(statements: readonly NodeStatement[], shard: Shard, host: ReadHost): OrderQuestions {
  const nodes = [...new Set(statements.map(({ node }) => node))]
  return {
    shard,
    ask: async (text, parameters) => {
      const [rows = []] = await host.query([{ node: shard.node, shards: [shard.name], text, parameters }])
      return rows
    },
    factsWith: (collations) => Promise.all(nodes.map((node) => host.sortFacts(node, collations))),
  }
}

async function shares(plan: SharesPlan, host: ReadHost): Promise<readonly Row[]> {
  const answers = await host.query(plan.source.statements)
  return mergedShares(answers, plan) ?? executeRead(plan.otherwise.get(), host)
}

/**
 * Merges answers of which each was asked for about its share of the page.
 *
 * @returns undefined where they do not tell the page: a share was too small, a cut went through a tie, or the answers are not
 * sorted as was assumed, or have values of another form
 */
function mergedShares(
  answers: readonly (readonly Row[])[],
  { order, asked, offset, limit }: SharesPlan,
): readonly Row[] | undefined {
  const sources = answers.filter((rows) => rows.length > 0).map((rows) => ({ rows }))
  if (order.some((term) => term.witness !== undefined && !areSortedBy(sources, term))) return undefined
  const exact = whileExact(order)
  const compare = compareRows(exact.filter(({ isTiebreak }) => !isTiebreak))
  // Values that are equal here may differ in the database below the driver's precision: nothing else may decide between them.
  const settle = exact.some(({ isTiebreak }) => isTiebreak) ? compareRows(exact) : undefined
  try {
    return mergeShares({ sources, compare, settle, asked, offset, limit })
  } catch (error) {
    // Text that is no number (TypeError) is of a parser that the program gave to `pg`: the next statements bring their own.
    if (error instanceof TypeError || (error instanceof ShardedError && error.code === 'MERGE_ORDER')) return undefined
    throw error
  }
}

/** The terms up to the first that may hold different values equal. */
function whileExact(order: readonly OrderTerm[]): readonly OrderTerm[] {
  const lossy = order.findIndex(({ kind }) => kind === 'instant')
  return lossy < 0 ? order : order.slice(0, lossy + 1)
}

/** A statement's rows follow each other already, shard by shard. */
function inShardOrder(sources: readonly (readonly Row[])[]): readonly Row[] {
  const [only = [], another] = sources
  return another ? sources.flat().sort((a, b) => armOf(a) - armOf(b)) : only
}

const cut = (rows: readonly Row[], { offset, limit }: Cut): readonly Row[] =>
  offset === 0 && limit === undefined ? rows : rows.slice(offset, limit === undefined ? undefined : offset + limit)

async function visit(plan: VisitPlan, host: ReadHost): Promise<readonly Row[]> {
  const rows: Row[] = []
  const { skip } = await answerQuestions(visitOrdered(plan.visit), async (question) => {
    const answers = rowsByArm((await host.query(visitStatements(plan, question))).flat())
    if (question.kind === 'count')
      return new Map(Array.from(answers, ([shard, [row]]): [number, number] => [shard, Number(row?.['__n'])]))
    for (const { shard } of question.windows) pushAll(rows, witnessed(plan.key, answers.get(shard) ?? []))
    return new Map(Array.from(answers, ([shard, own]): [number, number] => [shard, own.length]))
  })
  return rows.slice(skip, skip + plan.limit)
}

/** The shards follow each other under the declared collation of the key: the rows prove whether it is theirs. */
function witnessed(key: OrderTerm | undefined, rows: readonly Row[]): readonly Row[] {
  const { witness, type, form } = key ?? {}
  if (!key || witness === undefined || form?.witness?.of !== 'collation' || type?.collation === undefined) return rows
  const declared = collationKey(type.collation)
  for (const row of rows) {
    const found = String(row[witness])
    if (collationKey(found) === declared) continue
    throw new ShardedError('MERGE_ORDER', `${key.name} sorts by ${found}, not by ${type.collation}.`, {
      details: { order: key.name, collation: found },
    })
  }
  return rows
}

async function seek(plan: SeekPlan, host: ReadHost): Promise<readonly Row[]> {
  const { keys, search, limit, shard } = plan
  const outcome = await answerQuestions(searchPivot(search), (question) => answerSeek(plan, question, host))
  if (outcome.kind === 'unsettled') return executeRead(plan.otherwise.get(), host)
  if (outcome.kind === 'beyond') return []
  const { ranges, skip: offset, near } = outcome
  const [first, ...others] = ranges
  // Most often the nearest range has the whole page.
  const nearest = near && near.rows >= offset + limit ? near.range : others.length > 0 ? first : undefined
  if (nearest) {
    const found = await merge(mergedKeys(keys, [nearest], { offset, limit, shard }), host)
    if (found.length === limit) return found
  }
  return merge(mergedKeys(keys, ranges, { offset, limit, shard }), host)
}

async function answerSeek({ keys, shard }: SeekPlan, question: PivotQuestion, host: ReadHost): Promise<PivotAnswer> {
  const { statements, order } = askedKeys(keys, question)
  const answers = await host.query(statements)
  if (question.kind === 'sample') {
    const whole = { offset: 0, limit: undefined }
    const rows = await mergeInOrder(answers, order, whole, questionsOf(statements, shard, host))
    return { kind: 'sample', candidates: rows.map((row) => ({ shard: armOf(row), value: String(row['__v']) })) }
  }
  const empty: RangeCount = { below: question.pivots.map(() => 0), whole: 0 }
  const counts = new Map(question.shards.map((index) => [index, empty]))
  for (const row of answers.flat()) {
    const below = question.pivots.map((_, index) => Number(row[`__b${index}`]))
    counts.set(armOf(row), { below, ...(question.whole.has(armOf(row)) && { whole: Number(row['__n']) }) })
  }
  return { kind: 'count', counts }
}

/** Rows that went away, or do not meet the condition any more, are left out, as if the read had come later. */
async function loadByKey(plan: LoadByKeyPlan, host: ReadHost): Promise<readonly Row[]> {
  const keys = await executeRead(plan.keys, host)
  const found = new Map<string, Row>()
  for (const row of (await host.query(loadStatements(plan, keys))).flat()) found.set(identityOf(row), row)
  return keys.map((key) => found.get(identityOf(key))).filter((row) => row !== undefined)
}

async function finish({ source, statement }: FinishPlan, host: ReadHost): Promise<readonly Row[]> {
  const parts = (await host.query(source.statements)).flat()
  const parameters = withColumnArrays(statement.parameters, [parts])
  const [rows = []] = await host.query([{ ...statement, parameters }])
  return rows
}

/**
 * Runs a plan that is a generator of questions: asks them one after the other, and gives what it returns.
 * The plan bounds the number of its questions.
 *
 * @example const outcome = await answerQuestions(searchPivot(input), (question) => source.answer(question))
 */
export async function answerQuestions<Question, Outcome, Answer>(
  plan: Generator<Question, Outcome, Answer>,
  answer: (question: Question) => Promise<Answer>,
): Promise<Outcome> {
  let step = plan.next()
  while (!step.done) step = plan.next(await answer(step.value))
  return step.value
}
