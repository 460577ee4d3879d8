import { type ArmSource, mapArms } from '../query/arm-source'
import { armOrder, type OrderTerm } from '../query/order-term'
import type { Page } from '../query/page'
import type { KeySource, PageQuery, SortedArms } from '../query/page-query'
import type { Shard } from '../topology/shard'
import {
  checkDepth,
  choosePageStrategy,
  keysFirstOffset,
  maxPivotRounds,
  maxVisitWidth,
  type PageStrategyChoice,
  pivotOffset,
  pivotReach,
} from './page-strategy'
import { mergedKeys } from './question-statements'
import {
  type AppendPlan,
  assertNever,
  type Deferred,
  deferred,
  type EntitiesPlan,
  type LoadByKeyPlan,
  type MergePlan,
  type ReadPlan,
  route,
  type SharesPlan,
} from './read-plan'
import { routeArms, skipsByItself } from './scatter-statement'

/**
 * Plans a page of entities over several shards: chooses the strategy, and makes the plan of it. The plan depends on the query
 * alone; the same query is always answered by the same statements.
 *
 * @throws ShardedError PAGE_TOO_DEEP
 */
export function planPage(query: PageQuery): EntitiesPlan {
  const { page, arms } = query
  const keys = page.offset >= pivotOffset ? arms.keys() : undefined
  const mayShare = page.offset >= keysFirstOffset && page.offset < pivotOffset && query.shardOrder === undefined
  const shares = deferred(() => planShares(query))
  const choice = choosePageStrategy({
    statements: new Set(query.shards.map((shard) => shard.node)).size,
    offset: page.offset,
    limit: page.limit,
    isOrdered: query.isOrdered,
    shardOrder: page.limit ? query.shardOrder?.reason : undefined,
    notCountable: typeof keys === 'string' ? keys : keys?.notCountable,
    hasShares: mayShare && shares.get() !== undefined,
    hasKeysOnly: query.givesKeys,
  })
  return Object.freeze({
    kind: 'entities',
    entity: query.entity,
    page: choice,
    source: planRows(query, choice, shares),
    load: query.givesKeys ? 'by-key' : 'rows',
  })
}

function planRows(
  query: PageQuery,
  { strategy }: PageStrategyChoice,
  shares: Deferred<SharesPlan | undefined>,
): ReadPlan {
  switch (strategy) {
    case 'ordered-shards':
      return planVisit(query)
    case 'pivot-counting':
      return planSeek(query)
    case 'keys-first':
      return loaded(query, planKeys(query))
    case 'merge':
    case 'one-node':
    case 'pass-through':
      return shares.get() ?? planMerge(query)
    default:
      return assertNever(strategy)
  }
}

function planVisit({ arms, page, shards: route, shardOrder }: PageQuery): ReadPlan {
  const { offset, limit = 0 } = page
  const { source, order } = arms.sorted()
  const shards = shardOrder?.shards ?? route.map((shard) => shard.index)
  return Object.freeze({
    kind: 'visit',
    rows: source,
    counted: offset > keysFirstOffset ? arms.counted() : undefined,
    visit: { shards, offset, limit, reach: keysFirstOffset, maxWidth: maxVisitWidth },
    key: order[0],
    offset,
    limit,
  })
}

function planSeek(query: PageQuery): ReadPlan {
  const { page, shards } = query
  const keys = keysOf(query)
  const { offset, limit = 0 } = page
  const plan: ReadPlan = Object.freeze({
    kind: 'seek',
    keys,
    search: {
      offset,
      shards: shards.map((shard) => shard.index),
      terms: keys.columns,
      reach: pivotReach(offset),
      maxRounds: maxPivotRounds,
    },
    offset,
    limit,
    shard: firstOf(shards),
    otherwise: deferred(() => planKeys(query)),
  })
  return query.givesKeys ? plan : loaded(query, plan)
}

/** The keys of every node up to the end of the page, merged. @throws ShardedError PAGE_TOO_DEEP */
function planKeys(query: PageQuery): ReadPlan {
  const { page, shards } = query
  const { offset, limit = 0 } = page
  const plan = mergedKeys(keysOf(query), undefined, { offset, limit, shard: firstOf(shards) })
  checkPageDepth(query, plan.source.statements.length)
  return plan
}

function keysOf({ arms }: PageQuery): KeySource {
  const keys = arms.keys()
  if (typeof keys === 'string') throw new RangeError(keys)
  return keys
}

