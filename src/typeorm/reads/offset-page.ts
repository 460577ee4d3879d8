import type { ObjectLiteral } from 'typeorm'
import { answerQuestions } from '../../planning/answer-questions'
import { checkDepth } from '../../planning/check-depth'
import { visitOrdered } from '../../planning/ordered-shards'
import {
  choosePageStrategy,
  keysFirstOffset,
  maxPivotRounds,
  maxVisitWidth,
  type PageStrategyChoice,
  pivotOffset,
  pivotReach,
} from '../../planning/page-strategy'
import { type PivotOutcome, searchPivot } from '../../planning/pivot-search'
import type { NodeStatement } from '../../planning/scatter-statement'
import type { ArmQueryBuilder } from '../find/arm-query-builder'
import { type Page, pageOf } from './builder-page'
import { FindKeySource } from './find-key-source'
import type { FoundPage } from './found-page'
import { loadPage } from './load-page'
import { type FindPivotColumn, pivotColumns } from './pivot-columns'
import { addHiddenOrder } from './scatter-order'
import {
  type FindOptions,
  factsOf,
  newBuilder,
  planScatter,
  rowOptions,
  runScatter,
  type ScatterPlan,
  type ScatterScope,
} from './scatter-rows'
import { shardOrder } from './shard-order'
import { ShardWindows } from './shard-windows'

/** How a page is found: its strategy, and the plan that carries it out. */
export interface PagePlan extends PageStrategyChoice {
  readonly page: Page
  /** Of the find as it was asked for. */
  readonly builder: ArmQueryBuilder<ObjectLiteral>
  /** What is sent first; for strategies that merge, all that is sent for the rows. */
  readonly statements: () => readonly NodeStatement[]
  /** The whole merge, where that is the strategy. */
  readonly scatter: ScatterPlan | undefined
  readonly rows: () => Promise<FoundPage>
}

/** Chooses the strategy of a find over several shards, and plans it. */
export function planPage(scope: ScatterScope, options: FindOptions): PagePlan {
  const builder = newBuilder(scope, options)
  const page = pageOf(builder)
  const order = page.limit ? shardOrder(scope, builder) : undefined
  const keyed = page.offset >= pivotOffset ? keyOptions(scope, options) : undefined
  const choice = choosePageStrategy({
    statements: new Set(scope.shards.map((shard) => shard.node)).size,
    offset: page.offset,
    limit: page.limit,
    isOrdered: Object.keys(builder.expressionMap.allOrderBys).length > 0,
    shardOrder: order?.reason,
    notCountable: typeof keyed === 'string' ? keyed : undefined,
    hasKeysOnly: builder.needsReload,
  })
  const common = { ...choice, page, builder, scatter: undefined }
  switch (choice.strategy) {
    case 'ordered-shards': {
      const windows = new ShardWindows(scope, options)
      const shards = order?.shards ?? scope.shards.map((shard) => shard.index)
      const visit = () =>
        visitOrdered({ shards, ...pageOfVisit(page), reach: keysFirstOffset, maxWidth: maxVisitWidth })
      return {
        ...common,
        statements: () => windows.firstStatements(visit()),
        rows: () => windows.rows(visit(), page),
      }
    }
    case 'pivot-counting': {
      if (typeof keyed !== 'object') break
      const counting = new PivotPage(scope, options, keyed, page, builder.needsReload)
      return { ...common, statements: () => counting.firstStatements(), rows: () => counting.rows() }
    }
    case 'keys-first':
      return {
        ...common,
        statements: () => planKeysFirst(scope, options).statements,
        rows: () => keysFirst(scope, options),
      }
    default:
  }
  const scatter = planScatter(scope, options, { builder })
  if (scatter.skip > 0) checkPageDepth(scope, page, scatter.statements.length)
  return {
    ...common,
    scatter,
    statements: () => scatter.statements,
    rows: async () => ({ builder, rows: await runScatter(scope, scatter), isKeys: builder.needsReload }),
  }
}

const pageOfVisit = ({ offset, limit = 0 }: Page) => ({ offset, limit })