const loaded = ({ arms }: PageQuery, keys: ReadPlan): LoadByKeyPlan =>
  Object.freeze({ kind: 'load-by-key', keys, arms: arms.loaded() })

/** Merges rows that the nodes sort in whole. @throws ShardedError PAGE_TOO_DEEP */
function planMerge(query: PageQuery): ReadPlan {
  const plan = planSorted(query.arms.sorted(), query.page, query.shards)
  if (plan.offset > 0) checkPageDepth(query, plan.source.statements.length)
  return plan
}

/** The rows of a page that every node sorts in whole: one statement a node, merged; or appended, where there is no order. */
export function planSorted(
  arms: SortedArms,
  { offset, limit, end }: Page,
  shards: readonly Shard[],
): MergePlan | AppendPlan {
  const { order } = arms
  const statements = routeArms(limited(arms, end), { order: order.map(armOrder), limit: end, offset })
  const cut = { source: route(statements), offset: skipsByItself(statements) ? 0 : offset, limit }
  return order.length === 0
    ? Object.freeze({ kind: 'append', ...cut })
    : Object.freeze({ kind: 'merge', ...cut, order, shard: firstOf(shards) })
}

/** undefined where each node is to sort its rows in whole. */
function planShares(query: PageQuery): SharesPlan | undefined {
  const { page, shards, arms, isOrdered, givesKeys } = query
  if (!isOrdered || givesKeys) return undefined
  // What a node skips by itself it has to have sorted in whole.
  if (page.offset > 0 && new Set(shards.map((shard) => shard.node)).size === 1) return undefined
  const shared = page.limit && arms.shares()
  if (!shared) return undefined
  const plan = sharesOf(page, shards, {
    ...shared,
    arms: (asked) => limited(shared, asked),
    otherwise: () => planMerge(query),
  })
  if (plan) checkPageDepth(query, plan.source.statements.length)
  return plan
}

interface SharedRows {
  readonly order: readonly OrderTerm[]
  /** The arms with so many rows of each. */
  readonly arms: (asked: number) => ArmSource
  readonly otherwise: () => ReadPlan
}

/** A page that ends further down is meant to have all rows, or is none that this process could hold. */
const deepestShares = 1_000_000

/** Each node is asked for its share of a page. undefined for a page of no rows, or without an end that is near. */
export function sharesOf(
  { offset, limit, end }: Page,
  shards: readonly Shard[],
  { order, arms, otherwise }: SharedRows,
): SharesPlan | undefined {
  if (limit === undefined || end === undefined || end < 1 || end > deepestShares) return undefined
  const asked = shareOf(end, shards)
  const sorted = order.filter(({ isTiebreak }) => !isTiebreak).map(armOrder)
  const source = route(routeArms(arms(asked), { order: sorted, limit: asked }))
  return Object.freeze({ kind: 'shares', source, order, asked, offset, limit, otherwise: deferred(otherwise) })
}

const limited = ({ source }: SortedArms, limit: number | undefined) =>
  limit === undefined ? source : mapArms(source, ({ text }) => ({ text: `${text} LIMIT ${limit}` }))

const firstOf = ([first]: readonly Shard[]): Shard => {
  if (!first) throw new RangeError('A read has at least one shard.')
  return first
}

function checkPageDepth({ entity, page: { offset, limit }, rowBudget }: PageQuery, statements: number): void {
  checkDepth({ entity, offset, limit, statements, rowBudget })
}

/** From so many rows on, a share has a wider margin: it costs little there, and to ask a second time costs much. */
export const manyRows = 500

/**
 * How many rows a node is asked for as its share of a page that ends after `end` rows spread over the shards by chance: two
 * standard deviations more than the mean of the node with the most shards, and one more for each doubling of the nodes. By
 * the binomial distribution one page of 20 rows in a hundred has more on one node. Of many rows it is four deviations: one page
 * in 10,000.
 *
 * @example shareOf(20, shardsOfTwoNodes) // 16
 */
export function shareOf(end: number, shards: readonly Shard[]): number {
  const share = greatestShare(shards)
  const mean = end * share
  const deviation = Math.sqrt(mean * (1 - share))
  const margin = (end < manyRows ? 2 : 4) * deviation
  return Math.min(end + 1, Math.ceil(mean + margin) + Math.ceil(Math.log2(1 / share)))
}

/** Of the shards, on the node that has most of them. */
function greatestShare(shards: readonly Shard[]): number {
  const counts = new Map<string, number>()
  for (const { node } of shards) counts.set(node, (counts.get(node) ?? 0) + 1)
  return Math.max(...counts.values()) / shards.length
}