/** What is done here with the answers, in order. */
export function stepsOf({ strategy, page, scatter, builder, statements }: PagePlan): readonly string[] {
  const { offset, limit } = page
  const load = builder.needsReload
    ? 'load the entities of the page by primary key, one find a shard'
    : 'make entities of the page'
  switch (strategy) {
    case 'ordered-shards':
      return [
        ...(offset > keysFirstOffset ? ['skip whole shards by their counts, with more shards counted as needed'] : []),
        'ask the next shards only where the page is short',
        ...(offset > 0 && offset <= keysFirstOffset ? [`skip ${offset} rows`] : []),
        `take ${limit} rows`,
        load,
      ]
    case 'pivot-counting':
      return [
        'choose pivots among the values found at these places',
        'count the rows before the pivots, one statement a node',
        `repeat until at most ${pivotReach(offset)} rows are left before the page`,
        `merge the keys from there on, and take ${limit}`,
        builder.needsReload ? load : 'fetch the rows of the page by primary key, one statement a node',
        ...(builder.needsReload ? [] : [load]),
      ]
    default:
  }
  const sent = statements()
  const order = scatter?.order ?? []
  const steps: string[] = []
  if (sent.length > 1)
    steps.push(
      order.length > 0 || strategy === 'keys-first'
        ? `merge ${sent.length} sorted answers`
        : `append ${sent.length} answers in the order of the shards`,
    )
  if (order.some((term) => term.merge.kind === 'ranked') && sent.length > 1)
    steps.push('let the database rank the texts that only it can order')
  const skip = scatter?.skip ?? offset
  if (skip > 0) steps.push(`skip ${skip} rows`)
  if (limit !== undefined) steps.push(`take ${limit} rows`)
  if (strategy === 'keys-first') steps.push('fetch the rows of the page by primary key, one statement a node')
  return [...steps, load]
}

/** Every node's keys up to the end of the page, merged; then the rows of the page. */
async function keysFirst(scope: ScatterScope, options: FindOptions): Promise<FoundPage> {
  return loadPage(scope, options, await runScatter(scope, planKeysFirst(scope, options)))
}

function planKeysFirst(scope: ScatterScope, options: FindOptions): ScatterPlan {
  const plan = planScatter(scope, options, { keysOnly: true })
  checkPageDepth(scope, plan.page, plan.statements.length)
  return plan
}

function checkPageDepth(
  { access, binding: { entity } }: ScatterScope,
  { offset, limit }: Page,
  statements: number,
): void {
  checkDepth({ entity: entity.name, offset, limit, statements, rowBudget: access.limits.rowBudget })
}

/** What tells the rows of a find and their order, without what is only loaded with them. */
interface KeyedFind {
  readonly options: FindOptions
  readonly columns: readonly FindPivotColumn[]
}

/** A text says why the rows of the find cannot be counted by their order. */
function keyOptions(scope: ScatterScope, given: FindOptions): KeyedFind | string {
  const { order } = given
  const options: FindOptions = { ...rowOptions(given), ...(order !== undefined && { order }) }
  const builder = newBuilder(scope, options)
  if (builder.isJoined) return 'the condition or the order is about a relation'
  const columns = pivotColumns(addHiddenOrder(builder, { facts: factsOf(scope), ties: 'sorted' }))
  return typeof columns === 'string' ? columns : { options, columns }
}

/** A page whose start is found by counting. */
class PivotPage {
  private readonly source: FindKeySource

  constructor(
    private readonly scope: ScatterScope,
    private readonly options: FindOptions,
    private readonly keyed: KeyedFind,
    private readonly page: Page,
    private readonly needsReload: boolean,
  ) {
    this.source = new FindKeySource(scope, keyed.options, keyed.columns)
  }

  firstStatements(): readonly NodeStatement[] {
    const first = this.search().next()
    return first.done ? [] : this.source.statements(first.value).statements
  }

  async rows(): Promise<FoundPage> {
    const outcome = await answerQuestions(this.search(), (question) => this.source.answer(question))
    if (outcome.kind === 'unsettled') return keysFirst(this.scope, this.options)
    const keys = await this.keys(outcome)
    return this.needsReload ? keys : loadPage(this.scope, this.options, keys.rows)
  }

  private search() {
    return searchPivot({
      offset: this.page.offset,
      shards: this.scope.shards.map((shard) => shard.index),
      terms: this.keyed.columns,
      reach: pivotReach(this.page.offset),
      maxRounds: maxPivotRounds,
    })
  }

  /** The keys of the page: most often the nearest range has them all. */
  private async keys(outcome: Exclude<PivotOutcome, { kind: 'unsettled' }>): Promise<FoundPage> {
    if (outcome.kind === 'beyond')
      return { builder: newBuilder(this.scope, this.keyed.options), rows: [], isKeys: true }
    const { limit = 0 } = this.page
    const { ranges, skip: offset, near } = outcome
    const [first, ...others] = ranges
    const nearest = near && near.rows >= offset + limit ? near.range : others.length > 0 ? first : undefined
    if (nearest) {
      const keys = await this.source.readKeys([nearest], { offset, limit })
      if (keys.rows.length === limit) return keys
    }
    return this.source.readKeys(ranges, { offset, limit })
  }
}
